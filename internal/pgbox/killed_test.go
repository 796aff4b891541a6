package pgbox_test

import (
	"bufio"
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
