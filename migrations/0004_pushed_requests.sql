-- +goose Up
-- Key: SHA-256 of the request_uri. expires_at is when /authorize must have opened
-- it; keep_until is when the last interaction opened from it has ended.
CREATE TABLE pushed_requests (
    digest     bytea       NOT NULL,
    issuer     text        NOT NULL,
    client_id  text        NOT NULL,
    parameters jsonb       NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    keep_until timestamptz NOT NULL,
    spent_at   timestamptz,
    CONSTRAINT pushed_requests_pkey PRIMARY KEY (digest),
    CONSTRAINT pushed_requests_digest CHECK (octet_length(digest) = 32),
    CONSTRAINT pushed_requests_named CHECK (issuer <> '' AND client_id <> ''),
    CONSTRAINT pushed_requests_parameters CHECK (jsonb_typeof(parameters) = 'object'),
    CONSTRAINT pushed_requests_life CHECK (expires_at > created_at AND keep_until >= expires_at)
);

CREATE INDEX pushed_requests_expiry ON pushed_requests (keep_until);
