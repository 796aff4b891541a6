package pgbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the unprivileged account that Postgres runs under when we are root.
// A nil account is our own.
type account struct {
	name     string
	uid, gid uint32
}

// unprivileged returns nil when we are not root, and refuses to go on as root
// when the machine has no account to change to.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"procura", "postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("postgres does not run as root and there is no account procura, postgres or nobody: make one, or do not be root")
}

// closedFolder returns the first folder on the way to dir that the account cannot
// enter, or "".
func (a *account) closedFolder(dir string) string {
	if a == nil {
		return ""
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && !a.enters(info) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func (a *account) enters(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return false
	case st.Uid == a.uid:
		return info.Mode()&0o100 != 0
	case st.Gid == a.gid:
		return info.Mode()&0o010 != 0
	}
	return info.Mode()&0o001 != 0
}

// owns reports whether the file is the account's, so that a folder in a shared
// place was not put there by somebody else.
func (a *account) owns(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if a == nil {
		return ok && int(st.Uid) == os.Geteuid()
	}
	return ok && st.Uid == a.uid
}

func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	if err := os.Lchown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("giving %s to account %s: %w", path, a.name, err)
	}
	return nil
}

// ownTree gives a whole tree to the account unless its root is the account's.
func (a *account) ownTree(root string) error {
	info, err := os.Lstat(root)
	if err != nil {
		return fmt.Errorf("checking owner: %w", err)
	}
	if a == nil || a.owns(info) {
		return nil
	}
	// The root comes last: an interrupted walk is repeated.
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		return a.own(path)
	})
	return errors.Join(err, a.own(root))
}
