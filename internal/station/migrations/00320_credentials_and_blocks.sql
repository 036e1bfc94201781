-- +goose Up
-- A new password that the station was sent and has not shown yet; certain when it has said that it takes it over.
ALTER TABLE stations ADD COLUMN next_salt BYTEA;
ALTER TABLE stations ADD COLUMN next_mac BYTEA;
ALTER TABLE stations ADD COLUMN next_certain BOOLEAN NOT NULL DEFAULT FALSE;
-- The password is what the station showed in the waiting room: the platform gives it another when it is accepted.
ALTER TABLE stations ADD COLUMN rotate_password BOOLEAN NOT NULL DEFAULT FALSE;

-- Until when a station is not let in, and since when its links count.
ALTER TABLE stations ADD COLUMN blocked_until BIGINT;
ALTER TABLE stations ADD COLUMN blocked_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE stations ADD COLUMN links_count_since BIGINT;
-- The station ended the link itself, or replaced it.
ALTER TABLE link_history ADD COLUMN by_station BOOLEAN NOT NULL DEFAULT FALSE;
