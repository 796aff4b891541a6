package pgbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// envBinaries names a folder with initdb and postgres that is taken before any
// other.
const envBinaries = "PROCURA_PG_BIN"

// places are where systems put their Postgres, one folder per major version.
var places = []string{
	"/usr/lib/postgresql/*/bin",         // Debian
	"/usr/pgsql-*/bin",                  // Red Hat
	"/opt/homebrew/opt/postgresql*/bin", // Homebrew
	"/usr/local/opt/postgresql*/bin",
	"/usr/local/pgsql/bin",
}

// binaries is a folder with initdb and postgres of one major version.
type binaries struct {
	dir   string
	major int
}

func (b binaries) path(tool string) string { return filepath.Join(b.dir, tool) }

// findBinaries returns the binaries for the home's cluster: those that
// PROCURA_PG_BIN names, else the fetched ones, else the newest on the machine. An
// existing cluster accepts its own major version only.
func findBinaries(ctx context.Context, h *home) (binaries, error) {
	want, err := clusterMajor(h.data())
	if err != nil {
		return binaries{}, err
	}
	if dir := os.Getenv(envBinaries); dir != "" {
		return named(ctx, dir, want)
	}
	local := onMachine(ctx, want)
	if want == 0 || want == fetchedMajor {
		dir, err := fetch(ctx, h, len(local) > 0)
		if err == nil {
			return binaries{dir: dir, major: fetchedMajor}, nil
		}
		if len(local) == 0 {
			return binaries{}, fmt.Errorf("no Postgres on this machine and none could be fetched (install one or set %s): %w", envBinaries, err)
		}
		fmt.Fprintf(h.log, "pgbox: fetching Postgres: %v; using %s\n", err, local[0].dir)
	}
	if len(local) == 0 {
		return binaries{}, fmt.Errorf("data folder %s was made by PostgreSQL %d, which is not on this machine: remove the folder or set %s",
			h.dir, want, envBinaries)
	}
	return local[0], nil
}

func named(ctx context.Context, dir string, want int) (binaries, error) {
	major, err := majorOf(ctx, dir)
	if err != nil {
		return binaries{}, fmt.Errorf("%s: %w", envBinaries, err)
	}
	if want != 0 && major != want {
		return binaries{}, fmt.Errorf("the data folder was made by PostgreSQL %d, %s names %d", want, envBinaries, major)
	}
	return binaries{dir: dir, major: major}, nil
}

// clusterMajor returns 0 when there is no cluster yet.
func clusterMajor(data string) (int, error) {
	raw, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the cluster's version: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(raw)))
}

// onMachine returns the installed binaries of the wanted major version (0: any),
// newest first.
func onMachine(ctx context.Context, want int) []binaries {
	var list []binaries
	for _, dir := range candidates() {
		if major, err := majorOf(ctx, dir); err == nil && (want == 0 || major == want) {
			list = append(list, binaries{dir: dir, major: major})
		}
	}
	slices.SortStableFunc(list, func(a, b binaries) int { return b.major - a.major })
	return list
}

// candidates lists folders, links on PATH resolved: initdb looks for postgres
// beside itself.
func candidates() []string {
	var dirs []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, pattern := range places {
		// The only error is a malformed pattern, and these are constants.
		found, _ := filepath.Glob(pattern)
		dirs = append(dirs, found...)
	}
	return dirs
}

var versionLine = regexp.MustCompile(`PostgreSQL\) (\d+)`)

func majorOf(ctx context.Context, dir string) (int, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return 0, fmt.Errorf("looking for initdb: %w", err)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("asking postgres for its version: %w", err)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("reading version of %s: %q", dir, out)
	}
	return strconv.Atoi(string(m[1]))
}
