package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/procura/procura/internal/sandbox"
	"github.com/procura/procura/internal/sandbox/demo"
)

// dataDir is the flag that every command has.
type dataDir struct {
	DataDir string `help:"Where the sandbox keeps its state." default:".procura" placeholder:"DIR"`
}

type upCmd struct {
	dataDir
	PortBase int    `help:"First of the eight ports on the loopback interface." default:"9443" placeholder:"PORT"`
	Log      string `help:"Where the log goes; - is standard error. Default: sandbox.log in the data dir." placeholder:"FILE"`
}

// Run starts the sandbox and waits.
func (c *upCmd) Run(ctx context.Context) (err error) {
	log, err := c.openLog()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	s, err := sandbox.New(sandbox.Config{DataDir: c.DataDir, PortBase: c.PortBase, Self: os.Args[0], Out: os.Stdout, Log: log},
		sandbox.Deps{Now: time.Now, Environ: os.Environ()})
	if err != nil {
		return err
	}
	return s.Up(ctx)
}

// openLog opens where the log goes; files are appended to.
func (c *upCmd) openLog() (*os.File, error) {
	switch c.Log {
	case "-":
		return os.Stderr, nil
	case "":
		if err := os.MkdirAll(c.DataDir, 0o755); err != nil {
			return nil, fmt.Errorf("making the data dir: %w", err)
		}
		return appendTo(filepath.Join(c.DataDir, "sandbox.log"))
	}
	return appendTo(c.Log)
}

func appendTo(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return f, nil
}

type demoCmd struct{ dataDir }

// Run visits the running sandbox.
func (c *demoCmd) Run(ctx context.Context) error {
	d, err := demo.New(demo.Config{DataDir: c.DataDir, Out: os.Stdout}, demo.Deps{Now: time.Now, Random: unguessable})
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

// unguessable returns 52 letters and digits: more than 43, which is what a PKCE
// verifier needs.
func unguessable() string { return rand.Text() + rand.Text() }

type conformanceCmd struct {
	Config conformanceConfigCmd `cmd:"" help:"Register a plan's clients and print the suite's configuration."`
}

type conformanceConfigCmd struct {
	dataDir
	Plan  string `required:"" help:"The plan with its variants." placeholder:"PLAN[variant=value]..."`
	Alg   string `help:"What the clients sign with. Some modules run with PS256 alone." enum:"PS256,ES256" default:"PS256"`
	Suite string `help:"Base URL of the suite, as it stands in redirect URIs." default:"https://localhost.emobix.co.uk:8443" placeholder:"URL"`
}

// Help implements kong.HelpProvider.
func (conformanceConfigCmd) Help() string {
	return `Example: procura-sandbox conformance config --plan 'fapi1-advanced-final-test-plan[client_auth_type=private_key_jwt]
[fapi_auth_request_method=by_value][fapi_profile=plain_fapi][fapi_response_mode=plain_response]' > config.json
(the plan in one line), then give the same plan and config.json to the suite's run-test-plan.py.`
}

// Run prints the configuration.
func (c *conformanceConfigCmd) Run(ctx context.Context) error {
	return sandbox.Conformance(ctx, sandbox.ConformanceConfig{DataDir: c.DataDir, Plan: c.Plan, Suite: c.Suite, Alg: c.Alg, Out: os.Stdout},
		sandbox.ConformanceDeps{Now: time.Now, Environ: os.Environ()})
}
