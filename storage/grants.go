package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/procura/procura/internal/fapi"
)

const revokeGrantSQL = onceSQL + `, revoked AS (
	UPDATE grants SET revoked_at = $5::timestamptz, revoked_reason = $6::text, keep_until = $7::timestamptz
	WHERE id = $8::uuid AND issuer = $9::text AND ($10::text = '' OR client_id = $10::text)
		AND revoked_at IS NULL AND EXISTS (SELECT FROM go)
	RETURNING id, issuer, client_id, consent_id
), change AS (
	INSERT INTO changes (id, issuer, kind, value, revoked, created_at, expires_at)
	SELECT gen_random_uuid(), issuer, 'grant', id::text, true, $5::timestamptz, $7::timestamptz FROM revoked
), audited AS (
	INSERT INTO audit_events (id, issuer, at, actor, act, client_id, grant_id, consent_id, detail)
	SELECT gen_random_uuid(), issuer, $5::timestamptz,
		CASE WHEN $10::text = '' THEN 'operator' ELSE 'client:' || $10::text END,
		'grant.revoked', client_id, id, consent_id, $6::text
	FROM revoked
)
SELECT EXISTS (SELECT FROM go),
	EXISTS (SELECT FROM grants WHERE id = $8::uuid AND issuer = $9::text AND ($10::text = '' OR client_id = $10::text))`

// RevokeGrant ends a grant and with it every code, refresh and access token that
// names it; the feed tells the resource servers. Revoking again is no error.
// ErrReplayed: the jti was seen before and nothing was revoked. ErrNotFound: there
// is no such grant of that client.
func (db *DB) RevokeGrant(ctx context.Context, r fapi.GrantRevocation) error {
	if r.FeedUntil.Before(r.Now) || r.Reason == "" {
		return errors.New("revoking grant: a reason and the end of its last access token are needed")
	}
	if !isUUID(r.GrantID) {
		return fmt.Errorf("revoking grant: %w", fapi.ErrNotFound)
	}
	var fresh, exists bool
	err := db.row(ctx, "revoking grant", revokeGrantSQL, onceArgs(r.Once,
		r.Now, r.Reason, r.FeedUntil, r.GrantID, r.Issuer, r.ClientID), &fresh, &exists)
	switch {
	case err != nil:
		return err
	case !fresh:
		return replayed(fresh)
	case !exists:
		return fmt.Errorf("revoking grant: %w", fapi.ErrNotFound)
	}
	return nil
}
