package blackbox_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// findings are what the tests found, row by row.
var findings = &ledger{rows: map[string]*finding{}}

type ledger struct {
	mu   sync.Mutex
	rows map[string]*finding
}

// finding is the result of one row: in which plans it passed and in which it
// failed. An attack has no plan, which is "".
type finding struct {
	must, test     string
	passed, failed []string
}

// status is what the table says of the row.
func (f *finding) status() string {
	switch {
	case len(f.failed) > 0:
		slices.Sort(f.failed)
		return strings.TrimSpace("FAILED " + strings.Join(f.failed, " "))
	case len(f.passed) > 1:
		return fmt.Sprintf("passed in %d plans", len(f.passed))
	}
	return strings.TrimSpace("passed " + f.passed[0])
}

// watch records how a test ends.
func (l *ledger) watch(t *testing.T, row, must, plan string) {
	t.Helper()
	test, _, _ := strings.Cut(t.Name(), "/")
	t.Cleanup(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		f := l.rows[row]
		if f == nil {
			f = &finding{must: must, test: test}
			l.rows[row] = f
		}
		if t.Failed() {
			f.failed = append(f.failed, plan)
		} else {
			f.passed = append(f.passed, plan)
		}
	})
}
