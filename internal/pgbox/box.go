// Package pgbox runs a private Postgres in a folder: for the sandbox and the
// tests, never for a bank. It listens on a unix socket in a folder that only its
// account may enter, so connections need no password. It never runs Postgres as
// root, never shares a data folder with a second process, and leaves no orphan:
// when the program that started it dies, Postgres shuts down.
package pgbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"
)

// superuser owns the cluster; Database exists in every new one.
const (
	superuser = "procura"
	// Database is created with the cluster and empty.
	Database = "procura"
)

// Config describes one private Postgres.
type Config struct {
	DataDir string    // folder of this Postgres alone; made when missing
	Log     io.Writer // Postgres's own log and notes on where binaries come from; io.Discard for none
	Durable bool      // false gives up crash safety for speed: tests only
}

// Box is a running Postgres.
type Box struct {
	home   *home
	proc   *process
	lock   *os.File
	socket string

	stop    sync.Once
	stopErr error
}

// Start finds or fetches the binaries, makes the cluster when there is none, and
// returns when Postgres answers. A Postgres that an earlier run left behind is
// stopped first. It refuses a folder that another live process uses.
func Start(ctx context.Context, cfg Config) (*Box, error) {
	if cfg.DataDir == "" || cfg.Log == nil {
		return nil, errors.New("starting postgres: DataDir and Log are required")
	}
	h, err := openHome(ctx, cfg)
	if err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(h.dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("locking data folder %s: %w", h.dir, err)
	}
	b := &Box{home: h, lock: lock}
	if err := b.up(ctx); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return b, nil
}

func (b *Box) up(ctx context.Context) error {
	bin, err := findBinaries(ctx, b.home)
	if err != nil {
		return err
	}
	if b.socket, err = b.home.socketDir(); err != nil {
		return err
	}
	if err := stopLeftover(ctx, b.home.data(), b.socket); err != nil {
		return err
	}
	if err := b.home.initCluster(ctx, bin); err != nil {
		return err
	}
	b.proc, err = startServer(ctx, b.home, bin, b.socket)
	return err
}

// DSN returns a connection string for the named database, as the superuser. It
// holds no secret: the socket's folder is the guard.
func (b *Box) DSN(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database,
		RawQuery: url.Values{"host": {b.socket}, "port": {port}}.Encode()}
	return u.String()
}

// Exited is closed when Postgres has ended, whoever ended it.
func (b *Box) Exited() <-chan struct{} { return b.proc.exited }

// Stop shuts Postgres down: cleanly, then at once when ctx ends or it takes too
// long. Stopping twice gives the first answer.
func (b *Box) Stop(ctx context.Context) error {
	b.stop.Do(func() {
		b.stopErr = errors.Join(b.proc.shutDown(ctx), b.lock.Close())
	})
	return b.stopErr
}

// Remove deletes a private Postgres with all its data. It refuses a folder that a
// live process uses, and stops a Postgres that a dead one left there.
func Remove(ctx context.Context, dataDir string) error {
	h, err := openHome(ctx, Config{DataDir: dataDir, Log: io.Discard})
	if err != nil {
		return err
	}
	if err := h.remove(ctx); err != nil {
		return err
	}
	return os.RemoveAll(dataDir)
}
