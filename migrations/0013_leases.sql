-- +goose Up
-- Work that one process at a time does, held by name until expires_at.
CREATE TABLE leases (
    name       text        NOT NULL,
    holder     text        NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT leases_pkey PRIMARY KEY (name),
    CONSTRAINT leases_named CHECK (name <> '' AND holder <> '')
);
