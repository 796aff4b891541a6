package sandbox_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/procura/procura/internal/sandbox"
	"github.com/procura/procura/internal/sandbox/demo"
	"github.com/procura/procura/internal/sandbox/world"
)

// The main job from end to end: up, the demo's flows, no secret in any log, stop
// without a trace, a quick second start on the same state.
func TestSandbox(t *testing.T) {
	dir, base := openDir(t), block(t)
	first := start(t, dir, base)
	d := visit(t, dir)
	for _, secret := range d.Secrets() {
		if strings.Contains(first.log.String(), secret) {
			t.Errorf("a secret stands in the log: %.12s...", secret)
		}
	}
	if len(d.Secrets()) < 40 || !strings.Contains(first.log.String(), "/token") {
		t.Errorf("%d secrets, %d bytes of log: the search would find nothing", len(d.Secrets()), len(first.log.String()))
	}
	greeting(t, first)
	ca, held := root(t, dir), file(t, dir, "clients/tpp-pkj-1/transport.crt")
	if !ca.PermittedDNSDomainsCritical || !slices.Equal(ca.PermittedDNSDomains, []string{"localhost"}) {
		t.Errorf("the root may vouch for %v", ca.PermittedDNSDomains)
	}
	notices(t, first)
	survives(t, first)
	if err := first.stop(); err != nil {
		t.Fatalf("stopping: %v", err)
	}
	if !unused(base) {
		t.Error("something still listens after the stop")
	}
	if _, err := world.Read(dir); err == nil {
		t.Errorf("%s is still there", world.FileName)
	}

	left := &world.World{Issuer: dead, OpsBase: fmt.Sprintf("http://127.0.0.1:%d", base+5)}
	if err := left.Write(dir); err != nil {
		t.Fatal(err)
	}
	second := start(t, dir, base)
	t.Logf("first start %s, second start %s", first.took, second.took)
	if second.took > 3*time.Second {
		t.Errorf("the second start took %s, more than 3 s", second.took)
	}
	visit(t, dir)
	conformance(t, dir)
	if !root(t, dir).Equal(ca) || !bytes.Equal(held, file(t, dir, "clients/tpp-pkj-1/transport.crt")) {
		t.Error("certificates did not survive the restart")
	}
}

func file(t *testing.T, dir, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func root(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(file(t, dir, "pki/ca.crt"))
	if block == nil {
		t.Fatal("no PEM in the root's file")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// greeting: a newcomer learns who can log in, where, and what to do next.
func greeting(t *testing.T, r *run) {
	t.Helper()
	w, err := world.Read(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{w.Issuer, w.MTLSBase, w.ResourceBase, w.OpsBase, "alice / wonderland", "bob / builder", "bin/procura-sandbox demo", "bin/procura clients", "ca.crt"} {
		if !strings.Contains(r.out.String(), want) {
			t.Errorf("the greeting does not say %q", want)
		}
	}
	count := map[string]int{}
	for _, c := range w.Clients {
		count[c.Profile+" "+c.AuthMethod]++
		for _, file := range []string{c.CertFile, c.KeyFile, c.SigningKeyFile} {
			if info, err := os.Stat(w.Path(file)); err != nil || filepath.IsAbs(file) || info.Mode().Perm() != 0o600 {
				t.Errorf("client %s: file %q: %v", c.ID, file, err)
			}
		}
	}
	for _, kind := range []string{"fapi1-advanced private_key_jwt", "fapi1-advanced tls_client_auth"} {
		if count[kind] < 2 {
			t.Errorf("%d clients of kind %s, want two", count[kind], kind)
		}
	}
	if len(w.ResourceServers) != 1 || len(w.PSUs) != 2 || w.ResourceAudience == "" {
		t.Errorf("resource servers %v, customers %v, audience %q", w.ResourceServers, w.PSUs, w.ResourceAudience)
	}
}

// notices: the demo is a test only if it can fail. A sandbox.json that promises
// something else than the sandbox does must end it at the step in question.
func notices(t *testing.T, r *run) {
	t.Helper()
	for want, change := range map[string]func(*world.World){
		"aud is https://elsewhere.example": func(w *world.World) { w.ResourceAudience = "https://elsewhere.example" },
		"which accounts to share":          func(w *world.World) { w.PSUs[0].Password = "forgotten" },
		"invalid_client": func(w *world.World) {
			w.Clients[2].CertFile, w.Clients[2].KeyFile = w.Clients[3].CertFile, w.Clients[3].KeyFile
		},
	} {
		w, err := world.Read(r.dir)
		if err != nil {
			t.Fatal(err)
		}
		change(w)
		err = tamper(t, r.dir, w)
		if err == nil || !strings.Contains(err.Error(), "step ") || !strings.Contains(err.Error(), want) {
			t.Errorf("the demo should have missed %q: %v", want, err)
		}
	}
}

// tamper runs the demo with another sandbox.json.
func tamper(t *testing.T, dir string, w *world.World) error {
	t.Helper()
	other := t.TempDir()
	for _, name := range []string{"pki", "clients"} {
		if err := os.Symlink(filepath.Join(dir, name), filepath.Join(other, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Write(other); err != nil {
		t.Fatal(err)
	}
	d, err := demo.New(demo.Config{DataDir: other, Out: io.Discard}, demo.Deps{Now: time.Now, Random: func() string { return rand.Text() + rand.Text() }})
	if err != nil {
		t.Fatal(err)
	}
	return d.Run(t.Context())
}

// survives kills the database and goes on.
func survives(t *testing.T, r *run) {
	t.Helper()
	pidFile := filepath.Join(r.dir, "postgres", "data", "postmaster.pid")
	raw, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w, err := world.Read(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() error { return ready(w.OpsBase, pidFile, first) })
	visit(t, r.dir)
}

func conformance(t *testing.T, dir string) {
	t.Helper()
	const plan = "fapi1-advanced-final-test-plan[client_auth_type=mtls][fapi_auth_request_method=pushed][fapi_profile=plain_fapi][fapi_response_mode=jarm]"
	var texts [2]bytes.Buffer
	for i := range texts {
		err := sandbox.Conformance(t.Context(), sandbox.ConformanceConfig{DataDir: dir, Plan: plan, Suite: "https://suite.example", Alg: "PS256", Out: &texts[i]},
			sandbox.ConformanceDeps{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
	}
	if texts[0].String() != texts[1].String() {
		t.Error("the same plan got two different configurations")
	}
	var got struct {
		Alias           string
		Client, Client2 struct {
			JWKS struct{ Keys []map[string]string }
		}
		MTLS, MTLS2      struct{ Cert, Key, CA string }
		Browser          []struct{ Match string }
		Override, Server map[string]any
	}
	if err := json.Unmarshal(texts[0].Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Client.JWKS.Keys) != 1 || got.Client.JWKS.Keys[0]["d"] == "" || got.Client.JWKS.Keys[0]["alg"] != "PS256" ||
		got.Client2.JWKS.Keys[0]["n"] == got.Client.JWKS.Keys[0]["n"] {
		t.Errorf("keys of the clients: %d", len(got.Client.JWKS.Keys))
	}
	if got.MTLS.Cert == got.MTLS2.Cert || got.MTLS.Key == "" || got.MTLS.CA == "" || len(got.Browser) != 1 || len(got.Override) == 0 {
		t.Errorf("configuration: alias %s, browser %v", got.Alias, got.Browser)
	}
}

func TestBusyPort(t *testing.T) {
	base := block(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+5))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := sandbox.New(sandbox.Config{DataDir: t.TempDir(), PortBase: base, Self: "bin/procura-sandbox", Out: io.Discard, Log: io.Discard}, sandbox.Deps{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Up(t.Context())
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(base+5)) || !strings.Contains(err.Error(), "--port-base") {
		t.Errorf("the error names neither port nor flag: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	good := sandbox.Config{DataDir: t.TempDir(), PortBase: 9443, Self: "bin/procura-sandbox", Out: io.Discard, Log: io.Discard}
	for name, change := range map[string]func(*sandbox.Config){
		"no data dir":     func(c *sandbox.Config) { c.DataDir = "" },
		"no output":       func(c *sandbox.Config) { c.Out = nil },
		"a system's port": func(c *sandbox.Config) { c.PortBase = 443 },
		"past the end":    func(c *sandbox.Config) { c.PortBase = 65530 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			change(&cfg)
			if _, err := sandbox.New(cfg, sandbox.Deps{Now: time.Now}); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := sandbox.New(good, sandbox.Deps{}); err == nil {
		t.Error("accepted without a clock")
	}
}

func TestConformanceRefuses(t *testing.T) {
	const plan = "fapi1-advanced-final-test-plan"
	const rest = "[fapi_auth_request_method=pushed][fapi_profile=plain_fapi][fapi_response_mode=jarm]"
	for name, text := range map[string]string{
		"nothing":         "",
		"no variants":     plan,
		"another plan":    "oidcc-basic-certification-test-plan[client_auth_type=mtls]" + rest,
		"a variant less":  plan + rest,
		"a wrong value":   plan + "[client_auth_type=none]" + rest,
		"a variant more":  plan + "[client_auth_type=mtls][colour=red]" + rest,
		"no such plan":    plan + "[client_auth_type=mtls][fapi_auth_request_method=by_value][fapi_profile=openbanking_uk][fapi_response_mode=jarm]",
		"no closing mark": plan + "[client_auth_type=mtls",
	} {
		t.Run(name, func(t *testing.T) {
			err := sandbox.Conformance(t.Context(), sandbox.ConformanceConfig{DataDir: t.TempDir(), Plan: text, Suite: "https://suite.example", Alg: "PS256", Out: io.Discard},
				sandbox.ConformanceDeps{Now: time.Now})
			if err == nil || !strings.Contains(err.Error(), plan) {
				t.Errorf("got %v", err)
			}
		})
	}
}
