package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/procura/procura/internal/fapi"
)

const insertConsentSQL = `WITH stored AS (
	INSERT INTO consents (issuer, id, client_id, kind, permissions, status, created_at, updated_at,
		expires_at, transaction_from, transaction_to)
	VALUES ($1, $2, $3, $4, $5, 'awaiting', $6, $7, $8, $9, $10)
	RETURNING issuer, id, client_id, kind, created_at
), audited AS (
	INSERT INTO audit_events (id, issuer, at, actor, act, client_id, consent_id, detail)
	SELECT gen_random_uuid(), issuer, created_at, 'client:' || client_id, 'consent.created', client_id, id, kind
	FROM stored
)
SELECT EXISTS (SELECT FROM stored)`

// InsertConsent stores a newly lodged consent. It refuses one that does not await
// its customer; ErrConflict also when the id exists.
func (db *DB) InsertConsent(ctx context.Context, c fapi.Consent) error {
	if c.Status != fapi.ConsentAwaiting || c.Customer != "" {
		return fmt.Errorf("storing consent in state %q: %w", c.Status, fapi.ErrConflict)
	}
	var stored bool
	return db.row(ctx, "storing consent", insertConsentSQL, []any{c.Issuer, c.ID, c.ClientID, c.Kind, list(c.Permissions),
		c.CreatedAt, c.UpdatedAt, zeronull.Timestamptz(c.ExpiresAt), zeronull.Timestamptz(c.TransactionFrom),
		zeronull.Timestamptz(c.TransactionTo)}, &stored)
}

const readConsentSQL = `SELECT ` + consentColumns + ` FROM consents c WHERE c.issuer = $1 AND c.id = $2`

// ReadConsent returns a consent in whatever state it is; the caller compares the
// client.
func (db *DB) ReadConsent(ctx context.Context, issuer, id string) (*fapi.Consent, error) {
	var c consentRow
	err := db.row(ctx, "reading consent", readConsentSQL, []any{issuer, id}, c.dest()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("reading consent: %w", fapi.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return c.record(), nil
}

// lockConsentSQL runs before deleteConsentSQL in the same transaction: an
// authorization that is being completed is waited for, so that the second
// statement's snapshot has its grant.
const lockConsentSQL = `SELECT 1 FROM consents WHERE issuer = $1 AND id = $2 AND client_id = $3 FOR UPDATE`

const deleteConsentSQL = `WITH gone AS (
	UPDATE consents SET status = 'deleted', updated_at = $4::timestamptz
	WHERE issuer = $1::text AND id = $2::text AND client_id = $3::text AND status IN ('awaiting', 'authorised')
	RETURNING id
), revoked AS (
	UPDATE grants SET revoked_at = $4::timestamptz, revoked_reason = 'consent_deleted', keep_until = $5::timestamptz
	WHERE issuer = $1::text AND consent_id = $2::text AND revoked_at IS NULL AND EXISTS (SELECT FROM gone)
	RETURNING id
), change AS (
	INSERT INTO changes (id, issuer, kind, value, revoked, created_at, expires_at)
	SELECT gen_random_uuid(), $1::text, 'consent', id, true, $4::timestamptz, $5::timestamptz FROM gone
), audited AS (
	INSERT INTO audit_events (id, issuer, at, actor, act, client_id, grant_id, consent_id, detail)
	SELECT gen_random_uuid(), $1::text, $4::timestamptz, 'client:' || $3::text, acts.act, $3::text, acts.grant_id, $2::text, ''
	FROM (SELECT 'consent.deleted' AS act, NULL::uuid AS grant_id FROM gone
		UNION ALL SELECT 'grant.revoked', id FROM revoked) AS acts
)
SELECT EXISTS (SELECT FROM gone),
	EXISTS (SELECT FROM consents WHERE issuer = $1::text AND id = $2::text AND client_id = $3::text)`

// DeleteConsent is the TPP's end of a consent: it becomes deleted, every grant on
// it is revoked, and the feed says so until feedUntil. ErrNotFound also for
// another client's; ErrConflict when it is in a final state.
func (db *DB) DeleteConsent(ctx context.Context, issuer, clientID, id string, now, feedUntil time.Time) error {
	var gone, exists bool
	err := db.batch(ctx, "deleting consent", []statement{
		{lockConsentSQL, []any{issuer, id, clientID}},
		{deleteConsentSQL, []any{issuer, id, clientID, now, feedUntil}},
	}, &gone, &exists)
	switch {
	case err != nil:
		return err
	case !exists:
		return fmt.Errorf("deleting consent: %w", fapi.ErrNotFound)
	case !gone:
		return fmt.Errorf("deleting consent: %w", fapi.ErrConflict)
	}
	return nil
}
