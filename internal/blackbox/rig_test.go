package blackbox_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/pgtest"
	"github.com/procura/procura/internal/sandbox/world"
)

// rig is what the tests hold of the sandbox: its addresses, its keys, its CA for
// client certificates, and every client of the tests.
type rig struct {
	*world.World
	dir, tools string
	procura    string // the operator's program
	run        string // stands in the ids of this run's clients
	roots      *x509.CertPool
	clientCA   *certtest.CA
	serverCA   *certtest.CA
	meta       metadata
	keys       *jose.KeySet
	front      *http.Client // without a certificate
	parties    map[string]*party
	tpp        *tppHost
	trap       *trap
	customers  chan *visitor
	look       *pgtest.Look
}

// metadata is the part of discovery that the tests use by name.
type metadata struct {
	Issuer    string `json:"issuer"`
	Authorize string `json:"authorization_endpoint"`
	JWKS      string `json:"jwks_uri"`
	endpoints
	Aliases endpoints `json:"mtls_endpoint_aliases"`
	raw     map[string]json.RawMessage
}

type endpoints struct {
	Token      string `json:"token_endpoint"`
	PAR        string `json:"pushed_authorization_request_endpoint"`
	Introspect string `json:"introspection_endpoint"`
	Revoke     string `json:"revocation_endpoint"`
	Userinfo   string `json:"userinfo_endpoint"`
}

func openRig(ctx context.Context, b *box, tools string) (*rig, error) {
	w, err := world.Read(b.dir)
	if err != nil {
		return nil, err
	}
	r := &rig{World: w, dir: b.dir, tools: tools, run: strings.ToLower(rand.Text()[:6]),
		parties: map[string]*party{}, customers: make(chan *visitor, 64)}
	for _, open := range []func(context.Context) error{r.openTrust, r.discover, r.openTPP, r.openTrap, r.openLook, r.register} {
		if err := open(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *rig) close() {
	r.tpp.close()
	r.trap.close()
	r.look.Close()
	r.front.CloseIdleConnections()
	for _, p := range r.parties {
		p.back.CloseIdleConnections()
	}
}

func (r *rig) openTrust(context.Context) error {
	raw, err := os.ReadFile(r.Path(r.CAFile))
	if err != nil {
		return err
	}
	r.roots = x509.NewCertPool()
	if !r.roots.AppendCertsFromPEM(raw) {
		return errors.New("the sandbox's CA file holds no certificate")
	}
	if r.clientCA, err = r.loadCA("pki/clients-ca.secret"); err != nil {
		return err
	}
	if r.serverCA, err = r.loadCA("pki/servers-ca.secret"); err != nil {
		return err
	}
	r.front = r.client(nil)
	return nil
}

func (r *rig) loadCA(name string) (*certtest.CA, error) {
	raw, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		return nil, err
	}
	return certtest.LoadCA(raw)
}

// client makes an HTTP client that follows no redirect and presents leaf if there
// is one.
func (r *rig) client(leaf *certtest.Leaf) *http.Client {
	conf := &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS12}
	if leaf != nil {
		chain := leaf.TLS()
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &chain, nil }
	}
	return &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: conf, MaxIdleConnsPerHost: 4},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (r *rig) discover(ctx context.Context) error {
	if err := r.fetch(ctx, r.Issuer+"/.well-known/openid-configuration", &r.meta); err != nil {
		return err
	}
	if err := r.fetch(ctx, r.Issuer+"/.well-known/openid-configuration", &r.meta.raw); err != nil {
		return err
	}
	var keys json.RawMessage
	if err := r.fetch(ctx, r.meta.JWKS, &keys); err != nil {
		return err
	}
	var err error
	r.keys, err = jose.ParseKeySet(keys)
	return err
}

func (r *rig) fetch(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := r.front.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// register makes the tests' clients and imports them with the operator's program.
func (r *rig) register(ctx context.Context) error {
	built, err := program(ctx, r.tools)
	if err != nil {
		return err
	}
	r.procura = built
	records, err := r.enrol(r.specs())
	if err != nil {
		return err
	}
	return r.importClients(ctx, r.Path(r.ConfigFile), records)
}

func (r *rig) importClients(ctx context.Context, config string, records []map[string]any, more ...string) error {
	raw, err := json.Marshal(records)
	if err != nil {
		return err
	}
	list := exec.CommandContext(ctx, r.procura, append([]string{"clients", "import", "--config", config, "-"}, more...)...)
	list.Stdin = strings.NewReader(string(raw))
	if out, err := list.CombinedOutput(); err != nil {
		return fmt.Errorf("importing clients: %w: %s", err, out)
	}
	return nil
}
