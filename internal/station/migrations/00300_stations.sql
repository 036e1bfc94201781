-- +goose Up
CREATE TABLE stations (
    id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL,
    admission TEXT NOT NULL,
    security_profile INTEGER NOT NULL,
    strict BOOLEAN NOT NULL,
    password_salt BYTEA,
    password_mac BYTEA,
    vendor TEXT NOT NULL,
    model TEXT NOT NULL,
    serial_number TEXT NOT NULL,
    firmware TEXT NOT NULL,
    protocol TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    booted_at BIGINT,
    last_seen_at BIGINT,
    connected_at BIGINT,
    link_id TEXT NOT NULL,
    link_node TEXT NOT NULL,
    model_read_at BIGINT
);

CREATE INDEX stations_by_organisation ON stations (organisation_id, id);

-- Every change of a connector's state, for ever: availability is computed from it.
CREATE TABLE status_history (
    station_id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    id TEXT NOT NULL,
    evse INTEGER NOT NULL,
    connector INTEGER NOT NULL,
    status TEXT NOT NULL,
    detail TEXT NOT NULL,
    error_code TEXT NOT NULL,
    error_info TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (station_id, received_at, id)
) /*CLUSTERED*/;

-- The present state of every connector.
CREATE TABLE connectors (
    station_id TEXT NOT NULL,
    evse INTEGER NOT NULL,
    connector INTEGER NOT NULL,
    status TEXT NOT NULL,
    detail TEXT NOT NULL,
    error_code TEXT NOT NULL,
    error_info TEXT NOT NULL,
    type TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (station_id, evse, connector)
) /*CLUSTERED*/;

-- Every link that a station had, for ever.
CREATE TABLE link_history (
    station_id TEXT NOT NULL,
    connected_at BIGINT NOT NULL,
    link_id TEXT NOT NULL,
    node TEXT NOT NULL,
    protocol TEXT NOT NULL,
    remote TEXT NOT NULL,
    disconnected_at BIGINT,
    reason TEXT NOT NULL,
    PRIMARY KEY (station_id, connected_at, link_id)
) /*CLUSTERED*/;

CREATE TABLE variables (
    station_id TEXT NOT NULL,
    component TEXT NOT NULL,
    component_instance TEXT NOT NULL,
    evse INTEGER NOT NULL,
    connector INTEGER NOT NULL,
    variable TEXT NOT NULL,
    variable_instance TEXT NOT NULL,
    attribute TEXT NOT NULL,
    value TEXT NOT NULL,
    mutability TEXT NOT NULL,
    data_type TEXT NOT NULL,
    unit TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (station_id, component, component_instance, evse, connector, variable, variable_instance, attribute)
) /*CLUSTERED*/;

-- What stations report and nothing else keeps: events, limits, display messages, certificates, payments.
CREATE TABLE notices (
    station_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    id TEXT NOT NULL,
    action TEXT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (station_id, at, id)
) /*CLUSTERED*/;
