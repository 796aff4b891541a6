package main

import (
	"fmt"
	"io"

	"github.com/procura/procura/internal/app"
	"github.com/procura/procura/internal/obs"
)

// serveCmd runs the server until it is told to stop.
type serveCmd struct {
	configured
	PrintConfig bool `help:"Print the effective configuration, secrets left out, and exit."`
}

// Help implements kong.HelpProvider.
func (serveCmd) Help() string {
	return `Serves until SIGTERM, then drains: /readyz turns 503, requests in flight finish.
It refuses to start without a login provider, without certificates, or on a database
whose schema it does not know.

Example: procura serve --config /etc/procura/procura.yaml`
}

// Run implements the command. Every problem of the configuration is told at once.
func (c serveCmd) Run(w *world) error {
	cfg, err := c.load(w)
	if err != nil {
		return err
	}
	if c.PrintConfig {
		if _, err := io.WriteString(w.stdout, cfg.Redacted()); err != nil {
			return fmt.Errorf("printing the configuration: %w", err)
		}
	}
	if err := cfg.Validate(); err != nil || c.PrintConfig {
		return err
	}
	log, err := obs.NewLogger(w.stderr, cfg.Log.Level)
	if err != nil {
		return err
	}
	return app.Run(w.ctx, cfg, log)
}
