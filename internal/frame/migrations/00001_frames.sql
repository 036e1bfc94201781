-- +goose Up
-- One row is a call with its answer, or a frame by itself. What a frame's type and message id are stands in its text.
CREATE TABLE frames (
    station_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    direction TEXT NOT NULL,
    action TEXT NOT NULL,
    text TEXT NOT NULL,
    notes TEXT,
    answer_at BIGINT,
    answer TEXT,
    PRIMARY KEY (station_id, at, seq)
) /*CLUSTERED*/;
