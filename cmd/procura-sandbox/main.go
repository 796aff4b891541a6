// Command procura-sandbox is a whole open-banking world on one laptop: up runs it,
// demo takes a TPP and its customers through it, conformance prepares it for the
// OpenID conformance suite. It is for trying and testing, never for a bank's
// customers.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the command line.
type cli struct {
	Up          upCmd          `cmd:"" help:"Start everything and run it until Ctrl-C. Example: procura-sandbox up --data-dir .procura"`
	Demo        demoCmd        `cmd:"" help:"Take a TPP and its customers through complete FAPI flows. Example: procura-sandbox demo"`
	Conformance conformanceCmd `cmd:"" help:"Prepare the running sandbox for the OpenID conformance suite."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "procura-sandbox:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	parser, err := kong.New(&cli{}, kong.Name("procura-sandbox"),
		kong.Description("An open-banking world on one laptop. Not for production."),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		return fmt.Errorf("describing the command line: %w", err)
	}
	command, err := parser.Parse(args)
	var usage *kong.ParseError
	if errors.As(err, &usage) {
		return fmt.Errorf("%w; see procura-sandbox --help", err)
	}
	if err != nil {
		return err
	}
	return command.Run()
}
