//go:build unix && !linux

package pgbox

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// childAttr puts the child into a process group of its own. These systems have no
// death signal: a postmaster that outlives us is stopped by the next start.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// workingIn returns the postmaster when its command line names the folder. The
// second result says that children cannot be seen here.
func workingIn(data string, pid int) ([]int, bool) {
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err == nil && strings.Contains(string(out), data) {
		return []int{pid}, false
	}
	return nil, false
}
