-- +goose Up
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL,
    station_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    evse INTEGER NOT NULL,
    connector INTEGER NOT NULL,
    token_uid TEXT,
    token_type TEXT NOT NULL,
    state TEXT NOT NULL,
    charging_state TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    last_event_at BIGINT NOT NULL,
    last_seq_no BIGINT NOT NULL,
    sequenced BOOLEAN NOT NULL,
    meter_first_mwh BIGINT,
    meter_first_at BIGINT,
    meter_last_mwh BIGINT,
    meter_last_at BIGINT,
    power_w BIGINT NOT NULL,
    soc INTEGER,
    stopped_reason TEXT NOT NULL,
    remote_start_id BIGINT,
    reservation_id BIGINT,
    start_hash TEXT NOT NULL,
    end_hash TEXT NOT NULL,
    flags TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX sessions_by_transaction ON sessions (station_id, transaction_id);
CREATE INDEX sessions_by_start ON sessions (organisation_id, started_at, id);
CREATE INDEX sessions_active ON sessions (station_id, evse) WHERE state = 'active';

-- Every transaction message that was told apart from those before it, in 2.1 terms.
CREATE TABLE session_events (
    session_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    hash TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    seq_no BIGINT NOT NULL,
    type TEXT NOT NULL,
    offline BOOLEAN NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (session_id, at, hash)
) /*CLUSTERED*/;

-- Meter values that came outside a transaction.
CREATE TABLE meter_readings (
    station_id TEXT NOT NULL,
    evse INTEGER NOT NULL,
    at BIGINT NOT NULL,
    hash TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (station_id, evse, at, hash)
) /*CLUSTERED*/;
