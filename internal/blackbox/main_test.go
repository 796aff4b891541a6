package blackbox_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

// house is the running sandbox with every client of the tests: the one thing that
// outlives a test.
var house *rig

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.list").Value.String() != "" {
		os.Exit(m.Run())
	}
	os.Exit(run(m))
}

// openLimit is how long the sandbox may take to come up; its first start fetches
// the database's binaries.
const openLimit = 6 * time.Minute

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), openLimit)
	defer cancel()
	tools, err := os.MkdirTemp("", "bb")
	if err != nil {
		return broken(err)
	}
	defer os.RemoveAll(tools)
	box, err := openSandbox(ctx, tools)
	if err != nil {
		return broken(err)
	}
	var code int
	if house, err = openRig(ctx, box, tools); err != nil {
		code = broken(err)
	} else {
		code = m.Run()
		house.close()
	}
	if err := box.stop(); err != nil {
		return max(code, broken(err))
	}
	return code
}

func broken(err error) int {
	fmt.Fprintln(os.Stderr, "blackbox:", err)
	return 1
}
