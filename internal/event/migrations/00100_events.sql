-- +goose Up
CREATE TABLE events (
    organisation_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    station_id TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (organisation_id, at, id)
) /*CLUSTERED*/;
