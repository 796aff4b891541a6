// Package resourcetest is an authorization server for the tests of resource
// servers: real TLS, real signatures, and nothing behind it. It signs whatever a
// test wants signed and serves what a resource server asks for: metadata, keys,
// revocations, introspection. It checks nobody and must not leave a test.
package resourcetest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/internal/jose"
)

// Names in the tokens that Issuer signs unless a test says otherwise.
const (
	Audience  = "https://api.bank.example"
	ClientID  = "tpp-1"
	Subject   = "pairwise-alice"
	GrantID   = "0f1e2d3c-0000-4000-8000-000000000001"
	ConsentID = "consent-1"
	ServerID  = "gateway-1" // the resource server's own client id
)

// Issuer is a running authorization server. Both listeners of a real one are one
// here.
type Issuer struct {
	URL   string
	CA    *certtest.CA
	Feed  *Feed
	Calls Calls
	// Consents serves requests below /open-banking/; nil answers 404.
	Consents http.Handler

	t      testing.TB
	now    func() time.Time
	mu     sync.Mutex
	keys   []key
	broken bool
	grants map[string]map[string]any
	tokens atomic.Int64
}

// Calls counts requests by what they asked for.
type Calls struct{ Metadata, Keys, Introspections atomic.Int64 }

type key struct {
	signer jose.Signer
	public json.RawMessage
}

// Start runs an issuer until the test ends. now is what its tokens are dated by.
func Start(t testing.TB, now func() time.Time) *Issuer {
	t.Helper()
	ca, err := certtest.NewCA(certtest.Options{Name: "Test", Now: time.Now()})
	check(t, err)
	i := &Issuer{t: t, now: now, CA: ca, Feed: newFeed(), grants: map[string]map[string]any{}}
	i.Rotate("k1", jose.ES256)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.metadata)
	mux.HandleFunc("GET /jwks", i.jwks)
	mux.Handle("GET /revocations", i.Feed)
	mux.HandleFunc("POST /introspect", i.introspect)
	mux.HandleFunc("/open-banking/", func(w http.ResponseWriter, r *http.Request) {
		if i.Consents == nil {
			http.NotFound(w, r)
			return
		}
		i.Consents.ServeHTTP(w, r)
	})
	i.URL = Serve(t, ca, mux)
	t.Cleanup(i.Feed.Close) // before the server is closed, which waits for streams
	return i
}

// Serve runs a handler over TLS, which asks for a client certificate, and returns
// its URL.
func Serve(t testing.TB, ca *certtest.CA, h http.Handler) string {
	t.Helper()
	leaf, err := ca.Issue(certtest.Server(time.Now(), "127.0.0.1"))
	check(t, err)
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}, ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// Host is the issuer's host:port.
func (i *Issuer) Host() string {
	u, err := url.Parse(i.URL)
	check(i.t, err)
	return u.Host
}

// ClientCertificate issues a certificate for a client.
func (i *Issuer) ClientCertificate(name string) *certtest.Leaf {
	i.t.Helper()
	leaf, err := i.CA.Issue(certtest.Client(time.Now(), "CN="+name+",O=Test"))
	check(i.t, err)
	return leaf
}

// Rotate adds a key, with which tokens are signed from now on.
func (i *Issuer) Rotate(kid, alg string) {
	i.t.Helper()
	signer, public := Key(i.t, kid, alg)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key{signer, public})
}

// Withdraw takes a key out of the published set.
func (i *Issuer) Withdraw(kid string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = slices.DeleteFunc(i.keys, func(k key) bool { return k.signer.KID == kid })
}

// Key makes a key pair that no issuer has published.
func Key(t testing.TB, kid, alg string) (jose.Signer, json.RawMessage) {
	t.Helper()
	private, err := jose.GenerateKey(alg)
	check(t, err)
	signer, err := jose.NewSigner(kid, alg, private)
	check(t, err)
	public, err := jose.PublicJWK(kid, "sig", alg, private.Public())
	check(t, err)
	return signer, public
}

// Break makes metadata and keys answer 500, or mends them.
func (i *Issuer) Break(broken bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.broken = broken
}

// Claims returns the payload of a good token for a customer, bound to peer.
func (i *Issuer) Claims(peer *x509.Certificate) map[string]any {
	now := i.now().Unix()
	return map[string]any{
		"iss": i.URL, "sub": Subject, "aud": Audience, "client_id": ClientID, "scope": "openid accounts",
		"iat": now, "nbf": now, "exp": now + 600, "jti": fmt.Sprintf("jti-%d", i.tokens.Add(1)),
		"cnf":      map[string]string{"x5t#S256": jose.CertThumbprint(peer.Raw)},
		"grant_id": GrantID, "consent_id": ConsentID, "token_for": "user", "acr": "urn:openbanking:psd2:sca", "auth_time": now,
	}
}

// ApplicationClaims returns the payload of a good client credentials token.
func (i *Issuer) ApplicationClaims(peer *x509.Certificate) map[string]any {
	c := i.Claims(peer)
	for _, name := range []string{"grant_id", "consent_id", "acr", "auth_time"} {
		delete(c, name)
	}
	maps.Copy(c, map[string]any{"sub": ClientID, "scope": "accounts", "token_for": "application"})
	return c
}

// Sign signs a payload with the newest key.
func (i *Issuer) Sign(typ string, claims map[string]any) string {
	i.t.Helper()
	i.mu.Lock()
	signer := i.keys[len(i.keys)-1].signer
	i.mu.Unlock()
	return SignWith(i.t, signer, typ, claims)
}

// SignWith signs a payload with any key.
func SignWith(t testing.TB, signer jose.Signer, typ string, claims map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(claims)
	check(t, err)
	token, err := signer.Sign(typ, raw)
	check(t, err)
	return token
}

// Token returns a good token for a customer.
func (i *Issuer) Token(peer *x509.Certificate) string {
	i.t.Helper()
	return i.Sign("at+jwt", i.Claims(peer))
}

// Describe sets what introspection says about tokens of a grant. Others are
// inactive.
func (i *Issuer) Describe(grantID string, answer map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.grants[grantID] = answer
}

func (i *Issuer) metadata(w http.ResponseWriter, _ *http.Request) {
	i.Calls.Metadata.Add(1)
	i.answer(w, map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/jwks"})
}

func (i *Issuer) jwks(w http.ResponseWriter, _ *http.Request) {
	i.Calls.Keys.Add(1)
	i.mu.Lock()
	public := make([]json.RawMessage, len(i.keys))
	for n, k := range i.keys {
		public[n] = k.public
	}
	i.mu.Unlock()
	i.answer(w, map[string]any{"keys": public})
}

func (i *Issuer) answer(w http.ResponseWriter, body any) {
	i.mu.Lock()
	broken := i.broken
	i.mu.Unlock()
	if broken {
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	writeJSON(w, body)
}

func (i *Issuer) introspect(w http.ResponseWriter, r *http.Request) {
	i.Calls.Introspections.Add(1)
	payload, err := jose.Payload(r.PostFormValue("token"))
	var c struct {
		GrantID string `json:"grant_id"`
	}
	if err != nil || json.Unmarshal(payload, &c) != nil || r.PostFormValue("client_id") != ServerID || len(r.TLS.PeerCertificates) == 0 {
		http.Error(w, "not an introspection", http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	answer, ok := i.grants[c.GrantID]
	i.mu.Unlock()
	if !ok {
		answer = map[string]any{"active": false}
	}
	i.answer(w, answer)
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the test that asked is gone when this fails
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
