package blackbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/procura/procura/internal/sandbox"
	"github.com/procura/procura/internal/sandbox/world"
)

// envSandbox names the data dir of a running sandbox that is to be used instead
// of one of our own.
const envSandbox = "BLACKBOX_SANDBOX"

// Ports of our own sandbox: the first block that is free.
const (
	firstBase = 39443
	blockStep = 10
	blocks    = 40
)

// box is the sandbox under test.
type box struct {
	dir  string
	stop func() error
}

// openSandbox starts a sandbox on a free block of ports, or takes the running one
// that the environment names.
func openSandbox(ctx context.Context, tools string) (*box, error) {
	if dir := os.Getenv(envSandbox); dir != "" {
		return &box{dir: dir, stop: func() error { return nil }}, nil
	}
	var last error
	for base := firstBase; base < firstBase+blocks*blockStep; base += blockStep {
		if !allFree(base) {
			continue
		}
		b, err := startSandbox(ctx, filepath.Join(tools, "w"), base)
		if err == nil || !strings.Contains(err.Error(), "in use") {
			return b, err
		}
		last = err // somebody was faster
	}
	return nil, fmt.Errorf("finding free ports: %w", last)
}

func allFree(base int) bool {
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

// startSandbox returns when everything answers.
func startSandbox(ctx context.Context, dir string, base int) (*box, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "sandbox.log"))
	if err != nil {
		return nil, err
	}
	s, err := sandbox.New(sandbox.Config{DataDir: dir, PortBase: base, Self: "procura-sandbox", Out: io.Discard, Log: log},
		sandbox.Deps{Now: time.Now, Environ: os.Environ()})
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(s.Up(life), log.Close()) }()
	stop := func() error {
		end()
		return <-ended
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, world.FileName)); err == nil {
			return &box{dir: dir, stop: stop}, nil
		}
		select {
		case err := <-ended:
			end()
			return nil, fmt.Errorf("starting the sandbox: %w", err)
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), stop())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// program builds the operator's program: the tests register clients as an operator
// does, and start a second node of the server with it.
func program(ctx context.Context, tools string) (string, error) {
	path := filepath.Join(tools, "procura")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/procura/procura/cmd/procura").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building procura: %w: %s", err, out)
	}
	return path, nil
}
