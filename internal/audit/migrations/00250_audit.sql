-- +goose Up
CREATE TABLE audit_entries (
    id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL, -- 0 while it runs, and for ever when the node died meanwhile
    who TEXT NOT NULL,
    actor TEXT NOT NULL, -- id of the user or the key
    role TEXT NOT NULL,
    address TEXT NOT NULL,
    operation TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    station TEXT NOT NULL,
    request TEXT NOT NULL,
    was TEXT NOT NULL,
    became TEXT NOT NULL,
    status BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    error TEXT NOT NULL
);
CREATE INDEX audit_by_organisation ON audit_entries (organisation_id, id);
CREATE INDEX audit_by_station ON audit_entries (organisation_id, station, id);
CREATE INDEX audit_by_object ON audit_entries (organisation_id, object, id);
CREATE INDEX audit_by_time ON audit_entries (at);
