// Command procura is the authorization server and its operator's tool. It links
// neither the sandbox nor a database server: what runs on a laptop for a try is
// another program.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/procura/procura/internal/config"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2 // the command line or the configuration is wrong
)

// commands is the command line; each command is a file of this folder.
type commands struct {
	Serve   serveCmd   `cmd:"" help:"Run the authorization server."`
	Migrate migrateCmd `cmd:"" help:"Bring the database schema up to date, or show where it stands."`
	Keys    keysCmd    `cmd:"" help:"Signing and encryption keys of an issuer."`
	Clients clientsCmd `cmd:"" help:"Registered clients of an issuer."`
	Version versionCmd `cmd:"" help:"Show what this program is."`
}

// world is what a command may touch of the outside.
type world struct {
	ctx     context.Context
	stdout  io.Writer
	stderr  io.Writer
	environ []string
	now     func() time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	w := &world{ctx: ctx, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), now: time.Now}
	os.Exit(run(w, os.Args[1:], os.Exit))
}

// run parses args and executes one command; exit is called for --help alone.
func run(w *world, args []string, exit func(int)) int {
	var c commands
	parser, err := kong.New(&c, kong.Name("procura"), kong.Writers(w.stdout, w.stderr), kong.Exit(exit),
		kong.Description("FAPI OAuth 2.0 and OpenID Connect authorization server for open banking."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}))
	if err != nil {
		return w.fail(exitFailed, err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return w.fail(exitUsage, fmt.Errorf("%w (see procura --help)", err))
	}
	if err := parsed.Run(w); err != nil {
		return w.fail(code(err), err)
	}
	return 0
}

// usage marks an error that the caller repairs by calling differently.
type usage struct{ error }

// Unwrap returns the marked error.
func (u usage) Unwrap() error { return u.error }

func code(err error) int {
	var u usage
	var p config.Problems
	if errors.As(err, &u) || errors.As(err, &p) {
		return exitUsage
	}
	return exitFailed
}

func (w *world) fail(code int, err error) int {
	fmt.Fprintf(w.stderr, "procura: %v\n", err)
	return code
}
