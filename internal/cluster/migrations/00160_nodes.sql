-- +goose Up
-- The nodes of an installation. A node raises beat every few seconds; the others watch the number, not the time, because
-- clocks differ.
CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    state TEXT NOT NULL, -- up, draining, lost (what it held is being taken over), dead, left
    started_at BIGINT NOT NULL,
    beat_at BIGINT NOT NULL,
    beat BIGINT NOT NULL,
    links BIGINT NOT NULL,
    bus BOOLEAN NOT NULL,
    heir TEXT NOT NULL, -- the node that takes over what a lost one held, '' while nobody must
    ended_at BIGINT
);
