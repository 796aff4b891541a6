package sandbox_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/internal/sandbox"
	"github.com/procura/procura/internal/sandbox/demo"
	"github.com/procura/procura/internal/sandbox/world"
)

// buffer is a log that may be read while it is written.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// run is one sandbox under test.
type run struct {
	dir      string
	out, log *buffer
	took     time.Duration // until it answered
	stop     func() error
}

const limit = 90 * time.Second

// dead is the issuer in the sandbox.json of a sandbox that was killed.
const dead = "https://dead.example"

// start runs a sandbox and returns once its sandbox.json is there.
func start(t *testing.T, dir string, base int) *run {
	t.Helper()
	r := &run{dir: dir, out: &buffer{}, log: &buffer{}}
	s, err := sandbox.New(sandbox.Config{DataDir: dir, PortBase: base, Self: "bin/procura-sandbox", Out: r.out, Log: r.log}, sandbox.Deps{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- s.Up(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = r.stop() })
	for deadline := time.After(limit); ; {
		if w, err := world.Read(dir); err == nil && w.Issuer != dead {
			r.took = time.Since(began)
			return r
		}
		select {
		case err := <-ended:
			t.Fatalf("the sandbox ended: %v\n%s", err, r.log)
		case <-deadline:
			t.Fatalf("not up after %s\n%s", limit, r.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// openDir is a folder that the account of the database may enter when the test
// runs as root.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// block finds eight ports in a row that nobody uses.
func block(t *testing.T) int {
	t.Helper()
	for range 100 {
		base := 20000 + mathrand.IntN(3000)*8
		if unused(base) {
			return base
		}
	}
	t.Fatal("no block of free ports")
	return 0
}

func unused(base int) bool {
	for port := base; port < base+8; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

func visit(t *testing.T, dir string) *demo.Demo {
	t.Helper()
	var told bytes.Buffer
	d, err := demo.New(demo.Config{DataDir: dir, Out: &told}, demo.Deps{Now: time.Now, Random: func() string { return rand.Text() + rand.Text() }})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(t.Context()); err != nil {
		t.Fatalf("the demo: %v\n%s", err, told.String())
	}
	for _, secret := range d.Secrets() {
		if strings.Contains(told.String(), secret) {
			t.Errorf("the demo printed a secret whole: %.12s...", secret)
		}
	}
	return d
}

func waitFor(t *testing.T, done func() error) {
	t.Helper()
	var last error
	for began := time.Now(); time.Since(began) < limit; time.Sleep(20 * time.Millisecond) {
		if last = done(); last == nil {
			return
		}
	}
	t.Fatal(last)
}

// ready reports that another postmaster than the old one runs and that the server
// reaches it.
func ready(ops, pidFile, old string) error {
	raw, err := os.ReadFile(pidFile)
	if err != nil {
		return err
	}
	if pid, _, _ := strings.Cut(string(raw), "\n"); pid == old {
		return errors.New("the old postmaster's file is still there")
	}
	return get(ops + "/readyz")
}

func get(url string) error {
	res, err := http.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", url, res.StatusCode)
	}
	return nil
}
