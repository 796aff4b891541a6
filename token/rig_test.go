package token_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/mint"
	"github.com/procura/procura/internal/profile"
	"github.com/procura/procura/token"
)

// issuer is whose tokens the tests are about.
var issuer = fapi.Issuer{URL: "https://as.example", MTLSBase: "https://mtls.example", Audience: "https://api.example"}

// Clients of the tests. tpp and stranger use certificates, keyed a key; bank and
// branch are resource servers, of which only bank sees customers.
const (
	tpp, stranger, keyed = "tpp", "stranger", "keyed"
	bank, branch         = "bank", "branch"
	branchAudience       = "https://branch.example"
)

// hands is a clock that a test moves.
type hands struct {
	mu  sync.Mutex
	now time.Time
}

func (h *hands) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hands) Advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// ring is one key that signs and its public half.
type ring struct {
	signer jose.Signer
	public *jose.KeySet
}

func (r *ring) Signer(string) (jose.Signer, error) { return r.signer, nil }
func (r *ring) Public() *jose.KeySet               { return r.public }

func newKey(t *testing.T, kid string) (*ring, json.RawMessage) {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	must(t, err)
	private, ok := key.(crypto.Signer)
	if !ok {
		t.Fatal("the key does not sign")
	}
	jwk, err := jose.PublicJWK(kid, "sig", jose.ES256, private.Public())
	must(t, err)
	raw := json.RawMessage(fmt.Sprintf(`{"keys":[%s]}`, jwk))
	set, err := jose.ParseKeySet(raw)
	must(t, err)
	signer, err := jose.NewSigner(kid, jose.ES256, private)
	must(t, err)
	return &ring{signer: signer, public: set}, raw
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ledger is the database of the tests: its acts, and how many there were.
type ledger struct {
	mu       sync.Mutex
	trips    int
	spent    map[fapi.Digest]bool
	grants   map[string]*fapi.Grant
	consents map[string]*fapi.Consent
	refresh  map[fapi.Digest]*fapi.RefreshToken
	dead     map[string]bool // jti
	changes  []fapi.Change
	acts     []any // what was revoked
	down     bool
}

func newLedger() *ledger {
	return &ledger{spent: map[fapi.Digest]bool{}, grants: map[string]*fapi.Grant{}, dead: map[string]bool{},
		consents: map[string]*fapi.Consent{}, refresh: map[fapi.Digest]*fapi.RefreshToken{}}
}

// visit is the beginning of every statement: it counts, and spends the jti.
func (l *ledger) visit(once fapi.Once) error {
	l.trips++
	if l.down {
		return fmt.Errorf("reaching the database: %w", fapi.ErrUnavailable)
	}
	if once.IsZero() {
		return nil
	}
	if l.spent[once.Digest] {
		return fapi.ErrReplayed
	}
	l.spent[once.Digest] = true
	return nil
}

func (l *ledger) SpendOnce(_ context.Context, once fapi.Once) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if once.IsZero() {
		return nil
	}
	return l.visit(once)
}

func (l *ledger) ReadTokenState(_ context.Context, q fapi.TokenQuery) (*fapi.TokenState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.visit(q.Once); err != nil {
		return nil, err
	}
	return &fapi.TokenState{Revoked: l.dead[q.JTI], Grant: l.grants[q.GrantID], Consent: l.consents[q.ConsentID]}, nil
}

func (l *ledger) ReadRefresh(_ context.Context, _ string, d fapi.Digest, once fapi.Once) (*fapi.RefreshState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.visit(once); err != nil {
		return nil, err
	}
	r, known := l.refresh[d]
	if !known {
		return nil, fapi.ErrNotFound
	}
	g := l.grants[r.GrantID]
	return &fapi.RefreshState{Refresh: *r, Grant: *g, Consent: l.consents[g.ConsentID]}, nil
}

func (l *ledger) RevokeGrant(_ context.Context, r fapi.GrantRevocation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.visit(r.Once); err != nil {
		return err
	}
	l.grants[r.GrantID].RevokedAt = r.Now
	l.acts = append(l.acts, r)
	return nil
}

func (l *ledger) RevokeToken(_ context.Context, r fapi.TokenRevocation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.visit(r.Once); err != nil {
		return err
	}
	l.dead[r.JTI] = true
	l.acts = append(l.acts, r)
	return nil
}

func (l *ledger) ChangesSince(_ context.Context, _ string, since, now time.Time) ([]fapi.Change, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.visit(fapi.Once{}); err != nil {
		return nil, err
	}
	var out []fapi.Change
	for _, c := range l.changes {
		if !c.CreatedAt.Before(since) && c.ExpiresAt.After(now) {
			out = append(out, c)
		}
	}
	return out, nil
}

// commit makes a change visible; at is the time that it carries.
func (l *ledger) commit(kind, value string, revoked bool, at time.Time) fapi.Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := fapi.Change{ID: uuid.NewString(), Issuer: issuer.URL, Kind: kind, Value: value, Revoked: revoked,
		CreatedAt: at, ExpiresAt: at.Add(10 * time.Minute)}
	l.changes = append(l.changes, c)
	return c
}

func (l *ledger) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.trips
	l.trips = 0
	return n
}

// rig is the token room without its token endpoint, behind real TLS.
type rig struct {
	t       *testing.T
	clock   *hands
	store   *ledger
	ca      *certtest.CA
	leaves  map[string]*certtest.Leaf
	auth    *clientauth.Authenticator
	mint    *mint.Mint
	keyring *ring            // of the server
	keys    map[string]*ring // of private_key_jwt clients
	records map[string]*fapi.Client
	woken   atomic.Int64
	roots   *x509.CertPool

	mtls, plain *httptest.Server
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, clock: &hands{now: time.Now().Truncate(time.Second)}, store: newLedger(),
		leaves: map[string]*certtest.Leaf{}, keys: map[string]*ring{}}
	var err error
	r.ca, err = certtest.NewCA(certtest.Options{Name: "clients", Now: r.clock.Now()})
	must(t, err)
	r.register()
	trust, err := cert.New(cert.Config{Trust: cert.TrustSet{Name: "test", Anchors: []*x509.Certificate{r.ca.Root}}},
		cert.Deps{Now: r.clock.Now})
	must(t, err)
	directory, err := clients.New(clients.Config{Issuer: issuer.URL, MaxEntries: 16, TTL: time.Hour}, clients.Deps{
		Read: r.read, Now: r.clock.Now,
		Fetch: func(context.Context, string) ([]byte, error) { return nil, errors.New("nothing is fetched here") }})
	must(t, err)
	r.auth, err = clientauth.New(clientauth.Config{Issuer: issuer}, clientauth.Deps{Clients: directory, Certs: trust, Now: r.clock.Now})
	must(t, err)
	r.keyring, _ = newKey(t, "server")
	r.mint, err = mint.New(mint.Config{Issuer: issuer}, mint.Deps{Ring: r.keyring, Now: r.clock.Now, Rand: rand.Reader})
	must(t, err)
	return r
}

func (r *rig) register() {
	keys, jwks := newKey(r.t, "k1")
	r.keys[keyed] = keys
	base := fapi.Client{Profile: profile.FAPI1Advanced, CertificateBound: true, Scope: "openid accounts",
		GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{"https://tpp.example/cb"}}
	r.records = map[string]*fapi.Client{}
	for _, id := range []string{tpp, stranger, keyed, bank, branch} {
		c := base
		c.ID, c.AuthMethod, c.TLSSubjectDN = id, fapi.AuthTLSClient, "CN="+id
		r.records[id] = &c
		leaf, err := r.ca.Issue(certtest.Client(r.clock.Now(), "CN="+id))
		must(r.t, err)
		r.leaves[id] = leaf
	}
	r.records[keyed].AuthMethod, r.records[keyed].TLSSubjectDN, r.records[keyed].JWKS = fapi.AuthPrivateKeyJWT, "", jwks
	for id, audience := range map[string]string{bank: issuer.Audience, branch: branchAudience} {
		r.records[id].ResourceServerAudience, r.records[id].Scope = audience, ""
	}
	r.records[bank].ResourceServerSeesCustomers = true
}

func (r *rig) read(_ context.Context, _, id string) (*fapi.Client, error) {
	if c, known := r.records[id]; known {
		return c, nil
	}
	return nil, fapi.ErrNotFound
}

func (r *rig) wake() { r.woken.Add(1) }

// serve puts handlers behind two listeners, one of which asks for certificates.
func (r *rig) serve(h http.Handler) {
	r.t.Helper()
	server, err := r.ca.Issue(certtest.Server(r.clock.Now(), "127.0.0.1"))
	must(r.t, err)
	r.roots = r.ca.Pool()
	start := func(ask tls.ClientAuthType) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			peer := cert.NewPeer(q.TLS.PeerCertificates)
			h.ServeHTTP(w, q.WithContext(cert.WithPeer(q.Context(), peer)))
		}))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{server.TLS()}, ClientAuth: ask}
		s.StartTLS()
		r.t.Cleanup(s.Close)
		return s
	}
	r.mtls, r.plain = start(tls.RequestClientCert), start(tls.NoClientCert)
}

// as is an HTTP client with somebody's certificate, "" for none.
func (r *rig) as(id string) *http.Client {
	config := &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS13}
	if id != "" {
		config.Certificates = []tls.Certificate{r.leaves[id].TLS()}
	}
	transport := &http.Transport{TLSClientConfig: config}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func (r *rig) send(c *http.Client, req *http.Request) reply {
	r.t.Helper()
	res, err := c.Do(req)
	must(r.t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	must(r.t, err)
	out := reply{status: res.StatusCode, header: res.Header, raw: strings.TrimSpace(string(raw))}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out.body); err != nil {
			r.t.Fatalf("the answer is no JSON: %s", raw)
		}
	}
	return out
}

// form posts as a client, with its certificate or a fresh assertion.
func (r *rig) form(id, path string, form url.Values) reply {
	r.t.Helper()
	if r.keys[id] != nil {
		return r.post("", path, merge(form, r.assertion(id, uuid.NewString())))
	}
	return r.post(id, path, merge(form, url.Values{"client_id": {id}}))
}

func (r *rig) post(certOf, path string, form url.Values) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.mtls.URL+path, strings.NewReader(form.Encode()))
	must(r.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
	req.Header.Set("Accept", "text/html, image/gif, image/jpeg, */*; q=0.2")
	return r.send(r.as(certOf), req)
}

func merge(sets ...url.Values) url.Values {
	out := url.Values{}
	for _, set := range sets {
		for k, v := range set {
			out[k] = v
		}
	}
	return out
}

func (r *rig) assertion(id, jti string) url.Values {
	r.t.Helper()
	claims, err := json.Marshal(map[string]any{"iss": id, "sub": id, "aud": issuer.URL, "jti": jti,
		"exp": r.clock.Now().Add(time.Minute).Unix()})
	must(r.t, err)
	signer, err := r.keys[id].Signer(jose.ES256)
	must(r.t, err)
	signed, err := signer.Sign("JWT", claims)
	must(r.t, err)
	return url.Values{"client_assertion_type": {fapi.AssertionTypeJWT}, "client_assertion": {signed}}
}

// grant stores a live grant of a client, with a live consent.
func (r *rig) grant(clientID string) *fapi.Grant {
	now := r.clock.Now()
	c := &fapi.Consent{ID: uuid.NewString(), Issuer: issuer.URL, ClientID: clientID, Kind: "account-access",
		Permissions: []string{"ReadAccountsBasic"}, Status: fapi.ConsentAuthorised, Customer: "customer-7",
		ExpiresAt: now.Add(24 * time.Hour)}
	g := &fapi.Grant{ID: uuid.NewString(), Issuer: issuer.URL, ClientID: clientID, ConsentID: c.ID,
		Customer: "customer-7", Subject: "pairwise-" + clientID, Scope: []string{"accounts", "openid"},
		ACR: "urn:openbanking:psd2:sca", AuthTime: now.Add(-time.Minute), Accounts: []string{"a1", "a2"},
		Profile: map[string]string{"name": "Ada", "email": "ada@example.org", "email_verified": "true", "updated_at": "1700000000"}}
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	r.store.grants[g.ID], r.store.consents[c.ID] = g, c
	return g
}

// userToken mints an access token of a grant; edit may spoil it before.
func (r *rig) userToken(g *fapi.Grant, edit func(*fapi.AccessToken)) string {
	r.t.Helper()
	t := fapi.AccessToken{Issuer: issuer.URL, Subject: g.Subject, Audience: []string{issuer.Audience, issuer.At(fapi.PathUserinfo)},
		ClientID: g.ClientID, JTI: uuid.NewString(), Scope: g.Scope, IssuedAt: r.clock.Now(),
		ExpiresAt: r.clock.Now().Add(10 * time.Minute), AuthTime: g.AuthTime, ACR: g.ACR, GrantID: g.ID,
		ConsentID: g.ConsentID, User: true, Confirmation: fapi.Confirmation{X5T: r.leaves[g.ClientID].Peer().Thumbprint}}
	if edit != nil {
		edit(&t)
	}
	return r.access(t)
}

// appToken mints an access token that speaks for a client alone.
func (r *rig) appToken(clientID string) string {
	r.t.Helper()
	return r.access(fapi.AccessToken{Issuer: issuer.URL, Subject: clientID, Audience: []string{issuer.Audience},
		ClientID: clientID, JTI: uuid.NewString(), Scope: []string{"accounts"}, IssuedAt: r.clock.Now(),
		ExpiresAt: r.clock.Now().Add(10 * time.Minute), Confirmation: fapi.Confirmation{X5T: r.leaves[clientID].Peer().Thumbprint}})
}

func (r *rig) access(t fapi.AccessToken) string {
	r.t.Helper()
	signed, err := r.mint.Access(t)
	must(r.t, err)
	return signed.Reveal()
}

// idToken is a JWT of ours that is no access token.
func (r *rig) idToken(g *fapi.Grant) string {
	r.t.Helper()
	signed, err := r.mint.IDToken(r.records[g.ClientID], nil, fapi.IDToken{Issuer: issuer.URL, Subject: g.Subject, ClientID: g.ClientID,
		IssuedAt: r.clock.Now(), ExpiresAt: r.clock.Now().Add(time.Minute)})
	must(r.t, err)
	return signed.Reveal()
}

// refreshToken stores a refresh token of a grant.
func (r *rig) refreshToken(g *fapi.Grant) (string, *fapi.RefreshToken) {
	r.t.Helper()
	secret, err := fapi.NewSecret(rand.Reader, 32)
	must(r.t, err)
	row := &fapi.RefreshToken{Digest: secret.Digest(), GrantID: g.ID, Issuer: issuer.URL, ClientID: g.ClientID,
		Scope: g.Scope, CreatedAt: r.clock.Now()}
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	r.store.refresh[row.Digest] = row
	return secret.Reveal(), row
}

func newIntrospection(t *testing.T, r *rig) http.Handler {
	t.Helper()
	in, err := token.NewIntrospection(token.IntrospectionConfig{Issuer: issuer},
		token.IntrospectionDeps{Clients: r.auth, Tokens: r.mint, Store: r.store, Now: r.clock.Now})
	must(t, err)
	return in
}

func newRevocation(t *testing.T, r *rig) http.Handler {
	t.Helper()
	rv, err := token.NewRevocation(token.RevocationConfig{Issuer: issuer}, token.RevocationDeps{
		Clients: r.auth, Tokens: r.mint, Store: r.store, Revoked: r.wake, Now: r.clock.Now})
	must(t, err)
	return rv
}
