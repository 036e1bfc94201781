-- +goose Up
CREATE TABLE idempotency (
    organisation_id TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    body BYTEA,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (organisation_id, key)
);
