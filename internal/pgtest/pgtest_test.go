package pgtest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// Each test has a database of its own with the schema that the code serves, and
// nothing of another's in it.
func TestNew(t *testing.T) {
	once := fapi.Once{Issuer: "https://bank.example", Namespace: "c", ExpiresAt: 1}
	for range 3 {
		db := pgtest.New(t)
		if err := db.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		if err := db.SpendOnce(t.Context(), once); err != nil {
			t.Error(err)
		}
	}
}

// A database goes with its test, even when a connection was left open.
func TestDropped(t *testing.T) {
	var dsn string
	t.Run("inner", func(t *testing.T) {
		dsn = pgtest.NewDSN(t)
		if _, err := pgx.Connect(context.Background(), dsn); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := pgx.Connect(t.Context(), dsn); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("got %v", err)
	}
}

func TestNewEmptyDSN(t *testing.T) {
	if err := pgtest.Open(t, pgtest.NewEmptyDSN(t), 1).Ready(t.Context()); err == nil {
		t.Error("an empty database is ready")
	}
}

// The counter sees a statement that is prepared first as two round trips, and the
// next one as one.
func TestCounter(t *testing.T) {
	db, counter := pgtest.NewCounted(t)
	for _, n := range []int{2, 1, 1} {
		counter.Reset()
		if err := db.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if counter.RoundTrips() != n {
			t.Errorf("%d round trips, want %d", counter.RoundTrips(), n)
		}
	}
	// A batch is one, however many statements it has.
	for i := range 2 {
		counter.Reset()
		if _, err := db.EnsureIssuer(t.Context(), "https://bank.example", []byte{1}, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
		if n := counter.RoundTrips(); i == 1 && n != 1 {
			t.Errorf("%d round trips for a batch", n)
		}
	}
}
