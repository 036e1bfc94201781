-- +goose Up
-- Which organisation had a station when: what is kept by station alone is shown to an organisation for its own time only.
CREATE TABLE tenures (
    station_id TEXT NOT NULL,
    since BIGINT NOT NULL,
    organisation_id TEXT NOT NULL,
    until BIGINT,
    PRIMARY KEY (station_id, since)
) /*CLUSTERED*/;

INSERT INTO tenures (station_id, since, organisation_id) SELECT id, created_at, organisation_id FROM stations;
