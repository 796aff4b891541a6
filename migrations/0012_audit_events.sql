-- +goose Up
-- What was done to grants, consents, clients and keys, written by the statement
-- that did it. Nothing refers to other tables: the record outlives what it names.
CREATE TABLE audit_events (
    id         uuid        NOT NULL,
    issuer     text        NOT NULL,
    at         timestamptz NOT NULL,
    actor      text        NOT NULL,
    act        text        NOT NULL,
    client_id  text,
    grant_id   uuid,
    consent_id text,
    detail     text        NOT NULL,
    CONSTRAINT audit_events_pkey PRIMARY KEY (id),
    CONSTRAINT audit_events_named CHECK (issuer <> '' AND actor <> '' AND act <> '')
);

CREATE INDEX audit_events_time ON audit_events (issuer, at);
