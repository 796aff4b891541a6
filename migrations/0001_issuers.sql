-- +goose Up
-- One row per brand of the bank. The sealed secret is the root of pairwise
-- subjects: it is written once and never replaced.
CREATE TABLE issuers (
    issuer        text        NOT NULL,
    sealed_secret bytea       NOT NULL,
    created_at    timestamptz NOT NULL,
    CONSTRAINT issuers_pkey PRIMARY KEY (issuer),
    CONSTRAINT issuers_secret_present CHECK (octet_length(sealed_secret) > 0)
);
