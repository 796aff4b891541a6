-- +goose Up
-- The feed of what ended and what must be read again. Readers go by created_at
-- with an overlap and drop the ids they know: a commit may come late.
CREATE TABLE changes (
    id         uuid        NOT NULL,
    issuer     text        NOT NULL,
    kind       text        NOT NULL,
    value      text        NOT NULL,
    revoked    boolean     NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT changes_pkey PRIMARY KEY (id),
    CONSTRAINT changes_kind CHECK (kind IN ('token', 'grant', 'consent', 'client', 'keys')),
    CONSTRAINT changes_named CHECK (issuer <> '' AND value <> ''),
    -- A token, grant or consent is only ever reported because it ended.
    CONSTRAINT changes_revoked CHECK (kind = 'client' OR revoked = (kind <> 'keys'))
);

CREATE INDEX changes_feed ON changes (issuer, created_at);
CREATE INDEX changes_value ON changes (issuer, kind, value);
CREATE INDEX changes_expiry ON changes (expires_at);
