-- +goose Up
-- What each session adds to each hour: the only rows that are computed from messages. Sums of them are in history_hours.
CREATE TABLE history_parts (
    session_id TEXT NOT NULL,
    at BIGINT NOT NULL, -- the beginning of the hour, UTC
    organisation_id TEXT NOT NULL,
    station_id TEXT NOT NULL,
    evse INTEGER NOT NULL,
    energy_mwh BIGINT NOT NULL,
    carried_mwh BIGINT NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    charging_us BIGINT NOT NULL,
    peak_w BIGINT NOT NULL,
    PRIMARY KEY (session_id, at)
) /*CLUSTERED*/;

CREATE INDEX history_parts_by_station ON history_parts (station_id, at);

-- The sums of an EVSE, and, with an empty station, those of an organisation.
CREATE TABLE history_hours (
    organisation_id TEXT NOT NULL,
    station_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    evse INTEGER NOT NULL,
    energy_mwh BIGINT NOT NULL DEFAULT 0,
    carried_mwh BIGINT NOT NULL DEFAULT 0,
    started BIGINT NOT NULL DEFAULT 0,
    ended BIGINT NOT NULL DEFAULT 0,
    charging_us BIGINT NOT NULL DEFAULT 0,
    peak_w BIGINT NOT NULL DEFAULT 0,
    available_us BIGINT NOT NULL DEFAULT 0,
    occupied_us BIGINT NOT NULL DEFAULT 0,
    reserved_us BIGINT NOT NULL DEFAULT 0,
    unavailable_us BIGINT NOT NULL DEFAULT 0,
    faulted_us BIGINT NOT NULL DEFAULT 0,
    offline_us BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (organisation_id, station_id, at, evse)
) /*CLUSTERED*/;

CREATE INDEX history_hours_by_time ON history_hours (organisation_id, at);

CREATE TABLE history_days (
    organisation_id TEXT NOT NULL,
    station_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    evse INTEGER NOT NULL,
    energy_mwh BIGINT NOT NULL DEFAULT 0,
    carried_mwh BIGINT NOT NULL DEFAULT 0,
    started BIGINT NOT NULL DEFAULT 0,
    ended BIGINT NOT NULL DEFAULT 0,
    charging_us BIGINT NOT NULL DEFAULT 0,
    peak_w BIGINT NOT NULL DEFAULT 0,
    available_us BIGINT NOT NULL DEFAULT 0,
    occupied_us BIGINT NOT NULL DEFAULT 0,
    reserved_us BIGINT NOT NULL DEFAULT 0,
    unavailable_us BIGINT NOT NULL DEFAULT 0,
    faulted_us BIGINT NOT NULL DEFAULT 0,
    offline_us BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (organisation_id, station_id, at, evse)
) /*CLUSTERED*/;

-- How far the work has come: name -> moment or station.
CREATE TABLE history_progress (
    name TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    station_id TEXT NOT NULL
);
