-- +goose Up
CREATE TABLE reservations (
    station_id TEXT NOT NULL,
    id BIGINT NOT NULL,
    organisation_id TEXT NOT NULL,
    evse INTEGER NOT NULL,
    token_uid TEXT NOT NULL,
    token_type TEXT NOT NULL,
    status TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (station_id, id)
) /*CLUSTERED*/;

CREATE INDEX reservations_by_organisation ON reservations (organisation_id, created_at);
