-- +goose Up
CREATE TABLE commands (
    id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL,
    station_id TEXT NOT NULL,
    action TEXT NOT NULL,
    request TEXT NOT NULL,
    status TEXT NOT NULL,
    response TEXT NOT NULL,
    error TEXT NOT NULL,
    translation TEXT NOT NULL,
    made_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    expires_at BIGINT NOT NULL
);

CREATE INDEX commands_by_station ON commands (station_id, id);
CREATE INDEX commands_queued ON commands (station_id, created_at) WHERE status = 'queued';
