// Package app is the only place where rooms meet: it builds one server from a
// configuration, runs it and ends it. Programs and end-to-end tests start the
// same App; what differs between them is configuration.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/procura/procura/internal/config"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/profile"
	"github.com/procura/procura/storage"
	"github.com/procura/procura/web"
)

// Deps are what an App needs of its surroundings. Now and Rand default to the
// system's in New, the one place where that is decided.
type Deps struct {
	Log     *obs.Logger
	Storage storage.Deps // a tracer, in tests
	Now     func() time.Time
	Rand    io.Reader
}

// App is one server: its issuers, its listeners and its work in the background.
type App struct {
	cfg   config.Config
	deps  Deps
	db    *storage.DB
	sites []*site
	web   *web.Server
}

// New opens the database and builds every room. It refuses a schema that this
// version does not know and names the command that mends it.
func New(ctx context.Context, cfg config.Config, deps Deps) (_ *App, err error) {
	if deps.Log == nil {
		return nil, errors.New("app: a log is needed")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Rand == nil {
		deps.Rand = rand.Reader
	}
	dsn, err := cfg.Database.ConnectionString()
	if err != nil {
		return nil, err
	}
	db, err := storage.Open(ctx, storage.Config{DSN: dsn, MaxConns: cfg.Database.MaxConns}, deps.Storage)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	if err := db.Ready(ctx); err != nil {
		return nil, fmt.Errorf("%w; run procura migrate status, then procura migrate up", err)
	}
	a := &App{cfg: cfg, deps: deps, db: db}
	if err := a.wire(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// Listening is closed when every listener answers.
func (a *App) Listening() <-chan struct{} { return a.web.Listening() }

// Addrs returns the addresses that were bound.
func (a *App) Addrs() web.Addrs { return a.web.Addrs() }

// Run serves until ctx ends, drains, and closes the database.
func (a *App) Run(ctx context.Context) error {
	defer a.db.Close()
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range a.sites {
		group.Go(func() error { s.hub.Run(ctx); return nil })
		group.Go(func() error { s.follow(ctx); return nil })
	}
	group.Go(func() error { a.sweep(ctx); return nil })
	group.Go(func() error { return a.web.Run(ctx) })
	return group.Wait()
}

// Sweeping: small deletes, often, by one process at a time.
const (
	sweepInterval = 10 * time.Second
	sweepBatch    = 500
)

// sweep removes what has expired, so that no table grows with dead rows.
func (a *App) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if _, err := a.db.Sweep(ctx, a.deps.Now(), sweepBatch); err != nil && ctx.Err() == nil {
				a.deps.Log.Error("sweeping expired rows failed", "error", err.Error())
			}
		}
	}
}

// ImportClients stores clients of the first issuer after resolving the rules of
// each, so that none is stored that could not be served.
func (a *App) ImportClients(ctx context.Context, list []*fapi.Client, actor string) error {
	for _, c := range list {
		if _, err := profile.Resolve(c); err != nil {
			return err
		}
	}
	s := a.sites[0]
	if err := a.db.PutClients(ctx, s.issuer.URL, list, actor, a.deps.Now()); err != nil {
		return err
	}
	s.hub.Wake()
	return nil
}

// Run builds a server and runs it until ctx ends.
func Run(ctx context.Context, cfg config.Config, log *obs.Logger) error {
	a, err := New(ctx, cfg, Deps{Log: log})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
