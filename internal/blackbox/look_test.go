package blackbox_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/procura/procura/internal/config"
	"github.com/procura/procura/internal/pgtest"
)

// openLook opens the sandbox's database by the DSN of its configuration.
func (r *rig) openLook(ctx context.Context) error {
	cfg, err := config.Load(r.Path(r.ConfigFile), os.Environ())
	if err != nil {
		return err
	}
	dsn, err := cfg.Database.ConnectionString()
	if err != nil {
		return err
	}
	r.look, err = pgtest.OpenLook(ctx, dsn)
	return err
}

// left counts what a client's requests have left in the database.
func left(t testing.TB, p *party) map[string]int64 {
	t.Helper()
	counts, err := house.look.Counts(context.WithoutCancel(t.Context()), p.id) // at the test's end too
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// nothingLeft fails when anything was stored for or issued to the client since
// before, except that assertions are spent.
func nothingLeft(t testing.TB, p *party, before map[string]int64, except ...string) {
	t.Helper()
	for name, n := range left(t, p) {
		if n != before[name] && name != "assertion_ids" && !slices.Contains(except, name) {
			t.Errorf("%s of %s: %d before, %d after", name, p.spec.name, before[name], n)
		}
	}
}

// leavesNothing checks at the end of the test that nothing was stored for or
// issued to the clients.
func leavesNothing(t *testing.T, parties ...*party) {
	t.Helper()
	for _, p := range parties {
		before := left(t, p)
		t.Cleanup(func() { nothingLeft(t, p, before) })
	}
}

// passes lets time pass for one request_uri or code.
func passes(t testing.TB, secret string, by time.Duration) {
	t.Helper()
	if err := house.look.Age(t.Context(), secret, by); err != nil {
		t.Fatal(err)
	}
}
