package consent_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/consent"
	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/profile"
)

var issuer = fapi.Issuer{URL: "https://as.example", MTLSBase: "https://mtls.example", Audience: "https://api.example"}

// tpp and rival lodge consents; gateway is the resource server between.
const tpp, rival, gateway = "tpp", "rival", "gateway"

const good = `{"Data":{"Permissions":["ReadAccountsBasic"]},"Risk":{}}`

// desk is the room behind real TLS.
type desk struct {
	t         *testing.T
	now       time.Time
	store     *drawer
	backing   consent.Store // store, unless a test has a real one
	directory *clients.Directory
	service   *consent.Service
	revoked   atomic.Int64
	leaves    map[string]*certtest.Leaf
	roots     *x509.CertPool
	server    *httptest.Server
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	memory := &drawer{consents: map[string]*fapi.Consent{}}
	return newDeskOver(t, memory, memory)
}

// newDeskOver is a desk with another store; memory is nil then.
func newDeskOver(t *testing.T, backing consent.Store, memory *drawer) *desk {
	t.Helper()
	d := &desk{t: t, now: time.Now().Truncate(time.Second), store: memory, backing: backing,
		leaves: map[string]*certtest.Leaf{}}
	clock := func() time.Time { return d.now }
	ca, err := certtest.NewCA(certtest.Options{Name: "test", Now: d.now})
	must(t, err)
	d.roots = ca.Pool()
	records := map[string]*fapi.Client{}
	for _, id := range []string{tpp, rival, gateway} {
		records[id] = &fapi.Client{ID: id, Profile: profile.FAPI1Advanced, AuthMethod: fapi.AuthTLSClient,
			TLSSubjectDN: "CN=" + id, CertificateBound: true, Scope: "accounts"}
		d.leaves[id], err = ca.Issue(certtest.Client(d.now, "CN="+id))
		must(t, err)
	}
	records[gateway].ResourceServerAudience = issuer.Audience
	d.directory, err = clients.New(clients.Config{Issuer: issuer.URL, MaxEntries: 8, TTL: time.Hour}, clients.Deps{
		Read: func(_ context.Context, _, id string) (*fapi.Client, error) {
			if c, known := records[id]; known {
				return c, nil
			}
			return nil, fapi.ErrNotFound
		},
		Fetch: func(context.Context, string) ([]byte, error) { return nil, errors.New("nothing is fetched here") }, Now: clock})
	must(t, err)
	trust, err := cert.New(cert.Config{Trust: cert.TrustSet{Name: "test", Anchors: []*x509.Certificate{ca.Root}}}, cert.Deps{Now: clock})
	must(t, err)
	auth, err := clientauth.New(clientauth.Config{Issuer: issuer}, clientauth.Deps{Clients: d.directory, Certs: trust, Now: clock})
	must(t, err)
	d.service, err = consent.New(consent.Config{Issuer: issuer}, consent.Deps{Store: d.backing, Callers: auth, Clients: d.directory,
		Revoked: func() { d.revoked.Add(1) }, Now: clock, Rand: rand.Reader})
	must(t, err)
	d.serve(ca)
	return d
}

func (d *desk) serve(ca *certtest.CA) {
	leaf, err := ca.Issue(certtest.Server(d.now, "127.0.0.1"))
	must(d.t, err)
	mux := http.NewServeMux()
	mux.Handle(fapi.PathConsents, d.service)
	mux.Handle(fapi.PathConsents+"/{id}", d.service)
	d.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(cert.WithPeer(r.Context(), cert.NewPeer(r.TLS.PeerCertificates))))
	}))
	d.server.TLS = &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}, ClientAuth: tls.RequestClientCert}
	d.server.StartTLS()
	d.t.Cleanup(d.server.Close)
}

type reply struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

// data returns members of the answer's Data.
func (r reply) data(name string) any {
	data, _ := r.body["Data"].(map[string]any)
	return data[name]
}

// code is the first error code.
func (r reply) code() any {
	list, _ := r.body["Errors"].([]any)
	if len(list) == 0 {
		return nil
	}
	first, _ := list[0].(map[string]any)
	return first["ErrorCode"]
}

// call is one request as the gateway sends it, unless edit changes it.
func (d *desk) call(method, path, body string, edit func(*http.Request)) reply {
	return d.callAs(gateway, method, path, body, edit)
}

func (d *desk) callAs(certOf, method, path, body string, edit func(*http.Request)) reply {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.server.URL+path, strings.NewReader(body))
	must(d.t, err)
	req.Header.Set(consent.HeaderResourceServer, gateway)
	req.Header.Set(consent.HeaderClient, tpp)
	if body != "" {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	if edit != nil {
		edit(req)
	}
	config := &tls.Config{RootCAs: d.roots, MinVersion: tls.VersionTLS13}
	if certOf != "" {
		config.Certificates = []tls.Certificate{d.leaves[certOf].TLS()}
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Do(req)
	must(d.t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	must(d.t, err)
	out := reply{status: res.StatusCode, header: res.Header, raw: string(raw)}
	if strings.HasPrefix(out.raw, "{") {
		must(d.t, json.Unmarshal(raw, &out.body))
	}
	return out
}

func collection(version string) string {
	return strings.Replace(fapi.PathConsents, "{version}", version, 1)
}

// lodge posts a good consent and returns its path and id.
func (d *desk) lodge(version string) (path, id string) {
	d.t.Helper()
	got := d.call(http.MethodPost, collection(version), good, nil)
	id, _ = got.data("ConsentId").(string)
	if got.status != http.StatusCreated || id == "" {
		d.t.Fatalf("got %d %s", got.status, got.raw)
	}
	return collection(version) + "/" + id, id
}
