package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/procura/procura/internal/fapi"
)

const insertPushedSQL = onceSQL + `, stored AS (
	INSERT INTO pushed_requests (digest, issuer, client_id, parameters, created_at, expires_at, keep_until)
	SELECT $5::bytea, $6::text, $7::text, $8::jsonb, $9::timestamptz, $10::timestamptz, $11::timestamptz FROM go
)
SELECT EXISTS (SELECT FROM go)`

// InsertPushed stores a pushed request and spends the jti of the client's
// assertion with it (RFC 9126 §2). ErrReplayed stores nothing.
func (db *DB) InsertPushed(ctx context.Context, p fapi.PushedRequest, once fapi.Once) error {
	params, err := json.Marshal(p.Request)
	if err != nil {
		return fmt.Errorf("encoding pushed request: %w", err)
	}
	// An interaction may be opened until ExpiresAt and then has its own life.
	keep := p.ExpiresAt.Add(fapi.InteractionLife)
	var fresh bool
	err = db.row(ctx, "storing pushed request", insertPushedSQL, onceArgs(once,
		p.Digest.Bytes(), p.Issuer, p.ClientID, params, p.CreatedAt, p.ExpiresAt, keep), &fresh)
	if err != nil {
		return err
	}
	return replayed(fresh)
}

const readPushedSQL = `SELECT client_id, parameters, created_at, expires_at, spent_at IS NOT NULL
FROM pushed_requests WHERE digest = $1 AND issuer = $2`

// ReadPushed returns a pushed request, spent and expired ones included: the caller
// compares client and time. ErrNotFound also for another issuer's.
func (db *DB) ReadPushed(ctx context.Context, issuer string, d fapi.Digest) (*fapi.PushedRequest, error) {
	p := fapi.PushedRequest{Digest: d, Issuer: issuer}
	var params []byte
	err := db.row(ctx, "reading pushed request", readPushedSQL, []any{d.Bytes(), issuer},
		&p.ClientID, &params, &p.CreatedAt, &p.ExpiresAt, &p.Spent)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("reading pushed request: %w", fapi.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(params, &p.Request); err != nil {
		return nil, fmt.Errorf("decoding pushed request: %w", err)
	}
	return &p, nil
}
