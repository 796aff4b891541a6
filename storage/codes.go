package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/procura/procura/internal/fapi"
)

const readCodeSQL = `SELECT k.grant_id, k.client_id, k.redirect_uri, k.nonce, k.code_challenge, k.scope,
	k.created_at, k.expires_at, k.keep_until, k.spent_at, ` + grantColumns + `, ` + consentColumns + `
FROM codes k
JOIN grants g ON g.id = k.grant_id
LEFT JOIN consents c ON c.issuer = g.issuer AND c.id = g.consent_id
WHERE k.digest = $1 AND k.issuer = $2`

// ReadCode returns a code with its grant and consent, spent and expired ones
// included, so that a replay is told from a stranger's guess. ErrNotFound also
// for another issuer's.
func (db *DB) ReadCode(ctx context.Context, issuer string, d fapi.Digest) (*fapi.CodeState, error) {
	k := fapi.Code{Digest: d, Issuer: issuer}
	var g grantRow
	var c consentRow
	dest := append([]any{&k.GrantID, &k.ClientID, &k.RedirectURI, &k.Nonce, &k.CodeChallenge, &k.Scope,
		&k.CreatedAt, &k.ExpiresAt, &k.KeepUntil, instant(&k.SpentAt)}, g.dest()...)
	err := db.row(ctx, "reading code", readCodeSQL, []any{d.Bytes(), issuer}, append(dest, c.dest()...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("reading code: %w", fapi.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	grant, err := g.record()
	if err != nil {
		return nil, err
	}
	return &fapi.CodeState{Code: k, Grant: *grant, Consent: c.record()}, nil
}

const spendCodeSQL = onceSQL + `, code AS (
	UPDATE codes SET spent_at = $5::timestamptz
	WHERE digest = $6::bytea AND issuer = $7::text AND client_id = $8::text
		AND spent_at IS NULL AND expires_at > $5::timestamptz
		AND EXISTS (SELECT FROM go)
		AND EXISTS (SELECT FROM grants g WHERE g.id = codes.grant_id AND g.revoked_at IS NULL
			AND (g.expires_at IS NULL OR g.expires_at > $5::timestamptz))
	RETURNING grant_id, issuer, client_id
), refresh AS (
	INSERT INTO refresh_tokens (digest, grant_id, issuer, client_id, scope, created_at, expires_at)
	SELECT $9::bytea, grant_id, issuer, client_id, $10::text[], $5::timestamptz, $11::timestamptz
	FROM code WHERE $9::bytea IS NOT NULL
)
SELECT EXISTS (SELECT FROM go), EXISTS (SELECT FROM code)`

// SpendCode redeems a code (RFC 6749 §4.1.3): one winner. The refresh token is
// stored with it. ErrReplayed: the assertion's jti was seen before, and the code
// is as it was. ErrSpent: the code was spent, has expired, is another client's or
// its grant has ended; nothing but the jti is changed then.
func (db *DB) SpendCode(ctx context.Context, r fapi.Redemption) error {
	var digest []byte
	var refresh fapi.RefreshToken
	if r.Refresh != nil {
		refresh = *r.Refresh
		digest = refresh.Digest.Bytes()
	}
	var fresh, spent bool
	err := db.row(ctx, "spending code", spendCodeSQL, onceArgs(r.Once, r.Now, r.Code.Bytes(), r.Issuer, r.ClientID,
		digest, list(refresh.Scope), zeronull.Timestamptz(refresh.ExpiresAt)), &fresh, &spent)
	switch {
	case err != nil:
		return err
	case !fresh:
		return replayed(fresh)
	case !spent:
		return fmt.Errorf("spending code: %w", fapi.ErrSpent)
	}
	return nil
}
