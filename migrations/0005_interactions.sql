-- +goose Up
-- One attempt of one browser. pushed_digest is no foreign key: several tabs may
-- come from one pushed request, and both rows leave by their own expiry.
CREATE TABLE interactions (
    id            uuid        NOT NULL,
    issuer        text        NOT NULL,
    client_id     text        NOT NULL,
    request       jsonb       NOT NULL,
    pushed_digest bytea,
    cookie_digest bytea       NOT NULL,
    state         text        NOT NULL,
    login         jsonb,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    decided_at    timestamptz,
    CONSTRAINT interactions_pkey PRIMARY KEY (id),
    CONSTRAINT interactions_named CHECK (issuer <> '' AND client_id <> ''),
    CONSTRAINT interactions_digests CHECK (
        octet_length(cookie_digest) = 32
        AND (pushed_digest IS NULL OR octet_length(pushed_digest) = 32)),
    CONSTRAINT interactions_request CHECK (jsonb_typeof(request) = 'object'),
    CONSTRAINT interactions_state CHECK (state IN ('opened', 'logged_in', 'completed', 'refused')),
    CONSTRAINT interactions_login CHECK (
        (state <> 'opened' OR login IS NULL)
        AND (state NOT IN ('logged_in', 'completed') OR login IS NOT NULL)
        AND (login IS NULL OR jsonb_typeof(login) = 'object')),
    CONSTRAINT interactions_decided CHECK ((state IN ('completed', 'refused')) = (decided_at IS NOT NULL)),
    CONSTRAINT interactions_life CHECK (expires_at > created_at)
);

-- A login moves everything that one browser has open to its new cookie.
CREATE INDEX interactions_browser ON interactions (cookie_digest);
CREATE INDEX interactions_expiry ON interactions (expires_at);
