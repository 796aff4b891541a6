// Package pgtest gives each test a migrated database of its own on a real
// Postgres. A test binary has one server, in memory where there is room, which
// goes with the binary; a test that cannot have one fails, it is never skipped.
package pgtest

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/storage"
)

// Bounds of what a test waits for.
const (
	startLimit = 6 * time.Minute // the first one fetches the binaries
	actLimit   = time.Minute
	poolSize   = 10
)

// shared is the binary's server: the one thing here that outlives a test.
var shared struct {
	once   sync.Once
	server *server
	err    error
}

func get(t testing.TB) *server {
	t.Helper()
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		shared.server, shared.err = startServer(ctx)
	})
	if shared.err != nil {
		t.Fatalf("starting the tests' Postgres: %v", shared.err)
	}
	return shared.server
}

// Main runs the tests and then stops and removes the server, if any test started
// one: func TestMain(m *testing.M) { pgtest.Main(m) }.
func Main(m *testing.M) {
	code := m.Run()
	if s := shared.server; s != nil {
		ctx, cancel := context.WithTimeout(context.Background(), actLimit)
		if err := s.remove(ctx); err != nil {
			os.Stderr.WriteString("removing the tests' Postgres: " + err.Error() + "\n")
			code = max(code, 1)
		}
		cancel()
	}
	os.Exit(code)
}

// NewDSN returns the DSN of a fresh database with the latest schema.
func NewDSN(t testing.TB) string {
	t.Helper()
	return database(t, get(t).clone)
}

// NewEmptyDSN returns the DSN of a fresh database without any schema.
func NewEmptyDSN(t testing.TB) string {
	t.Helper()
	return database(t, get(t).empty)
}

func database(t testing.TB, create func(context.Context) (string, error)) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), actLimit)
	defer cancel()
	name, err := create(ctx)
	if err != nil {
		t.Fatalf("making a database: %v", err)
	}
	s := shared.server
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), actLimit)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			t.Errorf("dropping a database: %v", err)
		}
	})
	return s.box.DSN(name)
}

// New opens a fresh migrated database for the life of the test.
func New(t testing.TB) *storage.DB {
	t.Helper()
	return open(t, NewDSN(t), poolSize, storage.Deps{})
}

// NewCounted opens one whose round trips are counted. It has a single connection,
// so that a statement is prepared by its first use and never again.
func NewCounted(t testing.TB) (*storage.DB, *Counter) {
	t.Helper()
	c := new(Counter)
	return open(t, NewDSN(t), 1, storage.Deps{Tracer: c}), c
}

// Open opens a database that NewDSN made, with a pool of its own.
func Open(t testing.TB, dsn string, conns int32) *storage.DB {
	t.Helper()
	return open(t, dsn, conns, storage.Deps{})
}

func open(t testing.TB, dsn string, conns int32, deps storage.Deps) *storage.DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), actLimit)
	defer cancel()
	db, err := storage.Open(ctx, storage.Config{DSN: dsn, MaxConns: conns}, deps)
	if err != nil {
		t.Fatalf("opening the database: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}
