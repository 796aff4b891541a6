package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// clientDir is where the foreign client and its packages are.
const clientDir = "testdata/openid-client"

// clients are the sandbox's, one for each authentication method and algorithm.
var clients = []string{"tpp-pkj-1", "tpp-pkj-2", "tpp-mtls-1", "tpp-mtls-2"}

// lack says what the foreign client needs and what to type for it; "" is nothing.
func lack() string {
	if _, err := exec.LookPath("node"); err != nil {
		return "Node.js is missing; type: sudo apt-get install -y nodejs npm"
	}
	out, err := exec.Command("node", "-p", "process.versions.node.split('.')[0] >= 20").Output()
	if err != nil || strings.TrimSpace(string(out)) != "true" {
		return "Node.js 20 or newer is needed; see https://nodejs.org/en/download"
	}
	if _, err := os.Stat(clientDir + "/node_modules/openid-client/package.json"); err != nil {
		return "the foreign client is missing; type: (cd internal/interop/" + clientDir + " && npm ci)"
	}
	return ""
}

// needNode skips, or fails when CI=true, where the foreign client cannot run.
func needNode(t *testing.T) {
	t.Helper()
	switch lacking := lack(); {
	case lacking == "":
	case os.Getenv("CI") == "true":
		t.Fatal(lacking)
	default:
		t.Skip(lacking)
	}
}

// Every client takes both ways in and both kinds of answer: request objects by
// value (RFC 9101) and pushed (RFC 9126), "code id_token" with a detached
// signature (FAPI 1 Advanced §5.2.2.1) and "code" in a signed JWT (JARM).
func TestFlows(t *testing.T) {
	needNode(t)
	for _, id := range clients {
		for _, way := range []string{"value", "pushed"} {
			for _, response := range []string{"hybrid", "jarm"} {
				t.Run(fmt.Sprintf("%s/%s/%s", id, way, response), func(t *testing.T) {
					t.Parallel()
					play(t, scenario{Name: "flow", ID: id, Way: way, Response: response}, 20)
				})
			}
		}
	}
}

// What must fail does, and the library understands how.
func TestRefusals(t *testing.T) {
	needNode(t)
	for name, fewest := range map[string]int{"cancel": 1, "validation": 2, "code": 1, "replay": 2, "theft": 5, "identity": 2, "request": 4} {
		for _, id := range []string{"tpp-pkj-1", "tpp-mtls-2"} {
			for _, response := range []string{"hybrid", "jarm"} {
				t.Run(fmt.Sprintf("%s/%s/%s", name, id, response), func(t *testing.T) {
					t.Parallel()
					play(t, scenario{Name: name, ID: id, Way: "pushed", Response: response}, fewest)
				})
			}
		}
	}
}
