-- +goose Up
-- What a node that died held is found without reading every station and every link there ever was.
CREATE INDEX stations_by_node ON stations (link_node) WHERE link_node <> '';
CREATE INDEX link_history_open ON link_history (node) WHERE disconnected_at IS NULL;
