-- +goose Up
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (id),
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    types TEXT NOT NULL, -- JSON array, [] for all
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    secret BYTEA NOT NULL,
    old_secret BYTEA,
    old_until BIGINT,
    place TEXT NOT NULL, -- cursor in the events
    place_at BIGINT NOT NULL, -- when it was kept
    last_seq BIGINT NOT NULL,
    streak BIGINT NOT NULL, -- failed attempts in a row
    next_at BIGINT NOT NULL, -- nothing is sent before
    failing_since BIGINT,
    last_success_at BIGINT
);
CREATE INDEX webhooks_by_organisation ON webhooks (organisation_id, id);

CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY,
    webhook_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL, -- all
    step BIGINT NOT NULL, -- attempts since it was sent by hand
    response_status BIGINT NOT NULL, -- 0 without an answer
    response TEXT NOT NULL,
    error TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    attempted_at BIGINT,
    next_at BIGINT,
    UNIQUE (webhook_id, event_id)
);
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (webhook_id, seq) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (webhook_id, at);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);
