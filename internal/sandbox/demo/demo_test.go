package demo_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/sandbox/demo"
	"github.com/procura/procura/internal/sandbox/world"
)

// The demo itself is tested where a sandbox runs: in package sandbox, against a
// good world and against worlds that are not what they promise.

func deps() demo.Deps {
	return demo.Deps{Now: time.Now, Random: func() string { return strings.Repeat("a", 43) }}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		cfg  demo.Config
		deps demo.Deps
	}{
		"no data dir": {demo.Config{Out: io.Discard}, deps()},
		"no output":   {demo.Config{DataDir: dir}, deps()},
		"no clock":    {demo.Config{DataDir: dir, Out: io.Discard}, demo.Deps{Random: deps().Random}},
		"no dice":     {demo.Config{DataDir: dir, Out: io.Discard}, demo.Deps{Now: time.Now}},
		"no sandbox":  {demo.Config{DataDir: dir, Out: io.Discard}, deps()},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := demo.New(tc.cfg, tc.deps); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestNewNeedsTheCA(t *testing.T) {
	dir := t.TempDir()
	if err := (&world.World{Issuer: "https://localhost:1", CAFile: "pki/ca.crt"}).Write(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := demo.New(demo.Config{DataDir: dir, Out: io.Discard}, deps()); err == nil || !strings.Contains(err.Error(), "CA") {
		t.Errorf("got %v", err)
	}
}
