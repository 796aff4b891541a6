// Package sandbox is a whole open-banking world on one laptop: a private Postgres,
// a PKI, the server, the gateway, a demo bank with its API and its login
// application, registered TPPs. Everything listens on the loopback interface
// alone, and nothing is left running. It refuses to start on taken ports and on a
// data dir that another sandbox uses. It is no part of the server's program.
package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/procura/procura/internal/app"
	"github.com/procura/procura/internal/config"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/pgbox"
	"github.com/procura/procura/internal/sandbox/world"
	"github.com/procura/procura/migrations"
)

// Config says where the sandbox keeps its state and where it listens.
type Config struct {
	DataDir  string
	PortBase int
	Self     string    // how this program is called, for the greeting
	Out      io.Writer // the greeting
	Log      io.Writer // one line for each request, and what Postgres says
}

// Deps are the sandbox's surroundings.
type Deps struct {
	Now func() time.Time
	// Environ is the environment as of os.Environ: it overrides the written
	// configuration as it does for the server.
	Environ []string
}

// Sandbox is one world, not yet started.
type Sandbox struct {
	cfg  Config
	deps Deps
	at   ports
	log  *obs.Logger
}

// startLimit is how long everything may take to answer.
const startLimit = time.Minute

// New refuses missing parts and impossible ports. It touches nothing yet.
func New(cfg Config, deps Deps) (*Sandbox, error) {
	if cfg.DataDir == "" || cfg.Self == "" || cfg.Out == nil || cfg.Log == nil || deps.Now == nil {
		return nil, errors.New("sandbox: DataDir, Self, Out, Log and Now are needed")
	}
	at, err := newPorts(cfg.PortBase)
	if err != nil {
		return nil, err
	}
	log, err := obs.NewLogger(cfg.Log, "info")
	if err != nil {
		return nil, err
	}
	return &Sandbox{cfg: cfg, deps: deps, at: at, log: log}, nil
}

// Up starts everything, says so, and runs until ctx ends or a part fails. When it
// returns nothing of it is left running.
func (s *Sandbox) Up(ctx context.Context) (err error) {
	began := s.deps.Now()
	if err := s.at.free(ctx); err != nil {
		return err
	}
	if err := s.forgetDead(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(s.cfg.DataDir, 0o755); err != nil {
		return fmt.Errorf("making the data dir: %w", err)
	}
	db, err := startDatabase(ctx, pgbox.Config{DataDir: filepath.Join(s.cfg.DataDir, "postgres"), Log: s.cfg.Log, Durable: true}, s.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.stop(ctx)) }()
	l, err := s.prepare(ctx, db.dsn())
	if err != nil {
		return err
	}
	l.database = db
	return s.live(ctx, l, began)
}

// forgetDead takes away a sandbox.json that a killed sandbox left behind. One
// whose server still answers belongs to a sandbox that runs: the database's lock
// will say so.
func (s *Sandbox) forgetDead(ctx context.Context) error {
	old, err := world.Read(s.cfg.DataDir)
	if err != nil {
		return nil // none, or none that anybody could use
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(old.OpsBase, "http://"))
	if err != nil {
		return world.Remove(s.cfg.DataDir)
	}
	return conn.Close()
}

// land is everything that is ready to run.
type land struct {
	database *keeper
	app      *app.App
	gate     *gate
	services []*service
	world    *world.World
	probes   *probes
}

// prepare makes or loads all that outlives a run, and builds all that does not.
func (s *Sandbox) prepare(ctx context.Context, dsn string) (*land, error) {
	if _, err := migrations.Up(ctx, dsn); err != nil {
		return nil, err
	}
	m, err := s.material()
	if err != nil {
		return nil, err
	}
	if err := writeConfig(s.cfg.DataDir, s.at, dsn, m.serverEC, m.serverRSA); err != nil {
		return nil, err
	}
	cfg, err := config.Load(filepath.Join(s.cfg.DataDir, fileConfig), s.deps.Environ)
	if err != nil {
		return nil, err
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a, err := app.New(ctx, cfg, app.Deps{Log: s.log})
	if err != nil {
		return nil, fmt.Errorf("building the server: %w", err)
	}
	if err := a.ImportClients(ctx, m.clients.records, "sandbox"); err != nil {
		return nil, fmt.Errorf("registering the clients: %w", err)
	}
	return s.assemble(ctx, m, a)
}

// material is what lies in the data dir: certificates, keys, clients.
type material struct {
	pki                 *pki
	serverEC, serverRSA pair
	clients             *registry
	login               loginKey
}

func (s *Sandbox) material() (*material, error) {
	m := &material{}
	var err error
	if m.pki, err = openPKI(s.cfg.DataDir, s.deps.Now()); err != nil {
		return nil, err
	}
	if m.serverEC, err = m.pki.server("server-ecdsa", false); err != nil {
		return nil, err
	}
	if m.serverRSA, err = m.pki.server("server-rsa", true); err != nil {
		return nil, err
	}
	if m.clients, err = register(m.pki, s.at); err != nil {
		return nil, err
	}
	if m.login, err = openLoginKey(s.cfg.DataDir); err != nil {
		return nil, err
	}
	return m, ensureKEK(s.cfg.DataDir, rand.Reader)
}

// live runs everything, writes sandbox.json once all of it answers, and takes the
// file away before anything stops answering.
func (s *Sandbox) live(ctx context.Context, l *land, began time.Time) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, inner := errgroup.WithContext(inner)
	group.Go(func() error { return l.database.run(inner) })
	group.Go(func() error { return l.app.Run(inner) })
	group.Go(func() error { return l.gate.run(inner) })
	for _, service := range l.services {
		group.Go(func() error { return service.run(inner) })
	}
	err := s.greetAndWait(ctx, inner, l, began)
	stop()
	return errors.Join(err, group.Wait())
}

func (s *Sandbox) greetAndWait(ctx, inner context.Context, l *land, began time.Time) error {
	limited, cancel := context.WithTimeout(inner, startLimit)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	if err := l.probes.await(limited); err != nil {
		if ctx.Err() != nil || inner.Err() != nil {
			return nil // told to stop, or the group knows what failed
		}
		return fmt.Errorf("waiting for everything to answer: %w", err)
	}
	if err := l.world.Write(s.cfg.DataDir); err != nil {
		return err
	}
	s.greet(l.world, s.deps.Now().Sub(began))
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(s.cfg.Out, "\nstopping")
	case <-inner.Done():
	}
	return world.Remove(s.cfg.DataDir)
}
