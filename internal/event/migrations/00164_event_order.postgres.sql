-- +goose Up
-- Transactions of several nodes commit in another order than their events were made. xact is the transaction of an event,
-- snapshot what had been committed when it began: both together tell what a listener cannot have seen yet.
ALTER TABLE events ADD COLUMN xact BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint);
ALTER TABLE events ADD COLUMN snapshot TEXT NOT NULL DEFAULT (pg_current_snapshot()::text);
CREATE INDEX events_by_transaction ON events (organisation_id, xact);
CREATE INDEX events_by_transaction_alone ON events (xact);
