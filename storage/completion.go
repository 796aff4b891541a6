package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/procura/procura/internal/fapi"
)

// completeSQL first locks interaction, pushed request and consent, always in this
// order, and takes each only in the state that it needs; when one is missing, ok
// is empty and nothing is written. The locks make losers of a race wait and then
// see what the winner left.
const completeSQL = `WITH i AS MATERIALIZED (
	SELECT 1 FROM interactions
	WHERE id = $1::uuid AND issuer = $2::text AND client_id = $3::text AND state = 'logged_in'
		AND expires_at > $4::timestamptz AND pushed_digest IS NOT DISTINCT FROM $5::bytea
	FOR UPDATE
), p AS MATERIALIZED (
	SELECT 1 FROM pushed_requests
	WHERE digest = $5::bytea AND issuer = $2::text AND client_id = $3::text AND spent_at IS NULL
		AND EXISTS (SELECT FROM i)
	FOR UPDATE
), single AS MATERIALIZED (
	SELECT 1 WHERE EXISTS (SELECT FROM i) AND ($5::bytea IS NULL OR EXISTS (SELECT FROM p))
), c AS MATERIALIZED (
	SELECT 1 FROM consents
	WHERE issuer = $2::text AND id = $6::text AND client_id = $3::text
		AND (status = 'awaiting' OR (status = 'authorised' AND customer = $7::text))
		AND (expires_at IS NULL OR expires_at > $4::timestamptz)
		AND EXISTS (SELECT FROM single)
	FOR UPDATE
), ok AS MATERIALIZED (
	SELECT 1 WHERE EXISTS (SELECT FROM single) AND ($6::text IS NULL OR EXISTS (SELECT FROM c))
), interaction AS (
	UPDATE interactions SET state = 'completed', decided_at = $4::timestamptz
	WHERE id = $1::uuid AND EXISTS (SELECT FROM ok)
), pushed AS (
	UPDATE pushed_requests SET spent_at = $4::timestamptz
	WHERE digest = $5::bytea AND EXISTS (SELECT FROM ok)
), consent AS (
	UPDATE consents SET status = 'authorised', customer = $7::text, updated_at = $4::timestamptz
	WHERE issuer = $2::text AND id = $6::text AND EXISTS (SELECT FROM ok)
), granted AS (
	INSERT INTO grants (id, issuer, client_id, consent_id, customer, subject, scope, claims, acr, amr,
		auth_time, accounts, profile, created_at, expires_at, keep_until)
	SELECT $8::uuid, $2::text, $3::text, $6::text, $7::text, $9::text, $10::text[], $11::jsonb, $12::text, $13::text[],
		$14::timestamptz, $15::text[], $16::jsonb, $4::timestamptz, $17::timestamptz, $18::timestamptz
	FROM ok
), coded AS (
	INSERT INTO codes (digest, grant_id, issuer, client_id, redirect_uri, nonce, code_challenge,
		scope, created_at, expires_at, keep_until)
	SELECT $19::bytea, $8::uuid, $2::text, $3::text, $20::text, $21::text, $22::text,
		$23::text[], $24::timestamptz, $25::timestamptz, $26::timestamptz
	FROM ok
), audited AS (
	INSERT INTO audit_events (id, issuer, at, actor, act, client_id, grant_id, consent_id, detail)
	SELECT gen_random_uuid(), $2::text, $4::timestamptz, 'customer:' || $7::text, acts.act, $3::text, $8::uuid, $6::text, ''
	FROM ok, (VALUES ('grant.created'), ('consent.authorised')) AS acts (act)
	WHERE acts.act = 'grant.created' OR $6::text IS NOT NULL
)
SELECT EXISTS (SELECT FROM single), EXISTS (SELECT FROM ok)`

// CompleteAuthorization is the customer's yes: interaction and pushed request are
// spent, the consent is authorised, grant, code and audit rows come to be, all or
// nothing. ErrSpent: the interaction is not logged in, has expired or was not
// opened from that pushed request, or the pushed request was answered before.
// ErrConflict: the consent cannot be decided, is another client's or was
// authorised by another customer.
func (db *DB) CompleteAuthorization(ctx context.Context, c fapi.Completion) error {
	args, err := completionArgs(c)
	if err != nil {
		return fmt.Errorf("completing authorization: %w", err)
	}
	var single, ok bool
	if err := db.row(ctx, "completing authorization", completeSQL, args, &single, &ok); err != nil {
		return err
	}
	switch {
	case !single:
		return fmt.Errorf("completing authorization: %w", fapi.ErrSpent)
	case !ok:
		return fmt.Errorf("authorising consent: %w", fapi.ErrConflict)
	}
	return nil
}

func completionArgs(c fapi.Completion) ([]any, error) {
	g, code := &c.Grant, &c.Code
	if code.GrantID != g.ID || code.Issuer != g.Issuer || code.ClientID != g.ClientID {
		return nil, errors.New("code and grant disagree on grant, issuer or client")
	}
	if !isUUID(c.Interaction) || !isUUID(g.ID) {
		return nil, errors.New("interaction and grant need UUIDs")
	}
	claims, err := json.Marshal(g.Claims)
	if err != nil {
		return nil, fmt.Errorf("encoding claims: %w", err)
	}
	profile, err := json.Marshal(g.Profile)
	if err != nil {
		return nil, fmt.Errorf("encoding profile: %w", err)
	}
	if g.Profile == nil {
		profile = []byte(`{}`)
	}
	keep := g.ExpiresAt
	if !keep.IsZero() && keep.Before(code.KeepUntil) {
		keep = code.KeepUntil
	}
	return []any{c.Interaction, g.Issuer, g.ClientID, c.Now, optional(c.PushedDigest), zeronull.Text(g.ConsentID), g.Customer,
		g.ID, g.Subject, list(g.Scope), claims, g.ACR, list(g.AMR),
		zeronull.Timestamptz(g.AuthTime), list(g.Accounts), profile, zeronull.Timestamptz(g.ExpiresAt), zeronull.Timestamptz(keep),
		code.Digest.Bytes(), code.RedirectURI, code.Nonce, code.CodeChallenge,
		list(code.Scope), code.CreatedAt, code.ExpiresAt, code.KeepUntil}, nil
}

const refuseSQL = `WITH i AS MATERIALIZED (
	SELECT 1 FROM interactions
	WHERE id = $1::uuid AND issuer = $2::text AND client_id = $3::text AND state IN ('opened', 'logged_in')
		AND pushed_digest IS NOT DISTINCT FROM $5::bytea
	FOR UPDATE
), p AS MATERIALIZED (
	SELECT 1 FROM pushed_requests
	WHERE digest = $5::bytea AND issuer = $2::text AND client_id = $3::text AND spent_at IS NULL
		AND EXISTS (SELECT FROM i)
	FOR UPDATE
), ok AS MATERIALIZED (
	SELECT 1 WHERE EXISTS (SELECT FROM i) AND ($5::bytea IS NULL OR EXISTS (SELECT FROM p))
), interaction AS (
	UPDATE interactions SET state = 'refused', decided_at = $4::timestamptz
	WHERE id = $1::uuid AND EXISTS (SELECT FROM ok)
), pushed AS (
	UPDATE pushed_requests SET spent_at = $4::timestamptz
	WHERE digest = $5::bytea AND EXISTS (SELECT FROM ok)
), consent AS (
	UPDATE consents SET status = 'rejected', updated_at = $4::timestamptz
	WHERE issuer = $2::text AND id = $6::text AND client_id = $3::text AND status = 'awaiting'
		AND EXISTS (SELECT FROM ok)
	RETURNING id
), audited AS (
	INSERT INTO audit_events (id, issuer, at, actor, act, client_id, consent_id, detail)
	SELECT gen_random_uuid(), $2::text, $4::timestamptz, 'customer', 'consent.rejected', $3::text, id, $7::text
	FROM consent
)
SELECT EXISTS (SELECT FROM ok)`

// RefuseInteraction ends an interaction without a grant: the pushed request is
// spent too, and a consent that still awaited its customer is rejected. ErrSpent:
// the client has its answer already.
func (db *DB) RefuseInteraction(ctx context.Context, r fapi.Refusal) error {
	if !isUUID(r.Interaction) {
		return fmt.Errorf("refusing interaction: %w", fapi.ErrSpent)
	}
	var ok bool
	err := db.row(ctx, "refusing interaction", refuseSQL, []any{r.Interaction, r.Issuer, r.ClientID, r.Now,
		optional(r.PushedDigest), zeronull.Text(r.ConsentID), r.Reason}, &ok)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("refusing interaction: %w", fapi.ErrSpent)
	}
	return nil
}
