package blackbox_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// clientHost is where the tests' clients live; nothing listens there, browsers
// stop when they are sent to it.
const clientHost = "tpp.example"

// party is one registered client with everything that its owner holds.
type party struct {
	id       string
	spec     spec
	redirect string
	key      crypto.Signer
	signer   jose.Signer
	leaf     *certtest.Leaf
	back     *http.Client // presents the certificate
}

// spec says how a party is to be registered. Edit changes the record at last.
type spec struct {
	name   string
	method string
	alg    string
	query  bool                   // its redirect URI has a query
	subj   func(id string) string // of its certificate; nil: the usual one
	edit   func(p *party, record map[string]any)
}

// specs lists the clients of the plans, two for each attack, and those that one
// attack needs besides.
func (r *rig) specs() []spec {
	var all []spec
	for _, p := range plans() {
		all = append(all, spec{name: p.name() + "-1", method: p.method(), alg: jose.PS256, edit: p.register},
			spec{name: p.name() + "-2", method: p.method(), alg: jose.ES256, query: true, edit: p.register})
	}
	for _, n := range catalogue() {
		for _, which := range []string{"mallory", "victim"} {
			all = append(all, spec{name: fmt.Sprintf("a%d-%s", n, which), method: fapi.AuthPrivateKeyJWT, alg: jose.ES256})
		}
	}
	return append(all, r.specials()...)
}

// enrol makes the parties and returns their registrations.
func (r *rig) enrol(list []spec) ([]map[string]any, error) {
	var records []map[string]any
	for _, s := range list {
		p, record, err := r.party(s)
		if err != nil {
			return nil, fmt.Errorf("making client %s: %w", s.name, err)
		}
		r.parties[s.name] = p
		records = append(records, record)
	}
	return records, nil
}

func (r *rig) party(s spec) (*party, map[string]any, error) {
	p := &party{id: "bb-" + r.run + "-" + s.name, spec: s}
	p.redirect = "https://" + clientHost + "/" + s.name + "/callback"
	if s.query {
		p.redirect += "?dummy1=lorem&dummy2=ipsum"
	}
	subject := p.subject()
	var err error
	if p.key, err = jose.GenerateKey(s.alg); err != nil {
		return nil, nil, err
	}
	if p.signer, err = jose.NewSigner(p.id+"-key", s.alg, p.key); err != nil {
		return nil, nil, err
	}
	if p.leaf, err = r.clientCA.Issue(certtest.Client(time.Now(), subject)); err != nil {
		return nil, nil, err
	}
	p.back = r.client(p.leaf)
	jwk, err := p.publicJWK()
	if err != nil {
		return nil, nil, err
	}
	record := map[string]any{
		"client_id": p.id, "profile": "fapi1-advanced", "client_name": "Black Box " + s.name,
		"redirect_uris": []string{p.redirect}, "response_types": []string{"code id_token", "code"},
		"grant_types": []string{"authorization_code", "refresh_token", "client_credentials"},
		"scope":       allScopes, "token_endpoint_auth_method": s.method,
		"tls_client_certificate_bound_access_tokens": true,
		"jwks": map[string]any{"keys": []json.RawMessage{json.RawMessage(jwk)}},
	}
	if s.method == fapi.AuthTLSClient {
		record["tls_client_auth_subject_dn"] = subject
	}
	if s.edit != nil {
		s.edit(p, record)
	}
	return p, record, nil
}

// subject is the name in the party's certificate (RFC 4514).
func (p *party) subject() string {
	if p.spec.subj != nil {
		return p.spec.subj(p.id)
	}
	return "CN=" + p.id + ",O=Black Box,C=GB"
}

// publicJWK is the key with which the party's signatures are verified.
func (p *party) publicJWK() ([]byte, error) {
	return jose.PublicJWK(p.signer.KID, "sig", p.signer.Alg, p.key.Public())
}

// who returns the party of a name.
func who(t testing.TB, name string) *party {
	t.Helper()
	p := house.parties[name]
	if p == nil {
		t.Fatalf("there is no client %s", name)
	}
	return p
}

// assertion returns the claims of a good client assertion for aud.
func (p *party) assertion(aud any) map[string]any {
	now := time.Now().Unix()
	return map[string]any{"iss": p.id, "sub": p.id, "aud": aud, "jti": rand.Text(), "iat": now, "nbf": now, "exp": now + 60}
}

// proof wraps a client assertion into its form members.
func proof(compact string) url.Values {
	return url.Values{"client_assertion_type": {fapi.AssertionTypeJWT}, "client_assertion": {compact}}
}

// identify returns the form members with which the party authenticates.
func (p *party) identify(t testing.TB, aud string) url.Values {
	t.Helper()
	if p.spec.method == fapi.AuthTLSClient {
		return url.Values{"client_id": {p.id}}
	}
	return proof(p.sign(t, p.assertion(aud)))
}

// sign makes a JWS of claims with the party's own key.
func (p *party) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	return jws(t, p.header(nil), claims, p.signer.SignBytes)
}

// header is the JOSE header of what the party signs, changed by more; a nil value
// leaves a member out.
func (p *party) header(more map[string]any) map[string]any {
	h := map[string]any{"alg": p.signer.Alg, "kid": p.signer.KID}
	return with(h, more)
}

// with returns a copy of m changed by more; nil values leave members out.
func with(m, more map[string]any) map[string]any {
	out := maps.Clone(m)
	for name, v := range more {
		if v == nil {
			delete(out, name)
		} else {
			out[name] = v
		}
	}
	return out
}

// jws builds a compact JWS of whatever is asked for, good or bad.
func jws(t testing.TB, header, claims any, sign func([]byte) ([]byte, error)) string {
	t.Helper()
	input := part(t, header) + "." + part(t, claims)
	signature, err := sign([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// part encodes JSON, or raw bytes as they are.
func part(t testing.TB, v any) string {
	t.Helper()
	raw, is := v.([]byte)
	if !is {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// unsigned leaves the signature empty.
func unsigned([]byte) ([]byte, error) { return nil, nil }

// rs256 signs with the algorithm that FAPI 1 Advanced §8.6 forbids.
func rs256(key crypto.Signer) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		digest := sha256.Sum256(input)
		return rsa.SignPKCS1v15(rand.Reader, key.(*rsa.PrivateKey), crypto.SHA256, digest[:])
	}
}
