package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/procura/procura/internal/pgbox"
	"github.com/procura/procura/migrations"
)

// cachePrefix begins the name of a cached cluster; the rest is the hash of what
// it was made from.
const cachePrefix = "pgtest-"

// cacheLife is how long a cluster of an older schema is kept.
const cacheLife = 24 * time.Hour

// cachePath is where a stopped cluster with the migrated template is kept: copying
// it costs a tenth of making it. Empty when there is no cache folder.
func cachePath() string {
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	h := sha256.New()
	fmt.Fprintln(h, "1", os.Getenv("PROCURA_PG_BIN")) // the format, and the choice of Postgres
	names, err := fs.Glob(migrations.Files(), "*.sql")
	if err != nil {
		return ""
	}
	for _, name := range names {
		text, err := fs.ReadFile(migrations.Files(), name)
		if err != nil {
			return ""
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
	}
	return filepath.Join(base, "procura", cachePrefix+hex.EncodeToString(h.Sum(nil)[:8]))
}

// cachedCluster returns "" when there is none.
func cachedCluster() string {
	path := cachePath()
	if path == "" {
		return ""
	}
	if _, err := os.Stat(filepath.Join(path, "PG_VERSION")); err != nil {
		return ""
	}
	return path
}

// throughCache stops a new server, keeps a copy of its cluster for the next
// binaries and starts it again.
func (s *server) throughCache(ctx context.Context) (*server, error) {
	path := cachePath()
	if path == "" {
		return s, nil
	}
	s.admin.Close()
	if err := s.box.Stop(ctx); err != nil {
		return nil, errors.Join(err, pgbox.Remove(ctx, s.dir))
	}
	if err := keep(filepath.Join(s.dir, "data"), path); err != nil {
		// A read-only home: the next binary makes its own cluster as well.
		os.Stderr.WriteString("pgtest: keeping the cluster: " + err.Error() + "\n")
	}
	return s, s.up(ctx)
}

// keep copies beside the place and renames; when another binary was first, its
// copy is as good.
func keep(data, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	forgetOld(filepath.Dir(path))
	fresh, err := os.MkdirTemp(filepath.Dir(path), "new-"+cachePrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := os.CopyFS(fresh, os.DirFS(data)); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// forgetOld removes clusters of older schemas; one that stays is only disk space.
func forgetOld(dir string) {
	// The only error is a malformed pattern, and this is a constant.
	old, _ := filepath.Glob(filepath.Join(dir, "*"+cachePrefix+"*"))
	for _, path := range old {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > cacheLife {
			_ = os.RemoveAll(path)
		}
	}
}
