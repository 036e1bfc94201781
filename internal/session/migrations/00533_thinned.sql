-- +goose Up
-- When the readings between the first and the last were left out of a session's messages, because they are past their retention.
ALTER TABLE sessions ADD COLUMN thinned_at BIGINT;

CREATE INDEX sessions_full ON sessions (ended_at) WHERE state = 'ended' AND thinned_at IS NULL;
CREATE INDEX sessions_thin ON sessions (ended_at) WHERE state = 'ended' AND thinned_at IS NOT NULL;
