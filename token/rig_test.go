package token_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
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
	jwk, err := jose.PublicJWK(kid, "sig", jose.ES256, key.Public())
	must(t, err)
	raw := json.RawMessage(fmt.Sprintf(`{"keys":[%s]}`, jwk))
	set, err := jose.ParseKeySet(raw)
	must(t, err)
	signer, err := jose.NewSigner(kid, jose.ES256, key)
	must(t, err)
	return &ring{signer: signer, public: set}, raw
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// backing is everything that the room stores.
type backing interface {
	token.IntrospectionStore
	token.RevocationStore
	token.ChangeStore
}

// rig is the token room without its token endpoint, behind real TLS.
type rig struct {
	t       *testing.T
	clock   *hands
	store   *ledger
	db      backing // store, unless a test has a real one
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
	ledger := newLedger()
	r := &rig{t: t, clock: &hands{now: time.Now().Truncate(time.Second)}, store: ledger, db: ledger,
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
		token.IntrospectionDeps{Clients: r.auth, Tokens: r.mint, Store: r.db, Now: r.clock.Now})
	must(t, err)
	return in
}

func newRevocation(t *testing.T, r *rig) http.Handler {
	t.Helper()
	rv, err := token.NewRevocation(token.RevocationConfig{Issuer: issuer}, token.RevocationDeps{
		Clients: r.auth, Tokens: r.mint, Store: r.db, Revoked: r.wake, Now: r.clock.Now})
	must(t, err)
	return rv
}
