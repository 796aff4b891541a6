// Package migrations holds the schema as numbered SQL files and applies them
// through goose. It goes forward only: a mistake is mended by the next file.
// Several processes may call Up at once; a leased row lets one of them work. It
// refuses to print or apply anything that is not in the embedded files.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Latest is the schema version that this build's code is written for.
const Latest int64 = 13

// lockInterval and lockTries bound the wait for another process's migration.
const (
	lockInterval = 200 * time.Millisecond
	lockTries    = 600
)

//go:embed *.sql
var files embed.FS

// Step is one migration and whether the database has it.
type Step struct {
	Version   int64
	Name      string
	AppliedAt time.Time // zero: pending
}

// Files returns the embedded migration files, for whoever checks their text.
func Files() fs.FS { return files }

// Accepts reports whether this build runs on a schema of the given version: its
// own, or the next one, so that servers are replaced one by one.
func Accepts(version int64) bool { return version == Latest || version == Latest+1 }

// Up applies what is pending and returns the names of the files it applied.
func Up(ctx context.Context, dsn string) ([]string, error) {
	db, err := open(dsn)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	p, err := provider(db)
	if err != nil {
		return nil, err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("applying migrations: %w", err)
	}
	var names []string
	for _, r := range results {
		names = append(names, r.Source.Path)
	}
	return names, nil
}

// Status lists every migration in order with the time it was applied.
func Status(ctx context.Context, dsn string) ([]Step, error) {
	db, err := open(dsn)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	p, err := provider(db)
	if err != nil {
		return nil, err
	}
	list, err := p.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading migration status: %w", err)
	}
	var steps []Step
	for _, s := range list {
		steps = append(steps, Step{Version: s.Source.Version, Name: s.Source.Path, AppliedAt: s.AppliedAt})
	}
	return steps, nil
}

// provider ties the embedded files to db. The lock is always the leased row,
// never a session advisory lock: those are lost behind a transaction pooler.
func provider(db *sql.DB) (*goose.Provider, error) {
	locker, err := lock.NewPostgresTableLocker(lock.WithTableLockTimeout(lockInterval, lockTries))
	if err != nil {
		return nil, fmt.Errorf("preparing the migration lock: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("reading migrations: %w", err)
	}
	return p, nil
}

// open returns a database/sql handle. The DSN is a secret, so a malformed one is
// reported without its text.
func open(dsn string) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("parsing the database DSN: malformed (not shown: it may hold a password)")
	}
	return stdlib.OpenDB(*cfg), nil
}
