package pgbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// systemState is where root's clusters live when their own folder is closed to
// the account that runs Postgres.
const systemState = "/var/lib/procura"

// A moved cluster and the folder it was meant for know each other: elsewhere, in
// the folder, says that the database is in the system's place; origin, there,
// names the folder. Whoever removes the folder has removed the database.
const (
	elsewhere = "elsewhere"
	origin    = "origin"
)

// moveOut gives the home a place below systemState. A cluster there whose folder
// was removed in between is not taken over: its data fit nothing any more.
func (h *home) moveOut(ctx context.Context, closed string) error {
	meant, moved := h.dir, filepath.Join(systemState, hashName(h.dir))
	h.dir = moved
	if !exists(filepath.Join(meant, elsewhere)) {
		if exists(moved) {
			if err := h.remove(ctx); err != nil {
				return fmt.Errorf("removing the database of a folder that was removed: %w", err)
			}
		}
		if err := note(meant, elsewhere, moved); err != nil {
			return err
		}
	}
	fmt.Fprintf(h.log, "pgbox: account %s cannot enter %s: the database lives in %s\n", h.account.name, closed, moved)
	if err := os.MkdirAll(systemState, 0o755); err != nil {
		return fmt.Errorf("making data folder: %w", err)
	}
	if err := h.ownDir(moved); err != nil {
		return err
	}
	if err := note(moved, origin, meant); err != nil {
		return err
	}
	h.removeOrphans(ctx)
	return nil
}

// removeOrphans clears away moved clusters whose folders are gone. It is a
// courtesy: what it cannot remove is tried again by the next start.
func (h *home) removeOrphans(ctx context.Context) {
	entries, err := os.ReadDir(systemState)
	if err != nil {
		return
	}
	for _, e := range entries {
		dir := filepath.Join(systemState, e.Name())
		meant, err := os.ReadFile(filepath.Join(dir, origin))
		if err == nil && !exists(filepath.Join(string(meant), elsewhere)) {
			orphan := &home{dir: dir, account: h.account, log: io.Discard}
			_ = orphan.remove(ctx)
		}
	}
}

// remove deletes the home: locked against another process, after stopping what a
// dead one left running.
func (h *home) remove(ctx context.Context) error {
	lock, err := lockFile(filepath.Join(h.dir, "lock"))
	if err != nil {
		return fmt.Errorf("locking data folder %s: %w", h.dir, err)
	}
	defer lock.Close()
	socket, err := h.socketDir()
	if err != nil {
		return err
	}
	if err := stopLeftover(ctx, h.data(), socket); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(socket), os.RemoveAll(h.dir))
}

func note(dir, name, text string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making data folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		return fmt.Errorf("noting where the database is: %w", err)
	}
	return nil
}

// exists takes everything but a clear no for a yes.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
