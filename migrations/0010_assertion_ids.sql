-- +goose Up
-- Spent jti values. The primary key is the single-use rule; it begins with the
-- digest so that rows spread evenly.
CREATE TABLE assertion_ids (
    digest     bytea       NOT NULL,
    namespace  text        NOT NULL,
    issuer     text        NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT assertion_ids_pkey PRIMARY KEY (digest, namespace, issuer),
    CONSTRAINT assertion_ids_digest CHECK (octet_length(digest) = 32),
    CONSTRAINT assertion_ids_named CHECK (issuer <> '' AND namespace <> '')
);

CREATE INDEX assertion_ids_expiry ON assertion_ids (expires_at);
