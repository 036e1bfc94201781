-- +goose Up
CREATE INDEX sessions_by_station ON sessions (station_id, started_at, id);
