package storage

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/procura/procura/internal/fapi"
)

const changesSinceSQL = `SELECT id, kind, value, revoked, created_at, expires_at
FROM changes WHERE issuer = $1 AND created_at >= $2 AND expires_at > $3
ORDER BY created_at, id`

// ChangesSince returns the feed's live entries from since on, oldest first. A
// commit may come later than its time says: readers ask with an overlap and drop
// the ids they know.
func (db *DB) ChangesSince(ctx context.Context, issuer string, since, now time.Time) ([]fapi.Change, error) {
	return collect(ctx, db, "reading changes", changesSinceSQL, []any{issuer, since, now},
		func(r pgx.CollectableRow) (fapi.Change, error) {
			c := fapi.Change{Issuer: issuer}
			err := r.Scan(&c.ID, &c.Kind, &c.Value, &c.Revoked, &c.CreatedAt, &c.ExpiresAt)
			return c, err
		})
}
