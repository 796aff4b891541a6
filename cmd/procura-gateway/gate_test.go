package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/resourcetest"
)

const file = `
issuer: %[1]s
audience: %[2]s
mtls_base: %[1]s
client_id: %[3]s
client_certificate: {cert_file: own.pem, key_file: own.key}
fetch: {allow_hosts: ["%[4]s"], ca_file: ca.pem}
upstream: {url: "%[5]s"}
listen: {api: "127.0.0.1:0", ops: "127.0.0.1:0"}
tls:
  only_tls13: true
  certificates: [{cert_file: server.pem, key_file: server.key}]
shutdown: {grace: 5s}
`

// The whole program: a file, a token, a customer's accounts, a revocation, an end.
func TestServe(t *testing.T) {
	issuer := resourcetest.Start(t, time.Now)
	issuer.Describe(resourcetest.GrantID, map[string]any{"active": true, "client_id": resourcetest.ClientID,
		"grant_id": resourcetest.GrantID, "consent_id": resourcetest.ConsentID, "customer": "cust-1001",
		"accounts": []string{"acc-1"}, "permissions": []string{"ReadAccountsBasic"}})
	bank := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"customer":%q}`, r.Header.Get(resource.HeaderCustomer))
	}))
	defer bank.Close()
	dir := t.TempDir()
	save(t, dir, "ca.pem", issuer.CA.RootPEM())
	saveLeaf(t, dir, "own", issuer.ClientCertificate("gateway"))
	server, err := issuer.CA.Issue(certtest.Server(time.Now(), "127.0.0.1"))
	must(t, err)
	saveLeaf(t, dir, "server", server)
	save(t, dir, "gateway.yaml", fmt.Appendf(nil, file, issuer.URL, resourcetest.Audience, resourcetest.ServerID, issuer.Host(), bank.URL))

	conf, err := load(filepath.Join(dir, "gateway.yaml"))
	must(t, err)
	var logged output
	g, err := newGate(conf, &logged)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.run(ctx) }()
	at := <-g.listening

	if status, _ := get(t, http.DefaultClient, "http://"+at.ops+"/livez", ""); status != 200 {
		t.Errorf("/livez: %d", status)
	}
	eventually(t, "ready", func() bool {
		status, _ := get(t, http.DefaultClient, "http://"+at.ops+"/readyz", "")
		return status == 200
	})
	tpp := issuer.ClientCertificate("tpp")
	client, err := resource.NewClient(tpp.TLS(), issuer.CA.Pool())
	must(t, err)
	token := issuer.Token(tpp.Cert)
	accounts := "https://" + at.api + "/open-banking/v3.1/aisp/accounts"
	if status, body := get(t, client, accounts, token); status != 200 || body != `{"customer":"cust-1001"}` {
		t.Errorf("accounts: %d %s", status, body)
	}
	issuer.Feed.Revoke("grant", resourcetest.GrantID, time.Now().Add(time.Hour))
	eventually(t, "refused", func() bool { status, _ := get(t, client, accounts, token); return status == 401 })

	stop()
	must(t, <-ended)
	if text := logged.String(); !strings.Contains(text, `"client_id":"tpp-1"`) || strings.Contains(text, token) {
		t.Errorf("the log lacks the client or holds the token:\n%s", text)
	}
}

func TestBadFilesDoNotStart(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "gateway.yaml", []byte("issuer: http://x\n"))
	_, err := load(filepath.Join(dir, "gateway.yaml"))
	if err == nil || !strings.Contains(err.Error(), "client_certificate") || !strings.Contains(err.Error(), "upstream.url") {
		t.Errorf("error %v, want every problem at once", err)
	}
	if err := (&checkCmd{Config: filepath.Join(dir, "none.yaml")}).Run(io.Discard); err == nil {
		t.Error("a missing file is good")
	}
}

// output is what two goroutines may write to.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func saveLeaf(t *testing.T, dir, name string, leaf *certtest.Leaf) {
	t.Helper()
	key, err := leaf.KeyPEM()
	must(t, err)
	save(t, dir, name+".pem", leaf.CertPEM())
	save(t, dir, name+".key", key)
}

func save(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
}

func get(t *testing.T, client *http.Client, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(req)
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(body)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(5 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("still not: %s", what)
		case <-again.C:
		}
	}
}
