package pgbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// fetchedVersion is what is fetched; fetchedMajor its major version.
const (
	fetchedVersion = embedded.V18
	fetchedMajor   = 18
)

// systemCache is root's cache when its own is closed to the account.
const systemCache = "/var/cache/procura"

// How long a fetch may take: with binaries on the machine to fall back on, and
// without. After a failure the former do not try again for a while.
const (
	fetchBriefly = 30 * time.Second
	fetchFully   = 5 * time.Minute
	fetchPause   = 10 * time.Minute
)

// fetch returns the bin folder of the fetched binaries, which are kept in the
// user's cache: one download per machine, whichever process comes first.
func fetch(ctx context.Context, h *home, fallback bool) (string, error) {
	cache, err := cacheDir(h.account)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "postgres-"+string(fetchedVersion))
	if complete(dir) {
		return filepath.Join(dir, "bin"), nil
	}
	limit := fetchFully
	if fallback {
		limit = fetchBriefly
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	lock, err := waitForLock(ctx, dir+".lock")
	if err != nil {
		return "", fmt.Errorf("waiting for another fetch: %w", err)
	}
	defer lock.Close()
	if complete(dir) {
		return filepath.Join(dir, "bin"), nil
	}
	if fallback && failedLately(dir+".failed") {
		return "", errors.New("it failed a few minutes ago")
	}
	fmt.Fprintf(h.log, "pgbox: fetching PostgreSQL %s into %s (once)\n", fetchedVersion, cache)
	if err := unpack(ctx, cache, dir); err != nil {
		return "", errors.Join(err, os.WriteFile(dir+".failed", nil, 0o644))
	}
	return filepath.Join(dir, "bin"), nil
}

// unpack downloads and lays out the binaries through the library. The library
// only offers this as the first step of starting a server, which as root it
// cannot; so it is given a data folder that no server starts on, its error is not
// asked, and what counts is whether the binaries are there.
func unpack(ctx context.Context, cache, dir string) error {
	scratch, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return fmt.Errorf("making scratch folder: %w", err)
	}
	defer os.RemoveAll(scratch)
	fake := filepath.Join(scratch, "data")
	if err := os.Mkdir(fake, 0o755); err != nil {
		return fmt.Errorf("making scratch folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(fake, "PG_VERSION"), []byte(strconv.Itoa(fetchedMajor)), 0o644); err != nil {
		return fmt.Errorf("making scratch folder: %w", err)
	}
	log := &quiet{}
	ep := embedded.NewDatabase(embedded.DefaultConfig().Version(fetchedVersion).Port(0).Logger(log).
		CachePath(scratch).BinariesPath(filepath.Join(scratch, "tree")).
		RuntimePath(filepath.Join(scratch, "run")).DataPath(fake))
	started := make(chan error, 1)
	go func() { started <- ep.Start() }()
	select {
	case err = <-started:
	case <-ctx.Done():
		return fmt.Errorf("fetching: %w", ctx.Err())
	}
	tree := filepath.Join(scratch, "tree")
	if !complete(tree) {
		return fmt.Errorf("fetching: %w", err)
	}
	if err := openTree(tree); err != nil {
		return fmt.Errorf("opening binaries to other accounts: %w", err)
	}
	return os.Rename(tree, dir)
}

// openTree lets every account read the tree, whatever our umask is.
func openTree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if d.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}

// quiet swallows what the library's pg_ctl says about the data folder that is none.
type quiet struct{}

// Write implements io.Writer.
func (*quiet) Write(p []byte) (int, error) { return len(p), nil }

func complete(dir string) bool {
	for _, tool := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, "bin", tool)); err != nil || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

func failedLately(stamp string) bool {
	info, err := os.Stat(stamp)
	return err == nil && time.Since(info.ModTime()) < fetchPause
}

// cacheDir is the user's cache folder, or the system's where the account that
// runs the binaries could not reach root's.
func cacheDir(acct *account) (string, error) {
	base, err := os.UserCacheDir()
	if err == nil && acct.closedFolder(base) == "" {
		base = filepath.Join(base, "procura")
	} else if acct != nil {
		base = systemCache
	} else {
		return "", fmt.Errorf("finding the cache folder: %w", err)
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("making the cache folder: %w", err)
	}
	return base, nil
}
