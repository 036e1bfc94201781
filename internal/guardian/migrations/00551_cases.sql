-- +goose Up
-- What the guardian watches, from the moment it saw it until it is over. Cases on which it never acted are deleted then.
CREATE TABLE guardian_cases (
    id TEXT PRIMARY KEY,
    cause TEXT NOT NULL,
    kind TEXT NOT NULL,
    organisation_id TEXT NOT NULL,
    station_id TEXT NOT NULL,
    evse INTEGER NOT NULL,
    connector INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    step INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    closed_at BIGINT
);

CREATE UNIQUE INDEX guardian_cases_open ON guardian_cases (cause) WHERE closed_at IS NULL;
CREATE INDEX guardian_cases_by_organisation ON guardian_cases (organisation_id, id);
CREATE INDEX guardian_cases_closed ON guardian_cases (closed_at) WHERE closed_at IS NOT NULL;

-- What stations have said that they cannot do, or do not want to, so that they are not asked again and again.
CREATE TABLE guardian_unable (
    station_id TEXT NOT NULL,
    request TEXT NOT NULL,
    firmware TEXT NOT NULL,
    protocol TEXT NOT NULL,
    reason TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (station_id, request)
) /*CLUSTERED*/;
