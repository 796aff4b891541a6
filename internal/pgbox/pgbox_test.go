package pgbox_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/procura/procura/internal/pgbox"
	"github.com/procura/procura/migrations"
)

// childDir names the data folder for a child of a test: the binary then starts a
// Postgres, says so and waits to be killed.
const childDir = "PGBOX_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

// folder is one that the account of a root's Postgres can reach, removed with
// everything that runs there.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(place(), "procura-box-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pgbox.Remove(context.Background(), dir); err != nil {
			t.Errorf("removing: %v", err)
		}
	})
	return dir
}

// place is memory where it has room: what is tested is processes, not disks.
func place() string {
	var st syscall.Statfs_t
	if syscall.Statfs("/dev/shm", &st) == nil && st.Bavail*uint64(st.Bsize) > 1<<30 {
		return "/dev/shm"
	}
	return ""
}

func start(t *testing.T, dir string) *pgbox.Box {
	t.Helper()
	var log bytes.Buffer
	b, err := pgbox.Start(t.Context(), pgbox.Config{DataDir: dir, Log: &log, Durable: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	t.Cleanup(func() {
		if err := b.Stop(context.Background()); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return b
}

// hasData checks that what the child committed is there.
func hasData(t *testing.T, b *pgbox.Box) {
	t.Helper()
	steps, err := migrations.Status(t.Context(), b.DSN(pgbox.Database))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if s.AppliedAt.IsZero() {
			t.Errorf("%s is lost", s.Name)
		}
	}
}

func TestStartStopStart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, dir)
	if _, err := migrations.Up(t.Context(), first.DSN(pgbox.Database)); err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Errorf("stopping again: %v", err)
	}
	began := time.Now()
	second := start(t, dir)
	t.Logf("started on existing data in %v", time.Since(began))
	hasData(t, second)
	select {
	case <-first.Exited():
	default:
		t.Error("Exited is open after Stop")
	}
}

func TestZeroConfig(t *testing.T) {
	for _, cfg := range []pgbox.Config{{}, {DataDir: "x"}, {Log: io.Discard}} {
		if _, err := pgbox.Start(t.Context(), cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}

// The second run on the same data is told so and touches nothing.
func TestInUse(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	b := start(t, dir)
	_, err := pgbox.Start(t.Context(), pgbox.Config{DataDir: dir, Log: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "in use by another process ("+strconv.Itoa(os.Getpid())+")") {
		t.Errorf("got %v", err)
	}
	if err := pgbox.Remove(t.Context(), dir); err == nil {
		t.Error("removed while in use")
	}
	if _, err := migrations.Status(t.Context(), b.DSN(pgbox.Database)); err != nil {
		t.Error(err)
	}
}

// Postgres runs under another account than root's, in a folder that only that
// account may enter, and listens nowhere else.
func TestPrivate(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	b := start(t, dir)
	for _, path := range []string{dir, filepath.Join(dir, "data"), pgbox.Socket(b)} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 || info.Sys().(*syscall.Stat_t).Uid == 0 {
			t.Errorf("%s: %v, owner %v", path, info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if listen := strings.Split(string(raw), "\n")[5]; listen != "" {
		t.Errorf("listens on %q", listen)
	}
}
