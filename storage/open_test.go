package storage_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/pgbox"
	"github.com/procura/procura/internal/pgtest"
	"github.com/procura/procura/migrations"
	"github.com/procura/procura/storage"
)

func exec(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	ok(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), sql)
	ok(t, err)
}

// Zero values are refused, and no error repeats the DSN.
func TestOpenRefuses(t *testing.T) {
	for _, cfg := range []storage.Config{
		{}, {DSN: "postgres://u:s3cret@h/db"}, {DSN: "postgres://u:s3cret@h:port/db", MaxConns: 1},
		{DSN: "host=h password=s3cret port=x", MaxConns: 1},
	} {
		_, err := storage.Open(t.Context(), cfg, storage.Deps{})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("error %v", err)
		}
	}
	_, err := storage.Open(t.Context(), storage.Config{DSN: "postgres://u:s3cret@127.0.0.1:1/db", MaxConns: 1}, storage.Deps{})
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error %v", err)
	}
	want(t, err, fapi.ErrUnavailable)
}

// A server is ready on its own schema and on the next one, on no other.
func TestReady(t *testing.T) {
	empty := pgtest.Open(t, pgtest.NewEmptyDSN(t), 1)
	if err := empty.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "procura migrate up") {
		t.Errorf("without a schema: %v", err)
	}
	dsn := pgtest.NewDSN(t)
	db := pgtest.Open(t, dsn, 1)
	ok(t, db.Ready(t.Context()))
	exec(t, dsn, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (14, true)")
	ok(t, db.Ready(t.Context()))
	exec(t, dsn, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (15, true)")
	if err := db.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "schema 15") {
		t.Errorf("two schemas ahead: %v", err)
	}
}

// The serving role does every act of the server and none of the owner's.
func TestServingRole(t *testing.T) {
	dsn := pgtest.NewDSN(t)
	const role = `serving "role"`
	exec(t, dsn, `CREATE ROLE "serving ""role""" LOGIN;`+migrations.Grants(role))
	served := strings.Replace(dsn, "procura@", "serving%20%22role%22@", 1)
	w := newWorld(t, pgtest.Open(t, served, 4), served)

	ok(t, w.Ready(t.Context()))
	w.consent(t, "c")
	p := w.push(t, "p")
	c := completion(w.loggedIn(t, &p.Digest), "k", "c")
	ok(t, w.CompleteAuthorization(t.Context(), c))
	ok(t, w.SpendCode(t.Context(), redemption(c, once("a"))))
	_, err := w.ReadTokenState(t.Context(), fapi.TokenQuery{Issuer: issuer, ClientID: "tpp", GrantID: c.Grant.ID, Now: c.Now})
	ok(t, err)
	ok(t, w.RevokeToken(t.Context(), fapi.TokenRevocation{Issuer: issuer, JTI: "t", Now: start, ExpiresAt: start}))
	ok(t, w.RevokeGrant(t.Context(), revocation(c, fapi.Once{})))
	ok(t, w.DeleteConsent(t.Context(), issuer, "tpp", "c", start, start))
	ok(t, w.RefuseInteraction(t.Context(), refusal(w.open(t, nil), "")))
	ok(t, w.InsertKeys(t.Context(), issuer, []fapi.SigningKey{key("c", fapi.KeyCurrent), key("n", fapi.KeyNext)}, "op", start))
	ok(t, w.RotateKeys(t.Context(), issuer, []fapi.SigningKey{key("o", fapi.KeyNext)}, start, start, "op"))
	_, err = w.EnsureIssuer(t.Context(), issuer, []byte("s"), start)
	ok(t, err)
	ok(t, w.DisableClient(t.Context(), issuer, "rival", "op", start, start))
	if n, err := w.Sweep(t.Context(), start.AddDate(1, 0, 0), 10); err != nil || n == 0 {
		t.Errorf("swept %d, %v", n, err)
	}

	conn, err := pgx.Connect(t.Context(), served)
	ok(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, sql := range []string{
		"CREATE TABLE x (y int)", "ALTER TABLE clients ADD x int", "DROP TABLE codes", "TRUNCATE codes",
		"CREATE INDEX x ON codes (issuer)", "CREATE SCHEMA x", "CREATE ROLE x", "DELETE FROM audit_events",
		"UPDATE audit_events SET actor = 'x'", "DELETE FROM goose_db_version",
	} {
		if _, err := conn.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// A database that is away is ErrUnavailable, in the middle as at the start; when it
// is back the pool serves again.
func TestUnavailable(t *testing.T) {
	dir, err := os.MkdirTemp("", "procura-away-")
	ok(t, err)
	box, err := pgbox.Start(t.Context(), pgbox.Config{DataDir: dir, Log: io.Discard})
	ok(t, err)
	dsn := box.DSN(pgbox.Database)
	_, err = migrations.Up(t.Context(), dsn)
	ok(t, err)
	db := pgtest.Open(t, dsn, 2)
	ok(t, db.SpendOnce(t.Context(), once("a")))
	ok(t, box.Stop(t.Context()))
	want(t, db.SpendOnce(t.Context(), once("b")), fapi.ErrUnavailable)
	want(t, db.Ready(t.Context()), fapi.ErrUnavailable)
	_, err = db.ReadClient(t.Context(), issuer, "tpp")
	want(t, err, fapi.ErrUnavailable)

	box, err = pgbox.Start(t.Context(), pgbox.Config{DataDir: dir, Log: io.Discard})
	ok(t, err)
	t.Cleanup(func() { ok(t, pgbox.Remove(context.Background(), dir)) })
	defer func() { ok(t, box.Stop(context.Background())) }()
	want(t, db.SpendOnce(t.Context(), once("a")), fapi.ErrReplayed)
	ok(t, db.SpendOnce(t.Context(), once("b")))
}

// A caller that has gone is not answered with another error than its own.
func TestCanceled(t *testing.T) {
	db := pgtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.SpendOnce(ctx, once("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A statement that waits too long for a lock is trouble that passes.
func TestLockTimeout(t *testing.T) {
	dsn := pgtest.NewDSN(t)
	w := newWorld(t, pgtest.Open(t, dsn+"&lock_timeout=50", 2), dsn)
	c := w.code(t, "k", "")
	conn, err := pgx.Connect(t.Context(), dsn)
	ok(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), "BEGIN; SELECT 1 FROM grants FOR UPDATE")
	ok(t, err)
	want(t, w.RevokeGrant(t.Context(), revocation(c, once("a"))), fapi.ErrUnavailable)
	_, err = conn.Exec(t.Context(), "ROLLBACK")
	ok(t, err)
	// The jti was not spent: the client's retry of the same request succeeds.
	ok(t, w.RevokeGrant(t.Context(), revocation(c, once("a"))))
}
