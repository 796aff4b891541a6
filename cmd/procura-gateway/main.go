// Procura-gateway stands in front of a bank's API: it verifies the
// certificate-bound tokens of a Procura authorization server, checks consent and
// accounts, and forwards what is allowed. It needs no database. It refuses to
// start on a configuration that it does not fully understand.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/procura/procura/internal/config"
)

const description = `Resource gateway for APIs that accept Procura's access tokens.

Example:
  procura-gateway serve --config /etc/procura/gateway.yaml`

// cli is what the command line says.
type cli struct {
	Serve   serveCmd   `cmd:"" help:"Serve until SIGTERM or SIGINT."`
	Check   checkCmd   `cmd:"" help:"Read the configuration, say what is wrong with it, and exit."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

type serveCmd struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
}

type checkCmd struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
}

type versionCmd struct{}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var c cli
	parsed := kong.Parse(&c, kong.Name("procura-gateway"), kong.Description(description), kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(os.Stdout, (*io.Writer)(nil)))
	if err := parsed.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "procura-gateway: %v\n", err)
		stop()
		os.Exit(1)
	}
}

// Run serves.
func (s *serveCmd) Run(ctx context.Context) error {
	conf, err := load(s.Config)
	if err != nil {
		return err
	}
	g, err := newGate(conf, os.Stderr)
	if err != nil {
		return err
	}
	return g.run(ctx)
}

// Run checks the configuration.
func (c *checkCmd) Run(out io.Writer) error {
	conf, err := load(c.Config)
	if err != nil {
		return err
	}
	if _, err := newGate(conf, io.Discard); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "the configuration is good")
	return err
}

// Run prints the version.
func (versionCmd) Run(out io.Writer) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this program was built without version")
	}
	_, err := fmt.Fprintln(out, "procura-gateway", info.Main.Version)
	return err
}

func load(path string) (config.GatewayConfig, error) {
	conf, err := config.LoadGateway(path)
	if err != nil {
		return conf, err
	}
	if err := conf.Validate(); err != nil {
		return conf, fmt.Errorf("%s: %w", path, err)
	}
	return conf, nil
}
