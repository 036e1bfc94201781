-- +goose Up
ALTER TABLE users ADD COLUMN disabled BOOLEAN NOT NULL DEFAULT FALSE;
-- Until when the password is one that somebody else knows and that must be changed; 0 for one of the person's own.
ALTER TABLE users ADD COLUMN once_until BIGINT NOT NULL DEFAULT 0;

ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT ''; -- words with a space between, '' for all that the role may
ALTER TABLE api_keys ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0; -- 0 for never
ALTER TABLE api_keys ADD COLUMN last_used_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN created_by TEXT NOT NULL DEFAULT '';

ALTER TABLE sign_ins ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE sign_ins ADD COLUMN user_id TEXT NOT NULL DEFAULT '';
ALTER TABLE sign_ins ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sign_ins ADD COLUMN agent TEXT NOT NULL DEFAULT '';
ALTER TABLE sign_ins ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sign_ins ADD COLUMN seen_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX sign_ins_by_user ON sign_ins (user_id);

-- What was ended stays so, also when a request that was under way writes its sign-in back.
CREATE TABLE ended_sign_ins (
    id TEXT PRIMARY KEY,
    forget_at BIGINT NOT NULL
);

-- Second factors, RFC 6238.
CREATE TABLE second_factors (
    user_id TEXT PRIMARY KEY,
    secret BYTEA NOT NULL,
    confirmed BOOLEAN NOT NULL,
    last_step BIGINT NOT NULL, -- of the newest code that was used
    failures BIGINT NOT NULL, -- in a row
    locked_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (user_id, hash)
);
