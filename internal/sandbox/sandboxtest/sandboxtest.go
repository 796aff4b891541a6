// Package sandboxtest starts a whole sandbox inside of a test binary, on the first
// block of ports that is free and with a data dir that is gone afterwards. It
// refuses to hand one out before everything in it answers. No program links it.
package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/procura/procura/internal/sandbox"
	"github.com/procura/procura/internal/sandbox/world"
)

// Blocks of ports that are tried.
const (
	blockStep = 10
	blocks    = 20
)

// startLimit is how long the sandbox may take to come up; its first start fetches
// the database's binaries.
const startLimit = 6 * time.Minute

// Box is a running sandbox.
type Box struct {
	Dir   string // its data dir
	World *world.World

	temp string
	end  context.CancelFunc
	done <-chan error
}

// Start starts a sandbox; ports are looked for from firstBase upwards.
func Start(firstBase int) (*Box, error) {
	temp, err := os.MkdirTemp("", "box")
	if err != nil {
		return nil, fmt.Errorf("making a data dir: %w", err)
	}
	box, err := startIn(temp, firstBase)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(temp))
	}
	return box, nil
}

func startIn(temp string, firstBase int) (*Box, error) {
	if err := os.Chmod(temp, 0o755); err != nil { // the database's account enters it
		return nil, fmt.Errorf("opening the data dir: %w", err)
	}
	last := errors.New("every block is taken")
	for base := firstBase; base < firstBase+blocks*blockStep; base += blockStep {
		if !free(base) {
			continue
		}
		box, err := up(temp, base)
		if err == nil || !strings.Contains(err.Error(), "in use") {
			return box, err
		}
		last = err // somebody was faster
	}
	return nil, fmt.Errorf("finding free ports from %d: %w", firstBase, last)
}

func free(base int) bool {
	for offset := range blockStep {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", base+offset))
		if err != nil {
			return false
		}
		if err := l.Close(); err != nil {
			return false
		}
	}
	return true
}

// up returns when everything answers.
func up(temp string, base int) (*Box, error) {
	dir := filepath.Join(temp, "w")
	s, err := sandbox.New(sandbox.Config{DataDir: dir, PortBase: base, Self: "procura-sandbox", Out: io.Discard, Log: io.Discard},
		sandbox.Deps{Now: time.Now, Environ: os.Environ()})
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Up(ctx) }()
	box := &Box{Dir: dir, temp: temp, end: end, done: done}
	for limit := time.After(startLimit); ; {
		if box.World, err = world.Read(dir); err == nil {
			return box, nil
		}
		select {
		case err := <-done:
			end()
			return nil, errors.Join(errors.New("the sandbox ended"), err)
		case <-limit:
			end()
			return nil, errors.Join(fmt.Errorf("not up after %s", startLimit), <-done)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the sandbox and removes its data.
func (b *Box) Stop() error {
	b.end()
	return errors.Join(<-b.done, os.RemoveAll(b.temp))
}
