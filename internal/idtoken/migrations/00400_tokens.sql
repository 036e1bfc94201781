-- +goose Up
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL,
    uid TEXT NOT NULL,
    uid_folded TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    group_id TEXT NOT NULL,
    valid_until BIGINT,
    note TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (organisation_id, uid_folded, type)
);
