-- +goose Up
-- What a customer gave a client. keep_until is when nothing that came of the
-- grant can be alive; null while that is open.
CREATE TABLE grants (
    id             uuid        NOT NULL,
    issuer         text        NOT NULL,
    client_id      text        NOT NULL,
    consent_id     text,
    customer       text        NOT NULL,
    subject        text        NOT NULL,
    scope          text[]      NOT NULL,
    claims         jsonb       NOT NULL,
    acr            text        NOT NULL,
    amr            text[]      NOT NULL,
    auth_time      timestamptz,
    accounts       text[]      NOT NULL,
    profile        jsonb       NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz,
    revoked_at     timestamptz,
    revoked_reason text,
    keep_until     timestamptz,
    CONSTRAINT grants_pkey PRIMARY KEY (id),
    CONSTRAINT grants_client_fkey FOREIGN KEY (issuer, client_id) REFERENCES clients (issuer, client_id),
    CONSTRAINT grants_consent_fkey FOREIGN KEY (issuer, consent_id) REFERENCES consents (issuer, id),
    CONSTRAINT grants_speaks_for_somebody CHECK (customer <> '' AND subject <> ''),
    CONSTRAINT grants_documents CHECK (jsonb_typeof(claims) = 'object' AND jsonb_typeof(profile) = 'object'),
    CONSTRAINT grants_life CHECK (expires_at > created_at),
    CONSTRAINT grants_revoked_has_reason CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL)),
    CONSTRAINT grants_ended_has_end CHECK ((revoked_at IS NULL AND expires_at IS NULL) = (keep_until IS NULL))
);

CREATE INDEX grants_client ON grants (issuer, client_id);
CREATE INDEX grants_consent ON grants (issuer, consent_id);
CREATE INDEX grants_expiry ON grants (keep_until);
