package pgbox_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/procura/procura/internal/pgbox"
	"github.com/procura/procura/migrations"
)

// A path that is too long for a socket is no reason to fail.
func TestLongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), strings.Repeat("long", 30))
	if err := os.Mkdir(filepath.Dir(dir), 0o711); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	b := start(t, dir)
	if _, err := migrations.Status(t.Context(), b.DSN(pgbox.Database)); err != nil {
		t.Error(err)
	}
	socket := pgbox.Socket(b)
	if strings.HasPrefix(socket, dir) {
		t.Errorf("socket in %s", socket)
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := pgbox.Remove(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("socket folder left: %v", err)
	}
}

// Root's folders are closed to the account that Postgres runs under: the database
// then lives elsewhere, the same place each time.
func TestClosedFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has folders that it cannot use")
	}
	closed := folder(t)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "db")
	first := start(t, dir)
	place := pgbox.Dir(first)
	if strings.HasPrefix(place, closed) {
		t.Fatalf("the database is in %s", place)
	}
	if _, err := migrations.Up(t.Context(), first.DSN(pgbox.Database)); err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := start(t, dir)
	if pgbox.Dir(second) != place {
		t.Errorf("first %s, then %s", place, pgbox.Dir(second))
	}
	hasData(t, second)
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Without its folder the database is nobody's: the next start makes another.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	third := start(t, dir)
	if steps, err := migrations.Status(t.Context(), third.DSN(pgbox.Database)); err != nil || !steps[0].AppliedAt.IsZero() {
		t.Errorf("the data outlived their folder: %v, %v", steps, err)
	}
	if err := third.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Or whichever start comes next.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(closed, "other")
	fourth := start(t, other)
	if _, err := os.Stat(place); !os.IsNotExist(err) {
		t.Errorf("orphan left: %v", err)
	}
	if err := fourth.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := pgbox.Remove(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(pgbox.Dir(fourth)); !os.IsNotExist(err) {
		t.Errorf("left: %v", err)
	}
}

// Where nothing can be fetched, Postgres comes from the machine, and without one
// the error says what to do.
func TestNothingToFetch(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cache, err := os.MkdirTemp("", "procura-cache-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(cache) })
	if err := os.Chmod(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, "PROCURA_PG_BIN=", "HTTPS_PROXY=http://127.0.0.1:1",
		"XDG_CACHE_HOME="+cache, "HOME="+cache)
	out, err := cmd.CombinedOutput() // no input: it stops at once
	text := string(out)
	switch {
	case !strings.Contains(text, "fetching PostgreSQL"):
		t.Errorf("it did not try:\n%s", text)
	case err == nil && !strings.Contains(text, "; using /"):
		t.Errorf("it does not say what it uses:\n%s", text)
	case err != nil && !strings.Contains(text, "install one or set PROCURA_PG_BIN"):
		t.Errorf("it does not say what to do: %v\n%s", err, text)
	}
}

func TestNamedBinaries(t *testing.T) {
	dir := folder(t)
	t.Setenv("PROCURA_PG_BIN", t.TempDir())
	_, err := pgbox.Start(t.Context(), pgbox.Config{DataDir: dir, Log: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "PROCURA_PG_BIN") {
		t.Errorf("got %v", err)
	}
}

// A cluster of a Postgres that is not here is left as it is.
func TestForeignVersion(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	version := filepath.Join(data, "PG_VERSION")
	if err := os.WriteFile(version, []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := pgbox.Start(t.Context(), pgbox.Config{DataDir: dir, Log: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "PostgreSQL 9") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(version); err != nil {
		t.Error(err)
	}
}
