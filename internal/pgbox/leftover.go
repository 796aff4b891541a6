package pgbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// stopLeftover ends the Postgres that an earlier run left on the data folder: we
// hold the folder's lock, so whatever runs there belongs to nobody. Its lock files
// are removed only when no process works in the folder, which is what they are
// there to prevent; the number in them may by then be another program's.
func stopLeftover(ctx context.Context, data, socket string) error {
	pid, _ := readPidFile(data)
	if pid == 0 {
		return nil
	}
	for _, step := range []struct {
		signal syscall.Signal
		limit  time.Duration
	}{{syscall.SIGINT, fastLimit}, {syscall.SIGQUIT, quickLimit}, {syscall.SIGKILL, quickLimit}} {
		users, known := workingIn(data, pid)
		if len(users) == 0 {
			return forget(data, socket, known)
		}
		for _, user := range leader(users, pid) {
			if err := syscall.Kill(user, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stopping postgres %d, left by an earlier run: %w", user, err)
			}
		}
		waitGone(ctx, data, pid, step.limit)
	}
	if users, _ := workingIn(data, pid); len(users) > 0 {
		return fmt.Errorf("processes %v of an earlier run do not leave %s", users, data)
	}
	return nil
}

// leader picks the postmaster, which ends its children; without it, all of them.
func leader(users []int, postmaster int) []int {
	for _, user := range users {
		if user == postmaster {
			return []int{user}
		}
	}
	return users
}

func waitGone(ctx context.Context, data string, pid int, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if users, _ := workingIn(data, pid); len(users) == 0 || !pause(ctx) {
			return
		}
	}
}

// forget removes what a killed postmaster left, when it is certain that nobody
// works in the folder. Otherwise Postgres judges by itself.
func forget(data, socket string, certain bool) error {
	if !certain {
		return nil
	}
	for _, path := range []string{filepath.Join(data, "postmaster.pid"),
		filepath.Join(socket, socketName), filepath.Join(socket, socketName+".lock")} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing what an earlier run left: %w", err)
		}
	}
	return nil
}
