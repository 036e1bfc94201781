-- +goose Up
-- Periodic work. The row of a job says when it is due and which node runs it, so that it runs once whatever the number
-- of nodes.
CREATE TABLE jobs (
    name TEXT PRIMARY KEY,
    due_at BIGINT NOT NULL,
    holder TEXT NOT NULL, -- node that runs it, '' for none
    lease_until BIGINT NOT NULL, -- when others may take it over
    started_at BIGINT,
    ended_at BIGINT,
    runs BIGINT NOT NULL,
    failures BIGINT NOT NULL, -- in a row
    error TEXT NOT NULL -- of the last run
);
