package browsertest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/procura/procura/internal/sandbox/sandboxtest"
)

// firstBase is where free ports are looked for.
const firstBase = 49743

// What outlives a test: the running sandbox, the third party and the browser.
var (
	house  *sandboxtest.Box
	party  *tpp
	chrome context.Context
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.list").Value.String() != "" || chromium() == "" {
		os.Exit(m.Run())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if house, err = sandboxtest.Start(firstBase); err != nil {
		return broken(err)
	}
	var code int
	if err := open(); err != nil {
		code = broken(err)
	} else {
		code = m.Run()
	}
	if err := errors.Join(closeChrome(), party.close(), house.Stop()); err != nil {
		return max(code, broken(err))
	}
	return code
}

func open() error {
	var err error
	if party, err = openTPP(house); err != nil {
		return err
	}
	return openChrome(party.pin)
}

func broken(err error) int {
	fmt.Fprintln(os.Stderr, "browsertest:", err)
	return 1
}

// chromium is where the browser is; "" is nowhere.
func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// needChromium skips, or fails when CI=true, where there is no browser.
func needChromium(t *testing.T) {
	t.Helper()
	const lack = "Chromium is missing; type: sudo apt-get install -y chromium"
	switch {
	case chromium() != "":
	case os.Getenv("CI") == "true":
		t.Fatal(lack)
	default:
		t.Skip(lack)
	}
}
