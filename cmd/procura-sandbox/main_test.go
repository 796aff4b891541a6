package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// pages are what a newcomer reads.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	names = append(names, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md"))
	all := map[string]string{}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(raw)
	}
	return all
}

// commands returns the commands of code blocks and inline code that start with
// one of the programs, up to their first flag or argument.
func commands(text string) []string {
	word := regexp.MustCompile(`^[a-z][a-z-]*$`)
	var found []string
	for _, m := range regexp.MustCompile("(?m)(?:^|`)(?:bin/)?((?:make|procura-gateway|procura-sandbox|procura)(?: [^`\n]*)?)").FindAllStringSubmatch(text, -1) {
		fields := strings.Fields(m[1])
		end := slices.IndexFunc(fields, func(f string) bool { return !word.MatchString(f) })
		if end >= 0 {
			fields = fields[:end]
		}
		if len(fields) > 1 {
			found = append(found, strings.Join(fields, " "))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// Every command that a page names exists.
func TestPagesNameRealCommands(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, root+"/cmd/procura", root+"/cmd/procura-gateway", root+"/cmd/procura-sandbox").CombinedOutput(); err != nil {
		t.Fatalf("building the programs: %v\n%s", err, out)
	}
	seen := map[string]bool{}
	for page, text := range pages(t) {
		for _, command := range commands(text) {
			program, rest, _ := strings.Cut(command, " ")
			if err := exists(bin, string(makefile), program, strings.Fields(rest)); err != nil {
				t.Errorf("%s names %q: %v", page, command, err)
			}
			seen[command] = true
		}
	}
	for _, must := range []string{"make run", "make test", "make demo", "procura serve", "procura clients list", "procura-sandbox conformance config"} {
		if !seen[must] {
			t.Errorf("%q was not found: the search is broken, or the pages forgot it", must)
		}
	}
}

func exists(bin, makefile, program string, words []string) error {
	if program == "make" {
		if !strings.Contains(makefile, "\n"+words[0]+":") {
			return fmt.Errorf("the Makefile has no such target")
		}
		return nil
	}
	out, err := exec.Command(filepath.Join(bin, program), append(words, "--help")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// Every page that a page links to exists.
func TestPagesLinkToRealFiles(t *testing.T) {
	for page, text := range pages(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}

// A make target without a line in make help would never be found.
func TestMakeHelpListsTargets(t *testing.T) {
	out, err := exec.Command("make", "-s", "-C", root, "help").CombinedOutput()
	if err != nil {
		t.Fatalf("make help: %v\n%s", err, out)
	}
	for _, target := range []string{"run", "demo", "test", "test-race", "fuzz", "lint", "build"} {
		if !strings.Contains(string(out), "make "+target+" ") {
			t.Errorf("make help does not list %s", target)
		}
	}
}

func TestUsage(t *testing.T) {
	for name, args := range map[string][]string{
		"no command": {}, "unknown command": {"fly"}, "unknown flag": {"up", "--wings"}, "no plan": {"conformance", "config"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(context.Background(), args); err == nil || !strings.Contains(err.Error(), "--help") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDemoWithoutSandbox(t *testing.T) {
	err := run(context.Background(), []string{"demo", "--data-dir", t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "no sandbox runs") {
		t.Errorf("got %v", err)
	}
}
