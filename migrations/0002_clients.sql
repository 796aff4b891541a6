-- +goose Up
-- metadata holds the client under its RFC 7591 names. There is no foreign key to
-- issuers: an operator may import clients before the server's first start has
-- drawn the issuer's secret.
CREATE TABLE clients (
    issuer      text        NOT NULL,
    client_id   text        NOT NULL,
    profile     text        NOT NULL,
    metadata    jsonb       NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    disabled_at timestamptz,
    CONSTRAINT clients_pkey PRIMARY KEY (issuer, client_id),
    CONSTRAINT clients_named CHECK (issuer <> '' AND client_id <> '' AND profile <> ''),
    CONSTRAINT clients_metadata_agrees CHECK (
        jsonb_typeof(metadata) = 'object'
        AND metadata ->> 'client_id' = client_id
        AND metadata ->> 'profile' = profile)
);
