-- +goose Up
CREATE TABLE refresh_tokens (
    digest     bytea       NOT NULL,
    grant_id   uuid        NOT NULL,
    issuer     text        NOT NULL,
    client_id  text        NOT NULL,
    scope      text[]      NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT refresh_tokens_pkey PRIMARY KEY (digest),
    CONSTRAINT refresh_tokens_grant_fkey FOREIGN KEY (grant_id) REFERENCES grants (id),
    CONSTRAINT refresh_tokens_digest CHECK (octet_length(digest) = 32),
    CONSTRAINT refresh_tokens_named CHECK (issuer <> '' AND client_id <> ''),
    CONSTRAINT refresh_tokens_life CHECK (expires_at > created_at)
);

CREATE INDEX refresh_tokens_grant ON refresh_tokens (grant_id);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);
