// Package storage keeps the records of package fapi in Postgres. Each security
// act is one method and one SQL statement that decides by its row count, so that
// of any number of racers one wins and the rest get a sentinel of package fapi.
// It takes no decision that needs a profile, reads no clock (time is a parameter)
// and refuses to report success for a write that touched nothing.
package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SchemaVersion is the schema that the statements are written for; the next one
// is accepted as well, so that servers are replaced one by one.
const SchemaVersion int64 = 13

// Config says where the database is.
type Config struct {
	DSN      string // a secret: never printed. Several hosts with target_session_attrs=read-write are fine
	MaxConns int32  // upper bound of the pool
}

// Deps are the collaborators of a DB.
type Deps struct {
	Tracer pgx.QueryTracer // sees every statement; may be nil
}

// DB is a pool of connections. It is safe for concurrent use.
type DB struct {
	pool   *pgxpool.Pool
	holder string // names this process in lease rows
}

// sessionDefaults are run-time parameters of every connection unless the DSN sets
// them. Every statement here finds rows by key: the plans are made once, and a
// table that is still small must not leave a cached sequential scan behind.
var sessionDefaults = map[string]string{
	"application_name":                    "procura",
	"statement_timeout":                   "10000",
	"lock_timeout":                        "5000",
	"idle_in_transaction_session_timeout": "10000",
	"plan_cache_mode":                     "force_generic_plan",
	"enable_seqscan":                      "off",
	"jit":                                 "off",
}

// Open connects. It fails when the database does not answer and does not look at
// the schema: Ready does.
func Open(ctx context.Context, cfg Config, deps Deps) (*DB, error) {
	if cfg.DSN == "" || cfg.MaxConns <= 0 {
		return nil, errors.New("opening storage: DSN and MaxConns are required")
	}
	pc, err := poolConfig(cfg, deps)
	if err != nil {
		return nil, err
	}
	holder, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("naming the process: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, classify("opening storage", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, classify("connecting to the database", err)
	}
	return &DB{pool: pool, holder: holder.String()}, nil
}

// poolConfig refuses a DSN that cannot be parsed without repeating it.
func poolConfig(cfg Config, deps Deps) (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(cfg.DSN)
	if err != nil {
		return nil, errors.New("parsing the database DSN: malformed (not shown: it may hold a password)")
	}
	params := maps.Clone(sessionDefaults)
	maps.Copy(params, pc.ConnConfig.RuntimeParams)
	pc.ConnConfig.RuntimeParams = params
	pc.ConnConfig.Tracer = deps.Tracer
	pc.MaxConns = cfg.MaxConns
	pc.MaxConnLifetime = 30 * time.Minute
	pc.MaxConnLifetimeJitter = 5 * time.Minute
	pc.AfterConnect = readTimesInUTC
	return pc, nil
}

func readTimesInUTC(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}})
	return nil
}

// Close waits for running statements and closes every connection.
func (db *DB) Close() { db.pool.Close() }

const readVersionSQL = `SELECT COALESCE(max(version_id), 0) FROM goose_db_version WHERE is_applied`

// Ready reports whether the database answers and has a schema that this build
// serves: its own or the next. It refuses every other one and names the command.
func (db *DB) Ready(ctx context.Context) error {
	var version int64
	err := db.row(ctx, "reading schema version", readVersionSQL, nil, &version)
	if isUndefinedTable(err) {
		return errors.New("the database has no schema: run `procura migrate up`")
	}
	if err != nil {
		return err
	}
	if version != SchemaVersion && version != SchemaVersion+1 {
		return fmt.Errorf("the database has schema %d, this build serves %d and %d: run `procura migrate up` or the fitting build",
			version, SchemaVersion, SchemaVersion+1)
	}
	return nil
}

// row runs a statement that returns exactly one row, with the retries of retry.
func (db *DB) row(ctx context.Context, act, sql string, args []any, dest ...any) error {
	return db.retry(ctx, act, func() error {
		return db.pool.QueryRow(ctx, sql, args...).Scan(dest...)
	})
}

// statement is one member of a batch; every one but the last returns no row.
type statement struct {
	sql  string
	args []any
}

// batch sends statements in one round trip and one implicit transaction, each
// with a snapshot of its own, and scans the row of the last one.
func (db *DB) batch(ctx context.Context, act string, list []statement, dest ...any) error {
	return db.retry(ctx, act, func() error {
		var b pgx.Batch
		for _, s := range list {
			b.Queue(s.sql, s.args...)
		}
		results := db.pool.SendBatch(ctx, &b)
		err := readBatch(results, len(list), dest)
		if closeErr := results.Close(); err == nil {
			err = closeErr
		}
		return err
	})
}

func readBatch(results pgx.BatchResults, n int, dest []any) error {
	for range n - 1 {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	return results.QueryRow().Scan(dest...)
}

// collect runs a query of many rows and makes a record of each.
func collect[T any](ctx context.Context, db *DB, act, sql string, args []any, read func(pgx.CollectableRow) (T, error)) ([]T, error) {
	var list []T
	err := db.retry(ctx, act, func() error {
		rows, err := db.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, read)
		return err
	})
	return list, err
}
