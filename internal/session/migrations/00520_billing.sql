-- +goose Up
ALTER TABLE sessions ADD COLUMN billing TEXT NOT NULL DEFAULT 'running';
ALTER TABLE sessions ADD COLUMN end_told BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sessions ADD COLUMN restarted_mwh BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN max_power_w BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN clock_offset BIGINT;
ALTER TABLE sessions ADD COLUMN started_corrected BIGINT;
ALTER TABLE sessions ADD COLUMN ended_corrected BIGINT;

-- Every flag that there was before this step holds.
UPDATE sessions SET billing = CASE WHEN flags = '' THEN 'ready' ELSE 'held' END, end_told = TRUE WHERE state = 'ended';

CREATE INDEX sessions_held ON sessions (organisation_id, started_at, id) WHERE billing = 'held';
CREATE INDEX sessions_by_place ON sessions (station_id, evse, started_at);
CREATE INDEX sessions_by_number ON sessions (transaction_id);

-- Messages that could not be processed, or that name what is not their station's, as they came in 2.1 terms.
CREATE TABLE quarantine (
    organisation_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    id TEXT NOT NULL,
    station_id TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    payload TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (organisation_id, at, id)
) /*CLUSTERED*/;

CREATE UNIQUE INDEX quarantine_by_content ON quarantine (station_id, hash);
