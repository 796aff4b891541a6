-- +goose Up
CREATE TABLE consents (
    issuer           text        NOT NULL,
    id               text        NOT NULL,
    client_id        text        NOT NULL,
    kind             text        NOT NULL,
    permissions      text[]      NOT NULL,
    status           text        NOT NULL,
    customer         text,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    expires_at       timestamptz,
    transaction_from timestamptz,
    transaction_to   timestamptz,
    CONSTRAINT consents_pkey PRIMARY KEY (issuer, id),
    CONSTRAINT consents_client_fkey FOREIGN KEY (issuer, client_id) REFERENCES clients (issuer, client_id),
    CONSTRAINT consents_named CHECK (octet_length(id) BETWEEN 1 AND 128 AND kind <> ''),
    CONSTRAINT consents_status CHECK (status IN ('awaiting', 'authorised', 'rejected', 'deleted')),
    CONSTRAINT consents_customer CHECK (
        (status <> 'authorised' OR customer IS NOT NULL)
        AND (status NOT IN ('awaiting', 'rejected') OR customer IS NULL)
        AND customer <> '')
);

CREATE INDEX consents_client ON consents (issuer, client_id);
