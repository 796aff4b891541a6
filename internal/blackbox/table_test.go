package blackbox_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The table that the tests write, and its place.
const (
	tableFile  = "../../docs/conformance.md"
	tableBegin = "<!-- written by internal/blackbox: UPDATE_DOCS=1 go test ./internal/blackbox -->"
	tableEnd   = "<!-- end of what internal/blackbox wrote -->"
	envUpdate  = "UPDATE_DOCS"
)

// TestTable runs after all others, since it stands in the last file: what the
// document says must be what they found.
func TestTable(t *testing.T) {
	rows, missing := table()
	if len(missing) > 0 {
		t.Skipf("not every row was run, such as %s", missing[0])
	}
	raw, err := os.ReadFile(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), tableBegin+"\n")
	old, after, closed := strings.Cut(rest, tableEnd+"\n")
	if !found || !closed {
		t.Fatalf("%s has no place for the table", tableFile)
	}
	switch {
	case old == rows:
	case os.Getenv(envUpdate) != "":
		if err := os.WriteFile(tableFile, []byte(before+tableBegin+"\n"+rows+tableEnd+"\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s does not say what the tests found; %s=1 writes it anew. %s", tableFile, envUpdate, firstDifference(old, rows))
	}
}

// table writes the rows in order, and names those that were not run everywhere.
func table() (text string, missing []string) {
	findings.mu.Lock()
	defer findings.mu.Unlock()
	var out strings.Builder
	out.WriteString("| row | requirement | test | status |\n|---|---|---|---|\n")
	add := func(row string, times int) {
		f := findings.rows[row]
		if f == nil || len(f.passed)+len(f.failed) != times {
			missing = append(missing, row)
			return
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", row, strings.ReplaceAll(f.must, "|", `\|`), f.test, f.status())
	}
	for _, m := range modules() {
		times := 0
		for _, p := range plans() {
			if m.in == nil || m.in(p) {
				times++
			}
		}
		add(m.name, times)
	}
	for _, n := range catalogue() {
		add(attackRow(n), 1)
	}
	return out.String(), missing
}

func firstDifference(old, fresh string) string {
	was, is := strings.Split(old, "\n"), strings.Split(fresh, "\n")
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			return fmt.Sprintf("It says %q and should say %q.", was[i], is[i])
		}
	}
	return fmt.Sprintf("It has %d lines and should have %d.", len(was), len(is))
}
