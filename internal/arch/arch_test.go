package arch_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/procura/procura"

// floors orders the house; a package imports only from floors below its own.
// Packages on one floor do not import each other.
var floors = map[string]int{
	"internal/fapi": 0,

	"internal/jose": 1, "internal/fetch": 1, "internal/obs": 1, "internal/config": 1, "internal/pgbox": 1, "migrations": 1,

	"internal/wire": 2, "internal/profile": 2, "internal/keys": 2, "cert": 2,

	"internal/clients": 3, "internal/mint": 3, "resource": 3, "cert/certtest": 3,

	"internal/clientauth": 4, "internal/authreq": 4, "internal/engine": 4, "resource/resourcetest": 4,

	"par": 5, "authz": 5, "token": 5, "consent": 5,
	"internal/sandbox/world": 5, "internal/sandbox/browser": 5, "internal/sandbox/bankapi": 5, "internal/sandbox/login": 5,

	"web": 6, "storage": 6, "resource/gateway": 6, "internal/sandbox/demo": 6,

	"internal/app": 7, "internal/pgtest": 7,

	"internal/sandbox": 8,

	"cmd/procura": 9, "cmd/procura-gateway": 9, "cmd/procura-sandbox": 9,
	"internal/sandbox/sandboxtest": 9,
	"internal/blackbox":            10, "internal/interop": 10, "internal/browsertest": 10, // tests alone
}

// doors names, for each dependency, the packages that may import it.
var doors = map[string][]string{
	"github.com/ory/fosite":                      {"internal/engine"},
	"github.com/go-jose/go-jose/v4":              {"internal/jose"},
	"github.com/go-jose/go-jose/v3":              {},
	"github.com/jackc/pgx/v5":                    {"storage", "migrations", "internal/pgtest"},
	"github.com/pressly/goose/v3":                {"migrations"},
	"github.com/gorilla/mux":                     {"web"},
	"golang.org/x/crypto/ocsp":                   {"cert"},
	"github.com/rs/zerolog":                      {"internal/obs"},
	"github.com/goccy/go-yaml":                   {"internal/config"},
	"github.com/fergusstrange/embedded-postgres": {"internal/pgbox"},
	"github.com/alecthomas/kong":                 {"cmd/procura", "cmd/procura-gateway", "cmd/procura-sandbox"},
	"github.com/chromedp/chromedp":               {}, // tests of internal/browsertest alone
	"golang.org/x/net/html":                      {"internal/sandbox/browser"},
}

// never names what a package must not link, however far down.
var never = []struct {
	pkg     string
	mustNot []string
}{
	{"resource", []string{"github.com/ory/fosite", "github.com/jackc/pgx"}},
	{"resource/gateway", []string{"github.com/ory/fosite", "github.com/jackc/pgx"}},
	{"cmd/procura-gateway", []string{"github.com/ory/fosite", "github.com/jackc/pgx"}},
	{"web", []string{"github.com/ory/fosite", "github.com/jackc/pgx"}},
	{"consent", []string{"github.com/ory/fosite", "github.com/jackc/pgx"}},
	{"storage", []string{"github.com/ory/fosite"}},
	{"cmd/procura", []string{module + "/internal/sandbox", module + "/internal/pgbox", module + "/cert/certtest", "github.com/fergusstrange/embedded-postgres"}},
}

type pkg struct {
	ImportPath   string
	Imports      []string
	Deps         []string
	TestImports  []string
	XTestImports []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"/...").Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func inside(path string) (string, bool) { return strings.CutPrefix(path, module+"/") }

func TestImportsGoDownOnly(t *testing.T) {
	for _, p := range list(t) {
		name, _ := inside(p.ImportPath)
		from, known := floors[name]
		if !known {
			if name != "internal/arch" {
				t.Errorf("%s stands on no floor: add it to floors and to docs/ARCHITECTURE.md", name)
			}
			continue
		}
		for _, imported := range p.Imports {
			below, ours := inside(imported)
			if !ours {
				continue
			}
			if to, ok := floors[below]; !ok || to >= from {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports go down only", name, from, below, to)
			}
		}
	}
}

func TestOneDoorPerDependency(t *testing.T) {
	for _, p := range list(t) {
		name, _ := inside(p.ImportPath)
		for _, imported := range p.Imports {
			for dependency, allowed := range doors {
				if (imported == dependency || strings.HasPrefix(imported, dependency+"/")) && !slices.Contains(allowed, name) {
					t.Errorf("%s imports %s; its door is %v", name, imported, allowed)
				}
			}
		}
	}
}

func TestWhatMustNotBeLinked(t *testing.T) {
	all := list(t)
	for _, rule := range never {
		i := slices.IndexFunc(all, func(p pkg) bool { return p.ImportPath == module+"/"+rule.pkg })
		if i < 0 {
			t.Errorf("%s does not exist", rule.pkg)
			continue
		}
		for _, dep := range all[i].Deps {
			for _, bad := range rule.mustNot {
				if strings.HasPrefix(dep, bad) {
					t.Errorf("%s links %s", rule.pkg, dep)
				}
			}
		}
	}
}

// fosite's own dependency tree is cut by the stub of github.com/ory/x; a new
// version that needs more of it must be seen.
func TestFositeStaysSmall(t *testing.T) {
	for _, p := range list(t) {
		if p.ImportPath != module+"/internal/engine" {
			continue
		}
		for _, dep := range p.Deps {
			for _, heavy := range []string{"google.golang.org/grpc", "github.com/sirupsen/logrus", "go.opentelemetry.io/otel/exporters"} {
				if strings.HasPrefix(dep, heavy) {
					t.Errorf("internal/engine links %s", dep)
				}
			}
		}
	}
}
