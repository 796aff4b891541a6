package demo

import (
	"fmt"
	"io"
	"strings"
)

// teller prints steps and counts what was checked.
type teller struct {
	w             io.Writer
	steps, checks int
}

func (t *teller) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(t.w, format, args...) // a reader that went away changes no verdict
}

// step is one act: what was sent, what was checked. The first check that fails
// is the step's error; later ones are not looked at.
type step struct {
	title   string
	sent    []string
	checked []string
	err     error
}

func (s *step) sends(format string, args ...any) {
	s.sent = append(s.sent, fmt.Sprintf(format, args...))
}

// check records what holds; it reports whether the step may go on.
func (s *step) check(holds bool, format string, args ...any) bool {
	return s.saw("", holds, format, args...)
}

// saw is check with what was seen instead, for when it does not hold.
func (s *step) saw(seen string, holds bool, format string, args ...any) bool {
	if s.err != nil {
		return false
	}
	what := fmt.Sprintf(format, args...)
	switch {
	case holds:
		s.checked = append(s.checked, what)
	case seen == "":
		s.err = fmt.Errorf("expected: %s", what)
	default:
		s.err = fmt.Errorf("expected: %s; seen: %s", what, seen)
	}
	return holds
}

// fail ends the step when err is not nil; it reports whether the step may go on.
func (s *step) fail(err error) bool {
	if s.err == nil {
		s.err = err
	}
	return s.err == nil
}

// tell prints a finished step and returns its error with the step's name.
func (t *teller) tell(s *step) error {
	t.steps++
	t.checks += len(s.checked)
	t.printf("%3d. %s\n", t.steps, s.title)
	t.list("sent", s.sent)
	t.list("checked", s.checked)
	if s.err != nil {
		t.list("WRONG", []string{s.err.Error()})
		return fmt.Errorf("step %d, %s: %w", t.steps, s.title, s.err)
	}
	return nil
}

func (t *teller) list(label string, lines []string) {
	for i, line := range lines {
		if i > 0 {
			label = ""
		}
		t.printf("     %-8s %s\n", label, line)
	}
}

// short shows the beginning of a secret, enough to recognise it.
func short(secret string) string {
	const shown = 10
	if len(secret) <= shown {
		return strings.Repeat("*", len(secret))
	}
	return fmt.Sprintf("%s...(%d)", secret[:shown], len(secret))
}
