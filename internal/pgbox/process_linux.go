package pgbox

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// childAttr puts the child into a process group of its own, so that Ctrl-C
// reaches us first, and has the kernel interrupt it when we die.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
}

// workingIn returns the live processes whose working folder is data: every
// process of a Postgres stays there. A zombie has no folder. The second result
// says that the answer is complete.
func workingIn(data string, _ int) ([]int, bool) {
	real, err := filepath.EvalSymlinks(data)
	if err != nil {
		return nil, false
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, false
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd")); err == nil && cwd == real {
			pids = append(pids, pid)
		}
	}
	return pids, true
}
