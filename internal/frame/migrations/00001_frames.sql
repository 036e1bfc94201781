-- +goose Up
CREATE TABLE frames (
    station_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    direction TEXT NOT NULL,
    type TEXT NOT NULL,
    message_id TEXT NOT NULL,
    action TEXT NOT NULL,
    text TEXT NOT NULL,
    notes TEXT NOT NULL,
    PRIMARY KEY (station_id, at, seq)
) /*CLUSTERED*/;
