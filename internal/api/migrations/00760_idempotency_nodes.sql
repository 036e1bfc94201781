-- +goose Up
-- Which node runs the request of a key that has no answer yet.
ALTER TABLE idempotency ADD COLUMN node TEXT NOT NULL DEFAULT '';
CREATE INDEX idempotency_running ON idempotency (node) WHERE status = 0;
CREATE INDEX idempotency_by_age ON idempotency (created_at);
