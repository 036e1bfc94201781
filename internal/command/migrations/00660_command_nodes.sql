-- +goose Up
-- Which node has a command that is on its way and since when, so that the commands of a dead node can be told from those
-- of others. turn: the command was taken from its station's queue, and the rest of the queue waits for its end.
ALTER TABLE commands ADD COLUMN node TEXT NOT NULL DEFAULT '';
ALTER TABLE commands ADD COLUMN turn BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE commands ADD COLUMN taken_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX commands_under_way ON commands (station_id, node) WHERE status = 'sent';
