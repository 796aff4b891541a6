package pgbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// port only names the socket file: nothing listens on TCP.
const (
	port       = "5432"
	socketName = ".s.PGSQL." + port
)

// How long Postgres may take to come up, to shut down cleanly and to shut down at
// once.
const (
	startLimit = 60 * time.Second
	fastLimit  = 15 * time.Second
	quickLimit = 5 * time.Second
)

// process is a postmaster of ours.
type process struct {
	cmd    *exec.Cmd
	tail   *tail
	exited chan struct{}
}

// startServer starts Postgres and waits until it answers. What passes by itself
// is waited for: a predecessor that was killed stays in the process table until
// somebody reaps it, and its lock file stands until then.
func startServer(ctx context.Context, h *home, bin binaries, socket string) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		p, err := launch(h, bin, socket)
		if err != nil {
			return nil, fmt.Errorf("starting postgres: %w", err)
		}
		err = p.waitReady(ctx, h.data(), socket)
		if err == nil {
			return p, nil
		}
		p.kill()
		if !passes(p.tail.String()) || !pause(ctx) {
			return nil, fmt.Errorf("starting postgres: %w: %s", err, p.tail)
		}
	}
}

// passes reports whether Postgres refused to start because of remains that go away.
func passes(log string) bool {
	return (strings.Contains(log, "lock file") && strings.Contains(log, "already exists")) ||
		strings.Contains(log, "pre-existing shared memory block")
}

// launch starts a postmaster from a thread that lives as long as it does: the
// death signal is tied to the thread, not to the process.
func launch(h *home, bin binaries, socket string) (*process, error) {
	p := &process{tail: &tail{next: h.log}, exited: make(chan struct{})}
	p.cmd = exec.Command(bin.path("postgres"), serverArgs(h, socket)...)
	h.prepare(p.cmd)
	p.cmd.Stdout, p.cmd.Stderr = p.tail, p.tail
	p.cmd.WaitDelay = time.Second
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			// How it ended is in its log; that it ended is what counts.
			_ = p.cmd.Wait()
			close(p.exited)
		}
	}()
	return p, <-started
}

func serverArgs(h *home, socket string) []string {
	args := []string{"-D", h.data(), "-p", port, "-c", "listen_addresses=", "-c", "unix_socket_directories=" + socket,
		"-c", "unix_socket_permissions=0700", "-c", "max_connections=300", "-c", "logging_collector=off",
		"-c", "wal_level=minimal", "-c", "max_wal_senders=0"}
	if !h.durable {
		// Shared memory in the data folder goes with it, however the server ends.
		args = append(args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
			"-c", "dynamic_shared_memory_type=mmap")
	}
	return args
}

// waitReady returns when the pid file names our child as ready and its socket
// speaks the protocol. Another server on the same folder does not count.
func (p *process) waitReady(ctx context.Context, data, socket string) error {
	for {
		pid, status := readPidFile(data)
		if pid == p.cmd.Process.Pid && status == "ready" && answers(filepath.Join(socket, socketName)) {
			return nil
		}
		select {
		case <-p.exited:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// answers sends the protocol's SSLRequest, the smallest question there is.
func answers(path string) bool {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		return false
	}
	var b [1]byte
	_, err = io.ReadFull(conn, b[:])
	return err == nil
}

// readPidFile returns the process and state that postmaster.pid names, zero values
// when there is none. Line 8 is the state.
func readPidFile(data string) (pid int, status string) {
	raw, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0, ""
	}
	lines := strings.Split(string(raw), "\n")
	pid, err = strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return 0, ""
	}
	if len(lines) >= 8 {
		status = strings.TrimSpace(lines[7])
	}
	return pid, status
}

// shutDown asks for a fast shutdown, which rolls open transactions back, and
// escalates when that does not end.
func (p *process) shutDown(ctx context.Context) error {
	for _, step := range []struct {
		signal syscall.Signal
		limit  time.Duration
	}{{syscall.SIGINT, fastLimit}, {syscall.SIGQUIT, quickLimit}} {
		if p.signalAndWait(ctx, step.signal, step.limit) {
			return nil
		}
	}
	p.kill()
	return errors.New("stopping postgres: it had to be killed")
}

func (p *process) signalAndWait(ctx context.Context, sig syscall.Signal, limit time.Duration) bool {
	// A process that has ended cannot be signalled, and exited says so.
	_ = p.cmd.Process.Signal(sig)
	if ctx.Err() != nil {
		limit, ctx = time.Second, context.WithoutCancel(ctx)
	}
	select {
	case <-p.exited:
		return true
	case <-ctx.Done():
	case <-time.After(limit):
	}
	return false
}

func (p *process) kill() {
	// As above: ended already is what is wanted.
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// tail passes the server's log on and keeps its end for error messages.
type tail struct {
	mu   sync.Mutex
	next io.Writer
	end  []byte
}

const tailSize = 2 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	t.end = t.end[max(0, len(t.end)-tailSize):]
	return t.next.Write(p)
}

// String returns the last lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.end))
}

// inLockedThread runs a child to its end on a thread that outlives it, for the
// same reason as launch.
func inLockedThread[T any](run func() (T, error)) (T, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return run()
}
