package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/procura/procura/internal/fapi"
)

// onceSQL begins every statement that spends a jti; its parameters are $1 to $4.
// The other parts of the statement hang from go, which is empty when the jti was
// seen before; without a jti there is nothing to spend and go has its row.
const onceSQL = `WITH once AS (
	INSERT INTO assertion_ids (digest, namespace, issuer, expires_at)
	SELECT $1::bytea, $2::text, $3::text, $4::timestamptz WHERE $2::text <> ''
	ON CONFLICT DO NOTHING
	RETURNING 1
), go AS (
	SELECT 1 WHERE $2::text = '' OR EXISTS (SELECT FROM once)
)`

// onceArgs returns the parameters of onceSQL followed by more.
func onceArgs(o fapi.Once, more ...any) []any {
	return append([]any{o.Digest.Bytes(), o.Namespace, o.Issuer, time.Unix(o.ExpiresAt, 0)}, more...)
}

const spendOnceSQL = onceSQL + ` SELECT EXISTS (SELECT FROM go)`

// SpendOnce spends a jti alone, for an operation that was refused or stores
// nothing. The zero Once is nothing to do. ErrReplayed: it was seen before.
func (db *DB) SpendOnce(ctx context.Context, once fapi.Once) error {
	if once.IsZero() {
		return nil
	}
	var fresh bool
	if err := db.row(ctx, "spending jti", spendOnceSQL, onceArgs(once), &fresh); err != nil {
		return err
	}
	return replayed(fresh)
}

// replayed is ErrReplayed unless the jti was fresh.
func replayed(fresh bool) error {
	if !fresh {
		return fmt.Errorf("spending jti: %w", fapi.ErrReplayed)
	}
	return nil
}
