-- +goose Up
-- Transaction messages in the order of their arrival, until they are moved to session_events in large steps. Used on
-- SQLite, where a row beside the last one costs a quarter of a row on a page of its own.
CREATE TABLE session_journal (
    id INTEGER PRIMARY KEY, -- the row id of SQLite; nothing is written here on PostgreSQL
    session_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    hash TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    seq_no BIGINT NOT NULL,
    type TEXT NOT NULL,
    offline BOOLEAN NOT NULL,
    payload TEXT NOT NULL
);
