package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/procura/procura/internal/fapi"
)

// reloadLife is how long the feed keeps the news that a client or the keys must
// be read again. The server's processes look within a second; one that was away
// for longer starts with empty caches.
const reloadLife = time.Hour

const readClientSQL = `SELECT metadata, disabled_at IS NOT NULL FROM clients WHERE issuer = $1 AND client_id = $2`

// ReadClient returns a client; Disabled is set when the operator disabled it.
func (db *DB) ReadClient(ctx context.Context, issuer, clientID string) (*fapi.Client, error) {
	var doc []byte
	var disabled bool
	err := db.row(ctx, "reading client", readClientSQL, []any{issuer, clientID}, &doc, &disabled)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("reading client: %w", fapi.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return decodeClient(issuer, doc, disabled)
}

func decodeClient(issuer string, doc []byte, disabled bool) (*fapi.Client, error) {
	c := fapi.Client{Issuer: issuer, Disabled: disabled}
	if err := json.Unmarshal(doc, &c); err != nil {
		return nil, fmt.Errorf("decoding client: %w", err)
	}
	return &c, nil
}

const listClientsSQL = `SELECT metadata, disabled_at IS NOT NULL FROM clients WHERE issuer = $1 ORDER BY client_id`

// ListClients returns every client of the issuer, disabled ones included.
func (db *DB) ListClients(ctx context.Context, issuer string) ([]*fapi.Client, error) {
	return collect(ctx, db, "listing clients", listClientsSQL, []any{issuer},
		func(r pgx.CollectableRow) (*fapi.Client, error) {
			var doc []byte
			var disabled bool
			if err := r.Scan(&doc, &disabled); err != nil {
				return nil, err
			}
			return decodeClient(issuer, doc, disabled)
		})
}

const putClientSQL = `WITH put AS (
	INSERT INTO clients (issuer, client_id, profile, metadata, created_at, updated_at)
	VALUES ($1::text, $2::text, $3::text, $4::jsonb, $5::timestamptz, $5::timestamptz)
	ON CONFLICT (issuer, client_id) DO UPDATE
		SET profile = excluded.profile, metadata = excluded.metadata, updated_at = excluded.updated_at
		WHERE clients.metadata <> excluded.metadata
	RETURNING client_id
), change AS (
	INSERT INTO changes (id, issuer, kind, value, revoked, created_at, expires_at)
	SELECT gen_random_uuid(), $1::text, 'client', client_id, false, $5::timestamptz, $6::timestamptz FROM put
), audited AS (
	INSERT INTO audit_events (id, issuer, at, actor, act, client_id, detail)
	SELECT gen_random_uuid(), $1::text, $5::timestamptz, $7::text, 'client.put', client_id, $3::text FROM put
)
SELECT EXISTS (SELECT FROM put)`

// PutClients creates or replaces clients, all or none, with an audit row and an
// entry of the feed for each that is new or different. A disabled client stays
// disabled: an import does not undo what an operator decided in an incident.
func (db *DB) PutClients(ctx context.Context, issuer string, clients []*fapi.Client, actor string, now time.Time) error {
	if len(clients) == 0 {
		return nil
	}
	var list []statement
	for _, c := range clients {
		doc, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("encoding client: %w", err)
		}
		list = append(list, statement{putClientSQL,
			[]any{issuer, c.ID, c.Profile, doc, now, now.Add(reloadLife), actor}})
	}
	var changed bool
	return db.batch(ctx, "storing clients", list, &changed)
}

const disableClientSQL = `WITH disabled AS (
	UPDATE clients SET disabled_at = $3::timestamptz
	WHERE issuer = $1::text AND client_id = $2::text AND disabled_at IS NULL
	RETURNING client_id
), change AS (
	INSERT INTO changes (id, issuer, kind, value, revoked, created_at, expires_at)
	SELECT gen_random_uuid(), $1::text, 'client', client_id, true, $3::timestamptz, $4::timestamptz FROM disabled
), audited AS (
	INSERT INTO audit_events (id, issuer, at, actor, act, client_id, detail)
	SELECT gen_random_uuid(), $1::text, $3::timestamptz, $5::text, 'client.disabled', client_id, '' FROM disabled
)
SELECT EXISTS (SELECT FROM clients WHERE issuer = $1::text AND client_id = $2::text)`

// DisableClient makes a client unknown and tells the feed that its tokens are
// dead. Disabling again changes nothing. ErrNotFound: there is no such client.
func (db *DB) DisableClient(ctx context.Context, issuer, clientID, actor string, now, feedUntil time.Time) error {
	var exists bool
	err := db.row(ctx, "disabling client", disableClientSQL, []any{issuer, clientID, now, feedUntil, actor}, &exists)
	if err != nil {
		return err
	}
	if !exists {
		return fmt.Errorf("disabling client: %w", fapi.ErrNotFound)
	}
	return nil
}
