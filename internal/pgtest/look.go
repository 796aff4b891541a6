package pgtest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Look is a view of the database of a running server, for tests that otherwise
// know it by the wire alone: what a client's requests left behind, and a way to
// let time pass for one thing.
type Look struct{ pool *pgxpool.Pool }

// OpenLook connects to a database that somebody else made.
func OpenLook(ctx context.Context, dsn string) (*Look, error) {
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("opening a look into the database: %w", err)
	}
	return &Look{pool}, nil
}

// Close lets go of the connections.
func (l *Look) Close() { l.pool.Close() }

// Counts returns how many rows of each table belong to a client. Revoked grants
// and spent codes are counted on their own too.
func (l *Look) Counts(ctx context.Context, clientID string) (map[string]int64, error) {
	const sql = `
		SELECT 'pushed_requests', count(*) FROM pushed_requests WHERE client_id = $1
		UNION ALL SELECT 'interactions', count(*) FROM interactions WHERE client_id = $1
		UNION ALL SELECT 'consents', count(*) FROM consents WHERE client_id = $1
		UNION ALL SELECT 'grants', count(*) FROM grants WHERE client_id = $1
		UNION ALL SELECT 'grants revoked', count(*) FROM grants WHERE client_id = $1 AND revoked_at IS NOT NULL
		UNION ALL SELECT 'codes', count(*) FROM codes WHERE client_id = $1
		UNION ALL SELECT 'codes spent', count(*) FROM codes WHERE client_id = $1 AND spent_at IS NOT NULL
		UNION ALL SELECT 'refresh_tokens', count(*) FROM refresh_tokens WHERE client_id = $1
		UNION ALL SELECT 'assertion_ids', count(*) FROM assertion_ids WHERE namespace = $1`
	rows, err := l.pool.Query(ctx, sql, clientID)
	if err != nil {
		return nil, fmt.Errorf("counting a client's rows: %w", err)
	}
	defer rows.Close()
	counts := map[string]int64{}
	for rows.Next() {
		var table string
		var n int64
		if err := rows.Scan(&table, &n); err != nil {
			return nil, fmt.Errorf("counting a client's rows: %w", err)
		}
		counts[table] = n
	}
	return counts, rows.Err()
}

// Age makes a pushed request or a code older than it is, by the secret that its
// client holds. It fails when there is no such row.
func (l *Look) Age(ctx context.Context, secret string, by time.Duration) error {
	const sql = `
		WITH pushed AS (
			UPDATE pushed_requests SET created_at = created_at - $2::interval,
				expires_at = expires_at - $2::interval, keep_until = keep_until - $2::interval
			WHERE digest = $1 RETURNING 1),
		code AS (
			UPDATE codes SET created_at = created_at - $2::interval,
				expires_at = expires_at - $2::interval, keep_until = keep_until - $2::interval
			WHERE digest = $1 RETURNING 1)
		SELECT (SELECT count(*) FROM pushed) + (SELECT count(*) FROM code)`
	digest := sha256.Sum256([]byte(secret))
	var n int64
	if err := l.pool.QueryRow(ctx, sql, digest[:], by).Scan(&n); err != nil {
		return fmt.Errorf("letting time pass: %w", err)
	}
	if n != 1 {
		return fmt.Errorf("letting time pass: %d rows have that secret", n)
	}
	return nil
}
