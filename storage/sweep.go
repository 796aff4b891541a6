package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// sweepLease is how long one process keeps the sweeping to itself; it is longer
// than a sweep and short enough that a dead process is replaced soon.
const sweepLease = time.Minute

// sweepRounds bounds one call, so that a backlog does not outlast the lease.
const sweepRounds = 100

const takeLeaseSQL = `INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
	WHERE leases.holder = excluded.holder OR leases.expires_at <= $4
RETURNING true`

// The deletes go by an expiry index and take a bounded number of rows each ($2).
const (
	sweepAssertionsSQL = `DELETE FROM assertion_ids WHERE (digest, namespace, issuer) IN (
	SELECT digest, namespace, issuer FROM assertion_ids WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`
	sweepPushedSQL = `DELETE FROM pushed_requests WHERE digest IN (
	SELECT digest FROM pushed_requests WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2)`
	sweepInteractionsSQL = `DELETE FROM interactions WHERE id IN (
	SELECT id FROM interactions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`
	sweepChangesSQL = `DELETE FROM changes WHERE id IN (
	SELECT id FROM changes WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`
	sweepCodesSQL = `DELETE FROM codes WHERE digest IN (
	SELECT digest FROM codes WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2)`
	sweepRefreshSQL = `DELETE FROM refresh_tokens WHERE digest IN (
	SELECT digest FROM refresh_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`
	// A refresh token without an expiry of its own ends with its grant.
	sweepOrphansSQL = `DELETE FROM refresh_tokens WHERE digest IN (
	SELECT r.digest FROM grants g JOIN refresh_tokens r ON r.grant_id = g.id WHERE g.keep_until <= $1 LIMIT $2)`
	// A grant goes after everything that hangs from it.
	sweepGrantsSQL = `DELETE FROM grants WHERE id IN (
	SELECT id FROM grants g WHERE keep_until <= $1
		AND NOT EXISTS (SELECT FROM codes WHERE grant_id = g.id)
		AND NOT EXISTS (SELECT FROM refresh_tokens WHERE grant_id = g.id)
	ORDER BY keep_until LIMIT $2)`
)

// Sweep deletes rows that no answer depends on any more and returns how many. One
// process at a time does it, by a lease row; for the others it returns 0. Each
// delete takes at most batch rows, so that no traffic waits for it; what one call
// leaves, the next one takes.
func (db *DB) Sweep(ctx context.Context, now time.Time, batch int) (int, error) {
	if batch <= 0 {
		return 0, errors.New("sweeping: the batch must be positive")
	}
	var mine bool
	err := db.row(ctx, "taking the sweeper's lease", takeLeaseSQL, []any{"sweep", db.holder, now.Add(sweepLease), now}, &mine)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	total := 0
	for _, sql := range []string{sweepAssertionsSQL, sweepPushedSQL, sweepInteractionsSQL, sweepChangesSQL,
		sweepCodesSQL, sweepRefreshSQL, sweepOrphansSQL, sweepGrantsSQL} {
		n, err := db.sweepTable(ctx, sql, now, batch)
		total += n
		if err != nil {
			return total, fmt.Errorf("sweeping: %w", err)
		}
	}
	return total, nil
}

func (db *DB) sweepTable(ctx context.Context, sql string, now time.Time, batch int) (int, error) {
	total := 0
	for range sweepRounds {
		var n int64
		err := db.retry(ctx, "deleting expired rows", func() error {
			tag, err := db.pool.Exec(ctx, sql, now, batch)
			n = tag.RowsAffected()
			return err
		})
		total += int(n)
		if err != nil || int(n) < batch {
			return total, err
		}
	}
	return total, nil
}
