package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/procura/procura/internal/pgbox"
	"github.com/procura/procura/migrations"
)

const (
	template = "template_procura"
	memory   = "/dev/shm" // taken when it has roomNeeded
	prefix   = "procura-test-"

	roomNeeded = 1 << 30
	// abandonedAfter is the age at which a folder whose lock is free is taken for
	// one of a binary that was killed.
	abandonedAfter = 2 * time.Minute
)

// server is one private Postgres and a pool for making databases on it.
type server struct {
	box   *pgbox.Box
	dir   string
	admin *pgxpool.Pool
	count atomic.Int64
}

// startServer starts on a copy of the cached cluster, which has the template
// already, or makes one and puts it into the cache.
func startServer(ctx context.Context) (*server, error) {
	removeAbandoned(ctx)
	if cached := cachedCluster(); cached != "" {
		if s, err := startFrom(ctx, cached); err == nil {
			return s, nil
		}
		// Made by a Postgres that is not here any more, or half removed: make another.
	}
	s, err := startIn(ctx, "")
	if err != nil {
		return nil, err
	}
	if err := s.makeTemplate(ctx); err != nil {
		return nil, errors.Join(err, s.remove(ctx))
	}
	return s.throughCache(ctx)
}

func startFrom(ctx context.Context, cluster string) (*server, error) {
	s, err := startIn(ctx, cluster)
	if err != nil {
		return nil, err
	}
	var found bool
	err = s.admin.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, template).Scan(&found)
	if err != nil || !found {
		return nil, errors.Join(err, fmt.Errorf("template found: %v", found), s.remove(ctx))
	}
	return s, nil
}

// startIn starts in a new folder, on a copy of cluster unless that is empty.
func startIn(ctx context.Context, cluster string) (*server, error) {
	dir, err := os.MkdirTemp(place(), prefix)
	if err != nil {
		return nil, fmt.Errorf("making the server's folder: %w", err)
	}
	s := &server{dir: dir}
	if cluster != "" {
		if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(cluster)); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		if err := os.Chmod(filepath.Join(dir, "data"), 0o700); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	return s, s.up(ctx)
}

func (s *server) up(ctx context.Context) error {
	var err error
	s.box, err = pgbox.Start(ctx, pgbox.Config{DataDir: s.dir, Log: io.Discard})
	if err != nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	cfg, err := pgxpool.ParseConfig(s.box.DSN(pgbox.Database))
	if err != nil {
		return errors.Join(err, s.remove(ctx))
	}
	cfg.MaxConns = 4
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	s.admin, err = pgxpool.NewWithConfig(ctx, cfg)
	return err
}

func (s *server) makeTemplate(ctx context.Context) error {
	if _, err := s.admin.Exec(ctx, "CREATE DATABASE "+template); err != nil {
		return fmt.Errorf("making the template: %w", err)
	}
	_, err := migrations.Up(ctx, s.box.DSN(template))
	return err
}

func (s *server) clone(ctx context.Context) (string, error) { return s.create(ctx, template) }

func (s *server) empty(ctx context.Context) (string, error) { return s.create(ctx, "template0") }

func (s *server) create(ctx context.Context, from string) (string, error) {
	name := fmt.Sprintf("test_%d", s.count.Add(1))
	_, err := s.admin.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+from)
	return name, err
}

func (s *server) drop(ctx context.Context, name string) error {
	_, err := s.admin.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	return err
}

func (s *server) remove(ctx context.Context) error {
	if s.admin != nil {
		s.admin.Close()
	}
	return errors.Join(s.box.Stop(ctx), pgbox.Remove(ctx, s.dir))
}

// place is the memory file system when there is room, else the temporary folder.
func place() string {
	var st syscall.Statfs_t
	if syscall.Statfs(memory, &st) == nil && st.Bavail*uint64(st.Bsize) >= roomNeeded {
		if probe, err := os.MkdirTemp(memory, prefix); err == nil && os.Remove(probe) == nil {
			return memory
		}
	}
	return os.TempDir()
}

// removeAbandoned clears away what killed test binaries left. It is a courtesy:
// what it cannot remove is tried by the next one.
func removeAbandoned(ctx context.Context) {
	// The only error is a malformed pattern, and this is a constant.
	dirs, _ := filepath.Glob(filepath.Join(place(), prefix+"*"))
	for _, dir := range dirs {
		info, err := os.Stat(filepath.Join(dir, "lock"))
		if err != nil {
			info, err = os.Stat(dir)
		}
		if err == nil && time.Since(info.ModTime()) > abandonedAfter {
			_ = pgbox.Remove(ctx, dir)
		}
	}
}
