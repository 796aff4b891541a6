package clientauth_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/profile"
	"github.com/procura/procura/internal/wire"
)

// Clients of the rig, by what is special about them.
const (
	keyed    = "tpp-keyed"    // private_key_jwt, PS256 and ES256 keys
	onlyPS   = "tpp-only-ps"  // registered PS256
	withRS   = "tpp-with-rs"  // registered an algorithm that the rules forbid
	named    = "tpp-named"    // private_key_jwt with a registered certificate
	strict   = "tpp-strict"   // rules with the issuer as only audience
	keyless  = "tpp-keyless"  // private_key_jwt without keys
	hosted   = "tpp-hosted"   // keys at a jwks_uri
	holder   = "tpp-holder"   // tls_client_auth
	shouting = "tpp-shouting" // tls_client_auth with keys too
	stranger = "tpp-stranger" // not registered
)

var (
	start  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	issuer = fapi.Issuer{URL: "https://bank.example.com", MTLSBase: "https://mtls.bank.example.com", Audience: "https://api.bank.example.com"}
)

// rig is an Authenticator over real clients, keys and certificates; the store, the
// certificate validator and the clients' key host can be made to fail.
type rig struct {
	*clientauth.Authenticator
	ca       *certtest.CA
	signers  map[string]jose.Signer
	jwks     []byte
	now      time.Time
	storeErr error
	certErr  error
	host     func() ([]byte, error)
	finds    atomic.Int32
	checks   atomic.Int32
	realCert *cert.Validator
	dir      *clients.Directory
}

func newRig(t testing.TB) *rig {
	t.Helper()
	ca, err := certtest.NewCA(certtest.Options{Name: "Test", Now: start})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{ca: ca, now: start, signers: map[string]jose.Signer{}}
	r.jwks = r.makeKeys(t, "ps", jose.PS256, "es", jose.ES256)
	r.host = func() ([]byte, error) { return r.jwks, nil }
	clock := func() time.Time { return r.now }
	r.realCert, err = cert.New(cert.Config{Trust: cert.TrustSet{Name: "test", Anchors: []*x509.Certificate{ca.Root}}}, cert.Deps{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	r.dir, err = clients.New(clients.Config{Issuer: issuer.URL, MaxEntries: 100, TTL: time.Hour}, clients.Deps{
		Read: r.read, Now: clock,
		Fetch: func(context.Context, string) ([]byte, error) { return r.host() }})
	if err != nil {
		t.Fatal(err)
	}
	r.Authenticator, err = clientauth.New(clientauth.Config{Issuer: issuer}, clientauth.Deps{Clients: r, Certs: r, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// makeKeys makes a key per kid and algorithm, remembers its signer and returns the
// public set.
func (r *rig) makeKeys(t testing.TB, kidAlg ...string) []byte {
	t.Helper()
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	for i := 0; i < len(kidAlg); i += 2 {
		kid, alg := kidAlg[i], kidAlg[i+1]
		private, err := jose.GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		key := private
		if r.signers[kid], err = jose.NewSigner(kid, alg, key); err != nil {
			t.Fatal(err)
		}
		jwk, err := jose.PublicJWK(kid, jose.UseSig, alg, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		doc.Keys = append(doc.Keys, jwk)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// read is the store.
func (r *rig) read(_ context.Context, _, id string) (*fapi.Client, error) {
	if r.storeErr != nil {
		return nil, r.storeErr
	}
	c := &fapi.Client{ID: id, Profile: profile.FAPI1Advanced, AuthMethod: fapi.AuthPrivateKeyJWT, JWKS: r.jwks, CertificateBound: true}
	switch id {
	case keyed, strict:
	case onlyPS:
		c.AuthSigningAlg = jose.PS256
	case withRS:
		c.AuthSigningAlg = "RS256"
	case named:
		c.TLSSubjectDN = "CN=" + named
	case keyless:
		c.JWKS = nil
	case hosted:
		c.JWKS, c.JWKSURI = nil, "https://tpp.example.com/jwks"
	case holder, shouting:
		c.AuthMethod, c.TLSSubjectDN = fapi.AuthTLSClient, "CN="+id
	default:
		return nil, fapi.ErrNotFound
	}
	return c, nil
}

// Find is clients.Directory.Find; the strict client's rules are turned by hand,
// since no profile has them yet.
func (r *rig) Find(ctx context.Context, id string) (*clients.Registered, error) {
	r.finds.Add(1)
	c, err := r.dir.Find(ctx, id)
	if err == nil && id == strict {
		c.Rules.AssertionAudienceEndpoints = false
	}
	return c, err
}

// Check is cert.Validator.Check.
func (r *rig) Check(ctx context.Context, p *cert.Peer) error {
	r.checks.Add(1)
	if r.certErr != nil {
		return r.certErr
	}
	return r.realCert.Check(ctx, p)
}

func (r *rig) peer(t testing.TB, subject string, edit ...func(*certtest.Template)) *cert.Peer {
	t.Helper()
	tpl := certtest.Client(start, subject)
	for _, e := range edit {
		e(&tpl)
	}
	leaf, err := r.ca.Issue(tpl)
	if err != nil {
		t.Fatal(err)
	}
	return leaf.Peer()
}

// claims are those of a good assertion of id, changed by edits; nil drops a member.
func (r *rig) claims(id string, edits ...map[string]any) map[string]any {
	c := map[string]any{"iss": id, "sub": id, "aud": issuer.URL, "jti": "jti-1",
		"iat": r.now.Unix(), "nbf": r.now.Unix(), "exp": r.now.Add(time.Minute).Unix()}
	for _, e := range edits {
		maps.Copy(c, e)
	}
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// sign makes an assertion with the key kid and a given header type.
func (r *rig) sign(t testing.TB, kid, typ string, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return r.signRaw(t, kid, typ, payload)
}

func (r *rig) signRaw(t testing.TB, kid, typ string, payload []byte) string {
	t.Helper()
	compact, err := r.signers[kid].Sign(typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// signHeader makes an assertion with a header of any kind.
func (r *rig) signHeader(t testing.TB, kid, header string, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding
	input := enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString(payload)
	sig, err := r.signers[kid].SignBytes([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + enc.EncodeToString(sig)
}

// asserted is a request with an assertion.
func asserted(compact string, edits ...wire.Params) clientauth.Request {
	p := wire.Params{"client_assertion_type": fapi.AssertionTypeJWT, "client_assertion": compact}
	for _, e := range edits {
		maps.Copy(p, e)
	}
	maps.DeleteFunc(p, func(_, v string) bool { return v == "" })
	return clientauth.Request{Params: p}
}

// mustRefuse compares the answer's code and status, and holds its description to
// what may leave the building: RFC 6749 §5.2 characters, nothing of the input.
func mustRefuse(t testing.TB, err error, code string, status int) *fapi.Error {
	t.Helper()
	e, direct := any(err).(*fapi.Error) // itself, not wrapped
	if !direct {
		t.Fatalf("error %v (%T) is no *fapi.Error", err, err)
	}
	if e.Code != code || e.Status != status {
		t.Errorf("answered %d %v, want %d %s", e.Status, e, status, code)
	}
	for _, r := range e.Description {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			t.Errorf("description %q holds %q", e.Description, r)
		}
	}
	for _, input := range []string{"tpp-", "jti-", "evil"} {
		if strings.Contains(e.Description, input) {
			t.Errorf("description %q holds input", e.Description)
		}
	}
	return e
}

func sprint(v any) string { return fmt.Sprint(v) }
