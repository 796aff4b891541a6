-- +goose Up
-- At most one next and one current key per use and algorithm: the processes that
-- start together make one set, and a rotation that lost the race fails.
CREATE TABLE signing_keys (
    issuer     text        NOT NULL,
    kid        text        NOT NULL,
    use        text        NOT NULL,
    alg        text        NOT NULL,
    state      text        NOT NULL,
    public     jsonb       NOT NULL,
    sealed     bytea       NOT NULL,
    created_at timestamptz NOT NULL,
    retire_at  timestamptz,
    CONSTRAINT signing_keys_pkey PRIMARY KEY (issuer, kid),
    CONSTRAINT signing_keys_use CHECK (use IN ('sig', 'enc')),
    CONSTRAINT signing_keys_state CHECK (state IN ('next', 'current', 'retired')),
    CONSTRAINT signing_keys_retired_has_date CHECK ((state = 'retired') = (retire_at IS NOT NULL)),
    CONSTRAINT signing_keys_sealed_present CHECK (octet_length(sealed) > 0)
);

CREATE UNIQUE INDEX signing_keys_one_live ON signing_keys (issuer, use, alg, state)
    WHERE state IN ('next', 'current');
