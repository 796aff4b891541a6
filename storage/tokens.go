package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/procura/procura/internal/fapi"
)

const readRefreshSQL = onceSQL + `
SELECT EXISTS (SELECT FROM go), r.grant_id, r.client_id, r.scope, r.created_at, r.expires_at, r.revoked_at,
	` + grantColumns + `, ` + consentColumns + `
FROM (VALUES (1)) AS one
LEFT JOIN refresh_tokens r ON r.digest = $5::bytea AND r.issuer = $6::text AND EXISTS (SELECT FROM go)
LEFT JOIN grants g ON g.id = r.grant_id
LEFT JOIN consents c ON c.issuer = g.issuer AND c.id = g.consent_id`

// ReadRefresh returns a refresh token with its grant and consent, dead ones
// included: the caller compares the client and asks Live. It spends the jti in
// the same statement, for a token that does not exist (ErrNotFound) as well.
// ErrReplayed tells nothing of the token.
func (db *DB) ReadRefresh(ctx context.Context, issuer string, d fapi.Digest, once fapi.Once) (*fapi.RefreshState, error) {
	t := fapi.RefreshToken{Digest: d, Issuer: issuer}
	var fresh bool
	var g grantRow
	var c consentRow
	dest := append([]any{&fresh, text(&t.GrantID), text(&t.ClientID), &t.Scope, instant(&t.CreatedAt),
		instant(&t.ExpiresAt), instant(&t.RevokedAt)}, g.dest()...)
	err := db.row(ctx, "reading refresh token", readRefreshSQL, onceArgs(once, d.Bytes(), issuer), append(dest, c.dest()...)...)
	switch {
	case err != nil:
		return nil, err
	case !fresh:
		return nil, replayed(fresh)
	case t.GrantID == "":
		return nil, fmt.Errorf("reading refresh token: %w", fapi.ErrNotFound)
	}
	grant, err := g.record()
	if err != nil {
		return nil, err
	}
	return &fapi.RefreshState{Refresh: t, Grant: *grant, Consent: c.record()}, nil
}

const readTokenStateSQL = onceSQL + `
SELECT EXISTS (SELECT FROM go),
	EXISTS (SELECT FROM changes WHERE issuer = $5::text AND kind = 'token' AND value = $7::text AND revoked)
	OR NOT EXISTS (SELECT FROM clients WHERE issuer = $5::text AND client_id = $6::text AND disabled_at IS NULL),
	` + grantColumns + `, ` + consentColumns + `
FROM (VALUES (1)) AS one
LEFT JOIN grants g ON g.id = $8::uuid AND g.issuer = $5::text AND g.client_id = $6::text AND EXISTS (SELECT FROM go)
LEFT JOIN consents c ON c.issuer = $5::text AND c.client_id = $6::text AND c.id = COALESCE(g.consent_id, $9::text)`

// ReadTokenState tells whether a verified access token is still alive: its jti is
// not revoked, its client is enabled, and the grant and consent that it names
// exist, are that client's and live at q.Now. It spends the asking client's jti in
// the same statement. ErrReplayed tells nothing of the token.
func (db *DB) ReadTokenState(ctx context.Context, q fapi.TokenQuery) (*fapi.TokenState, error) {
	var fresh bool
	var state fapi.TokenState
	var g grantRow
	var c consentRow
	dest := append([]any{&fresh, &state.Revoked}, g.dest()...)
	grantID := q.GrantID
	if !isUUID(grantID) {
		grantID = ""
	}
	err := db.row(ctx, "reading token state", readTokenStateSQL, onceArgs(q.Once, q.Issuer, q.ClientID, q.JTI,
		zeronull.Text(grantID), zeronull.Text(q.ConsentID)), append(dest, c.dest()...)...)
	if err != nil {
		return nil, err
	}
	if !fresh {
		return nil, replayed(fresh)
	}
	if state.Grant, err = g.record(); err != nil {
		return nil, err
	}
	state.Consent = c.record()
	state.Revoked = state.Revoked || ended(q, &state)
	return &state, nil
}

// ended reports whether the grant or consent that the token names has ended or
// cannot be found; a consent that only the grant names counts as well.
func ended(q fapi.TokenQuery, s *fapi.TokenState) bool {
	if q.GrantID != "" && (s.Grant == nil || !s.Grant.Live(q.Now)) {
		return true
	}
	named := q.ConsentID != "" || (s.Grant != nil && s.Grant.ConsentID != "")
	if named && (s.Consent == nil || !s.Consent.Live(q.Now)) {
		return true
	}
	return s.Grant != nil && q.ConsentID != "" && s.Grant.ConsentID != q.ConsentID
}

const revokeTokenSQL = onceSQL + `, change AS (
	INSERT INTO changes (id, issuer, kind, value, revoked, created_at, expires_at)
	SELECT gen_random_uuid(), $5::text, 'token', $6::text, true, $7::timestamptz, $8::timestamptz
	FROM go WHERE NOT EXISTS (
		SELECT FROM changes WHERE issuer = $5::text AND kind = 'token' AND value = $6::text)
)
SELECT EXISTS (SELECT FROM go)`

// RevokeToken ends one access token by its jti (RFC 7009); the entry lives as long
// as the token would have. The caller has verified the token and that it is the
// client's own. ErrReplayed: the assertion's jti was seen before.
func (db *DB) RevokeToken(ctx context.Context, r fapi.TokenRevocation) error {
	if r.JTI == "" || r.ExpiresAt.IsZero() {
		return errors.New("revoking token: jti and expiry are needed")
	}
	var fresh bool
	err := db.row(ctx, "revoking token", revokeTokenSQL,
		onceArgs(r.Once, r.Issuer, r.JTI, r.Now, r.ExpiresAt), &fresh)
	if err != nil {
		return err
	}
	return replayed(fresh)
}
