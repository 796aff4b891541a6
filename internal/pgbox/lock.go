package pgbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errInUse is the answer to the second process.
var errInUse = errors.New("in use by another process")

// lockFile takes the lock for the life of the process: the kernel lets go of it
// whatever ends us. The file names the holder for the message to the next one.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := readHolder(path)
		return nil, errors.Join(fmt.Errorf("%w%s", errInUse, holder), f.Close())
	}
	if err := writeHolder(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return err
}

func readHolder(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) == 0 {
		return ""
	}
	return " (" + strings.TrimSpace(string(raw)) + ")"
}

// waitForLock takes the lock as soon as it is free.
func waitForLock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := lockFile(path)
		if !errors.Is(err, errInUse) {
			return f, err
		}
		if !pause(ctx) {
			return nil, ctx.Err()
		}
	}
}

// pollInterval is how often the state of a process or file is looked at again.
const pollInterval = 10 * time.Millisecond

// pause waits for the poll interval; false when ctx has ended.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(pollInterval):
		return true
	case <-ctx.Done():
		return false
	}
}
