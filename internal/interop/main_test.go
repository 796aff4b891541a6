package interop_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/procura/procura/internal/sandbox/sandboxtest"
)

// firstBase is where free ports are looked for.
const firstBase = 49443

// house is the running sandbox.
var house *sandboxtest.Box

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.list").Value.String() != "" || lack() != "" {
		os.Exit(m.Run())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if house, err = sandboxtest.Start(firstBase); err != nil {
		return broken(err)
	}
	code := m.Run()
	if err := house.Stop(); err != nil {
		return max(code, broken(err))
	}
	return code
}

func broken(err error) int {
	fmt.Fprintln(os.Stderr, "the sandbox:", err)
	return 1
}
