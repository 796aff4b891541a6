package pgbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// maxSocketPath is the smallest limit of the systems we run on (macOS).
const maxSocketPath = 103

// home is the folder of one private Postgres: data, run (the socket) and lock.
type home struct {
	dir     string
	account *account // nil: ours
	log     io.Writer
	durable bool
}

// openHome makes the folder. As root it must be one that the unprivileged account
// can enter: a folder below /root cannot be, and is replaced by one of the system's.
func openHome(ctx context.Context, cfg Config) (*home, error) {
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("resolving data folder: %w", err)
	}
	acct, err := unprivileged()
	if err != nil {
		return nil, err
	}
	h := &home{dir: dir, account: acct, log: cfg.Log, durable: cfg.Durable}
	if closed := acct.closedFolder(filepath.Dir(dir)); closed != "" {
		return h, h.moveOut(ctx, closed)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("making data folder: %w", err)
	}
	if closed := acct.closedFolder(filepath.Dir(dir)); closed != "" {
		return nil, fmt.Errorf("account %s cannot enter %s: choose another data folder", acct.name, closed)
	}
	return h, h.ownDir(dir)
}

func (h *home) data() string { return filepath.Join(h.dir, "data") }

// ownDir makes dir a folder that only the account may enter.
func (h *home) ownDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making folder: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("checking folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	if err := h.account.own(dir); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("closing folder: %w", err)
	}
	return nil
}

// socketDir is the folder of the socket: inside the home, or a short one in the
// temporary folder when the path would be too long for a socket.
func (h *home) socketDir() (string, error) {
	dir := filepath.Join(h.dir, "run")
	if len(filepath.Join(dir, socketName)) > maxSocketPath {
		dir = filepath.Join(os.TempDir(), "procura-"+hashName(h.dir))
	}
	if len(filepath.Join(dir, socketName)) > maxSocketPath {
		return "", fmt.Errorf("socket path %s is longer than %d bytes: choose a shorter data folder", dir, maxSocketPath)
	}
	if info, err := os.Lstat(dir); err == nil && !h.account.owns(info) {
		return "", fmt.Errorf("socket folder %s belongs to somebody else: remove it", dir)
	}
	return dir, h.ownDir(dir)
}

// initCluster makes the cluster beside its place and renames it, so that one that
// was interrupted is never taken for whole.
func (h *home) initCluster(ctx context.Context, bin binaries) error {
	data := h.data()
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return h.account.ownTree(data)
	}
	fresh := data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("removing half-made cluster: %w", err)
	}
	args := []string{"-D", fresh, "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums", "--no-instructions"}
	if !h.durable {
		args = append(args, "--no-sync", "--wal-segsize=1")
	}
	if err := h.run(ctx, nil, bin.path("initdb"), args...); err != nil {
		return fmt.Errorf("making the cluster: %w", err)
	}
	create := strings.NewReader("CREATE DATABASE " + Database + ";\n")
	if err := h.run(ctx, create, bin.path("postgres"), "--single", "-D", fresh, "-c", "fsync=off", "postgres"); err != nil {
		return fmt.Errorf("making the database: %w", err)
	}
	if err := os.Rename(fresh, data); err != nil {
		return fmt.Errorf("putting the cluster in place: %w", err)
	}
	return nil
}

// run executes a tool as the account and gives its output in the error.
func (h *home) run(ctx context.Context, stdin io.Reader, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	h.prepare(cmd)
	cmd.Stdin = stdin
	out, err := inLockedThread(cmd.CombinedOutput)
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// prepare gives cmd the account, a folder that it can enter and an environment
// that says nothing about ours.
func (h *home) prepare(cmd *exec.Cmd) {
	cmd.Dir = h.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = childAttr()
	if h.account != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: h.account.uid, Gid: h.account.gid}
	}
}

func hashName(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:6])
}
