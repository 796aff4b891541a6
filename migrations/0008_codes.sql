-- +goose Up
-- A spent code stays until keep_until, when the last access token that it may
-- have led to is dead, so that its replay is recognised and ends the grant.
CREATE TABLE codes (
    digest         bytea       NOT NULL,
    grant_id       uuid        NOT NULL,
    issuer         text        NOT NULL,
    client_id      text        NOT NULL,
    redirect_uri   text        NOT NULL,
    nonce          text        NOT NULL,
    code_challenge text        NOT NULL,
    scope          text[]      NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    keep_until     timestamptz NOT NULL,
    spent_at       timestamptz,
    CONSTRAINT codes_pkey PRIMARY KEY (digest),
    CONSTRAINT codes_grant_fkey FOREIGN KEY (grant_id) REFERENCES grants (id),
    CONSTRAINT codes_digest CHECK (octet_length(digest) = 32),
    CONSTRAINT codes_named CHECK (issuer <> '' AND client_id <> '' AND redirect_uri <> ''),
    -- RFC 7636 section 4.2: BASE64URL of a SHA-256 has 43 characters.
    CONSTRAINT codes_challenge CHECK (code_challenge = '' OR octet_length(code_challenge) = 43),
    CONSTRAINT codes_life CHECK (expires_at > created_at AND keep_until >= expires_at),
    CONSTRAINT codes_spent_in_time CHECK (spent_at < expires_at)
);

CREATE INDEX codes_grant ON codes (grant_id);
CREATE INDEX codes_expiry ON codes (keep_until);
