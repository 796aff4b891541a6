package pgbox_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
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

func child(dir string) int {
	b, err := pgbox.Start(context.Background(), pgbox.Config{DataDir: dir, Log: os.Stderr, Durable: true})
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	if _, err := migrations.Up(context.Background(), b.DSN(pgbox.Database)); err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("ready", pgbox.Pid(b))
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends us
	if err := b.Stop(context.Background()); err != nil {
		return 1
	}
	return 0
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

// startChild runs a Postgres in a process of its own and returns both.
func startChild(t *testing.T, dir string, env ...string) (cmd *exec.Cmd, postmaster int) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, childDir+"="+dir)...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close() })
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || word != "ready" {
		t.Fatalf("child: %q, %v", line, err)
	}
	if postmaster, err = strconv.Atoi(rest); err != nil {
		t.Fatal(err)
	}
	return cmd, postmaster
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

func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if state(pid) == "" || state(pid) == "Z" {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}

// state is the letter that the kernel gives a process, or "".
func state(pid int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return rest[:1]
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
		if info.Mode().Perm() != 0o700 || (os.Geteuid() == 0) == (info.Sys().(*syscall.Stat_t).Uid == 0) {
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

// Our own death takes Postgres along, cleanly, and the next start has the data.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd, postmaster := startChild(t, dir)
	kill(t, cmd.Process.Pid)
	_ = cmd.Wait()
	if _, err := os.Stat("/proc/self/stat"); err == nil {
		gone(t, postmaster)
	}
	hasData(t, start(t, dir))
}

// Everything dies at once, and the postmaster's number stays in its lock files.
func TestAllKilled(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd, postmaster := startChild(t, dir)
	kill(t, cmd.Process.Pid)
	kill(t, postmaster)
	_ = cmd.Wait()
	hasData(t, start(t, dir))
}

func TestPostmasterKilled(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	b := start(t, dir)
	if _, err := migrations.Up(t.Context(), b.DSN(pgbox.Database)); err != nil {
		t.Fatal(err)
	}
	kill(t, pgbox.Pid(b))
	select {
	case <-b.Exited():
	case <-time.After(20 * time.Second):
		t.Fatal("Exited is open after the end")
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Errorf("stopping what has ended: %v", err)
	}
	hasData(t, start(t, dir))
}

// A Postgres that is nobody's any more is stopped, not taken for a busy folder.
func TestLeftover(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first, err := pgbox.Start(t.Context(), pgbox.Config{DataDir: dir, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := pgbox.LetGo(first); err != nil {
		t.Fatal(err)
	}
	second := start(t, dir)
	select {
	case <-first.Exited():
	default:
		t.Error("two servers on one folder")
	}
	if _, err := migrations.Status(t.Context(), second.DSN(pgbox.Database)); err != nil {
		t.Error(err)
	}
}

// A lock file that names a live process which is no Postgres is stale: numbers are
// used again after a reboot.
func TestStalePidFile(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	b := start(t, dir)
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	data, err := filepath.Abs(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%d\n%s\n1\n5432\n%s\n\n\nready\n", os.Getpid(), data, pgbox.Socket(b))
	for _, path := range []string{filepath.Join(data, "postmaster.pid"), filepath.Join(pgbox.Socket(b), ".s.PGSQL.5432.lock")} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	start(t, dir)
}

// A first start that was interrupted leaves nothing that is taken for a cluster.
func TestHalfMade(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data.new", "PG_VERSION"), []byte("18\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
	if _, err := os.Stat(filepath.Join(dir, "data.new")); !os.IsNotExist(err) {
		t.Errorf("left: %v", err)
	}
}

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

// A start that is given up leaves neither process nor lock.
func TestCanceled(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pgbox.Start(ctx, pgbox.Config{DataDir: dir, Log: io.Discard}); err == nil {
		t.Error("started")
	}
	start(t, dir)
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}
