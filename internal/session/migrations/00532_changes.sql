-- +goose Up
-- Sessions that have ended, or that changed after their end, until whoever computes with them has taken note.
CREATE TABLE session_changes (
    at BIGINT NOT NULL,
    session_id TEXT NOT NULL,
    PRIMARY KEY (at, session_id)
) /*CLUSTERED*/;

INSERT INTO session_changes (at, session_id) SELECT updated_at, id FROM sessions WHERE state = 'ended';
