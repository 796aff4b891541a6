package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/procura/procura/internal/fapi"
)

const readKeysSQL = `SELECT kid, use, alg, state, public, sealed, created_at, retire_at
FROM signing_keys WHERE issuer = $1 ORDER BY use, alg, created_at, kid`

// ReadKeys returns every key of the issuer, retired ones included, private halves
// sealed.
func (db *DB) ReadKeys(ctx context.Context, issuer string) ([]fapi.SigningKey, error) {
	return collect(ctx, db, "reading keys", readKeysSQL, []any{issuer},
		func(r pgx.CollectableRow) (fapi.SigningKey, error) {
			k := fapi.SigningKey{Issuer: issuer}
			err := r.Scan(&k.KID, &k.Use, &k.Alg, &k.State, &k.Public, &k.Sealed, &k.CreatedAt, instant(&k.RetireAt))
			return k, err
		})
}

const insertKeySQL = `INSERT INTO signing_keys (issuer, kid, use, alg, state, public, sealed, created_at, retire_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

// keysActSQL ends every act on keys: audit row and feed entry.
const keysActSQL = `WITH audited AS (
	INSERT INTO audit_events (id, issuer, at, actor, act, detail)
	VALUES (gen_random_uuid(), $1::text, $2::timestamptz, $3::text, $4::text, $5::text)
), change AS (
	INSERT INTO changes (id, issuer, kind, value, revoked, created_at, expires_at)
	VALUES (gen_random_uuid(), $1::text, 'keys', $1::text, false, $2::timestamptz, $6::timestamptz)
)
SELECT true`

func insertKeyStatement(issuer string, k fapi.SigningKey) statement {
	return statement{insertKeySQL, []any{issuer, k.KID, k.Use, k.Alg, k.State, k.Public, k.Sealed,
		k.CreatedAt, zeronull.Timestamptz(k.RetireAt)}}
}

func keysActStatement(issuer, actor, act string, keys []fapi.SigningKey, now time.Time) statement {
	detail := ""
	for _, k := range keys {
		detail += fmt.Sprintf("%s %s %s %s; ", k.Use, k.Alg, k.State, k.KID)
	}
	return statement{keysActSQL, []any{issuer, now, actor, act, detail, now.Add(reloadLife)}}
}

// InsertKeys stores new keys, all or none. ErrConflict: another process made a
// next or current key of the same use and algorithm first; read again.
func (db *DB) InsertKeys(ctx context.Context, issuer string, keys []fapi.SigningKey, actor string, now time.Time) error {
	if len(keys) == 0 {
		return errors.New("storing keys: none given")
	}
	var list []statement
	for _, k := range keys {
		list = append(list, insertKeyStatement(issuer, k))
	}
	var done bool
	return db.batch(ctx, "storing keys", append(list, keysActStatement(issuer, actor, "keys.created", keys, now)), &done)
}

const retireKeySQL = `UPDATE signing_keys SET state = 'retired', retire_at = $4
WHERE issuer = $1 AND use = $2 AND alg = $3 AND state = 'current'`

const promoteKeySQL = `UPDATE signing_keys SET state = 'current'
WHERE issuer = $1 AND use = $2 AND alg = $3 AND state = 'next'`

// requireCurrentSQL has no row, and so ends the transaction, when a rotation
// would leave a use and algorithm without its current key: it divides by zero.
const requireCurrentSQL = `SELECT 1 / count(*) FROM signing_keys
WHERE issuer = $1 AND use = $2 AND alg = $3 AND state = 'current'`

// RotateKeys replaces keys of the uses and algorithms that next names, in one
// transaction: current becomes retired until retireAt, next becomes current, and
// the given keys are stored in their own state. Nothing else is touched, the
// issuer's secret least of all. ErrConflict: another rotation was faster, or a use
// and algorithm would be left without a current key.
func (db *DB) RotateKeys(ctx context.Context, issuer string, next []fapi.SigningKey, retireAt, now time.Time, actor string) error {
	if len(next) == 0 {
		return errors.New("rotating keys: none given")
	}
	var list []statement
	for _, k := range next {
		pair := []any{issuer, k.Use, k.Alg}
		list = append(list,
			statement{retireKeySQL, append(pair[:3:3], retireAt)},
			statement{promoteKeySQL, pair},
			insertKeyStatement(issuer, k),
			statement{requireCurrentSQL, pair})
	}
	var done bool
	err := db.batch(ctx, "rotating keys", append(list, keysActStatement(issuer, actor, "keys.rotated", next, now)), &done)
	if sqlState(err) == codeDivisionByZero {
		return fmt.Errorf("rotating keys: no current key would be left: %w", fapi.ErrConflict)
	}
	return err
}

const insertIssuerSQL = `INSERT INTO issuers (issuer, sealed_secret, created_at) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING`

const readIssuerSQL = `SELECT sealed_secret FROM issuers WHERE issuer = $1`

// EnsureIssuer stores the sealed secret of an issuer that has none and returns the
// stored one: the first writer's, for ever.
func (db *DB) EnsureIssuer(ctx context.Context, issuer string, sealedSecret []byte, now time.Time) ([]byte, error) {
	var stored []byte
	err := db.batch(ctx, "storing issuer", []statement{
		{insertIssuerSQL, []any{issuer, sealedSecret, now}},
		{readIssuerSQL, []any{issuer}},
	}, &stored)
	return stored, err
}
