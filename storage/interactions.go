package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/procura/procura/internal/fapi"
)

const insertInteractionSQL = `INSERT INTO interactions
	(id, issuer, client_id, request, pushed_digest, cookie_digest, state, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, 'opened', $7, $8)
RETURNING true`

// InsertInteraction stores a newly opened interaction. It refuses one that is
// already further: every later state is reached by its own act.
func (db *DB) InsertInteraction(ctx context.Context, i fapi.Interaction) error {
	if i.State != fapi.InteractionOpened || i.Login != nil {
		return fmt.Errorf("storing interaction in state %q: %w", i.State, fapi.ErrConflict)
	}
	request, err := json.Marshal(i.Request)
	if err != nil {
		return fmt.Errorf("encoding interaction: %w", err)
	}
	var stored bool
	return db.row(ctx, "storing interaction", insertInteractionSQL, []any{i.ID, i.Issuer, i.ClientID, request,
		optional(i.PushedDigest), i.CookieDigest.Bytes(), i.CreatedAt, i.ExpiresAt}, &stored)
}

const readInteractionSQL = `SELECT client_id, request, pushed_digest, cookie_digest, state, login, created_at, expires_at
FROM interactions WHERE id = $1 AND issuer = $2`

// ReadInteraction returns an interaction in whatever state it is, expired ones
// included. ErrNotFound also for a malformed id and another issuer's.
func (db *DB) ReadInteraction(ctx context.Context, issuer, id string) (*fapi.Interaction, error) {
	if !isUUID(id) {
		return nil, fmt.Errorf("reading interaction: %w", fapi.ErrNotFound)
	}
	i := fapi.Interaction{ID: id, Issuer: issuer}
	var request, pushed, cookie, login []byte
	err := db.row(ctx, "reading interaction", readInteractionSQL, []any{id, issuer},
		&i.ClientID, &request, &pushed, &cookie, &i.State, &login, &i.CreatedAt, &i.ExpiresAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("reading interaction: %w", fapi.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	i.CookieDigest = digestOf(cookie)
	if pushed != nil {
		d := digestOf(pushed)
		i.PushedDigest = &d
	}
	if err := decodeInteraction(&i, request, login); err != nil {
		return nil, err
	}
	return &i, nil
}

func decodeInteraction(i *fapi.Interaction, request, login []byte) error {
	if err := json.Unmarshal(request, &i.Request); err != nil {
		return fmt.Errorf("decoding interaction: %w", err)
	}
	if login == nil {
		return nil
	}
	i.Login = new(fapi.Login)
	if err := json.Unmarshal(login, i.Login); err != nil {
		return fmt.Errorf("decoding login: %w", err)
	}
	return nil
}

// recordLoginSQL locks what the browser has open in one order, so that two of its
// tabs that come back at once do not wait for each other.
const recordLoginSQL = `WITH browser AS MATERIALIZED (
	SELECT id, state, expires_at FROM interactions
	WHERE issuer = $2::text AND cookie_digest = $5::bytea AND state IN ('opened', 'logged_in')
	ORDER BY id FOR UPDATE
), target AS MATERIALIZED (
	SELECT 1 FROM browser WHERE id = $1::uuid AND state = 'opened' AND expires_at > $4::timestamptz
), done AS (
	UPDATE interactions SET cookie_digest = $6::bytea,
		state = CASE WHEN id = $1::uuid THEN 'logged_in' ELSE state END,
		login = CASE WHEN id = $1::uuid THEN $3::jsonb ELSE login END
	WHERE id IN (SELECT id FROM browser) AND EXISTS (SELECT FROM target)
)
SELECT EXISTS (SELECT FROM target)`

// RecordLogin moves an unexpired interaction of the browser with r.OldCookie from
// opened to logged in, and all that this browser has open to r.NewCookie. In every
// other state it is ErrConflict: one login answer per interaction.
func (db *DB) RecordLogin(ctx context.Context, r fapi.LoginRecord) error {
	if !isUUID(r.Interaction) {
		return fmt.Errorf("recording login: %w", fapi.ErrConflict)
	}
	doc, err := json.Marshal(r.Login)
	if err != nil {
		return fmt.Errorf("encoding login: %w", err)
	}
	var done bool
	if err := db.row(ctx, "recording login", recordLoginSQL, []any{r.Interaction, r.Issuer, doc, r.Now,
		r.OldCookie.Bytes(), r.NewCookie.Bytes()}, &done); err != nil {
		return err
	}
	if !done {
		return fmt.Errorf("recording login: %w", fapi.ErrConflict)
	}
	return nil
}
