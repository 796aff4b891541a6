package interop_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/sandbox"
	"github.com/procura/procura/internal/sandbox/world"
)

// Ports of our own sandbox: the first block that is free.
const (
	firstBase = 49443
	blockStep = 10
	blocks    = 20
)

// openLimit is how long the sandbox may take to come up; its first start fetches
// the database's binaries.
const openLimit = 6 * time.Minute

// house is the running sandbox.
var house *land

type land struct {
	dir   string
	world *world.World
	stop  func() error
}

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.list").Value.String() != "" {
		os.Exit(m.Run())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), openLimit)
	defer cancel()
	dir, err := os.MkdirTemp("", "io")
	if err != nil {
		return broken(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // the database's account enters it
		return broken(err)
	}
	if house, err = open(ctx, filepath.Join(dir, "w")); err != nil {
		return broken(err)
	}
	code := m.Run()
	if err := house.stop(); err != nil {
		return max(code, broken(err))
	}
	return code
}

func broken(err error) int {
	fmt.Fprintln(os.Stderr, "starting the sandbox:", err)
	return 1
}

func open(ctx context.Context, dir string) (*land, error) {
	last := errors.New("every block is taken")
	for base := firstBase; base < firstBase+blocks*blockStep; base += blockStep {
		if !free(base) {
			continue
		}
		l, err := start(ctx, dir, base)
		if err == nil || !strings.Contains(err.Error(), "in use") {
			return l, err
		}
		last = err // somebody was faster
	}
	return nil, fmt.Errorf("finding free ports: %w", last)
}

func free(base int) bool {
	for offset := range blockStep {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+offset))
		if err != nil {
			return false
		}
		if err := l.Close(); err != nil {
			return false
		}
	}
	return true
}

// start returns when everything answers.
func start(ctx context.Context, dir string, base int) (*land, error) {
	s, err := sandbox.New(sandbox.Config{DataDir: dir, PortBase: base, Self: "procura-sandbox", Out: io.Discard, Log: io.Discard},
		sandbox.Deps{Now: time.Now, Environ: os.Environ()})
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- s.Up(life) }()
	stop := func() error {
		end()
		return <-ended
	}
	for {
		if w, err := world.Read(dir); err == nil {
			return &land{dir: dir, world: w, stop: stop}, nil
		}
		select {
		case err := <-ended:
			end()
			return nil, err
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), stop())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
