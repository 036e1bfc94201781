-- +goose Up
-- What was done to a session that is no message of its station: by a person, the guardian or the ledger itself.
CREATE TABLE session_acts (
    session_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    id TEXT NOT NULL,
    who TEXT NOT NULL,
    kind TEXT NOT NULL,
    words TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (session_id, at, id)
) /*CLUSTERED*/;

-- The sessions that carry a flag, latest change first.
CREATE INDEX sessions_flagged ON sessions (updated_at) WHERE flags <> '';
