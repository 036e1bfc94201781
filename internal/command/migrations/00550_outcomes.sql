-- +goose Up
-- What came of an accepted remote start. The table stands alone: it is older than the one of commands.
CREATE TABLE command_outcomes (
    command_id TEXT PRIMARY KEY,
    outcome TEXT NOT NULL,
    session_id TEXT NOT NULL,
    words TEXT NOT NULL,
    at BIGINT NOT NULL
);

CREATE INDEX command_outcomes_by_session ON command_outcomes (session_id) WHERE session_id <> '';
