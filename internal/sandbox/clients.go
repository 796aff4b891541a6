package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/profile"
	"github.com/procura/procura/internal/sandbox/world"
)

// tppScope is what the sandbox's TPPs may ask for.
const tppScope = "openid accounts offline_access"

// bankServer is the client id of the bank's API: the gateway asks about tokens
// with it.
const bankServer = "rs-bank"

// tppSpec is one of the TPPs that are registered in every sandbox.
type tppSpec struct {
	id, name, method, alg string
}

// tppSpecs lists two clients for each authentication method, one signing with
// PS256 and one with ES256.
func tppSpecs() []tppSpec {
	return []tppSpec{
		{"tpp-pkj-1", "Pocket Ledger", fapi.AuthPrivateKeyJWT, jose.PS256},
		{"tpp-pkj-2", "Budget Owl", fapi.AuthPrivateKeyJWT, jose.ES256},
		{"tpp-mtls-1", "Rainy Day Savings", fapi.AuthTLSClient, jose.PS256},
		{"tpp-mtls-2", "Green Meter", fapi.AuthTLSClient, jose.ES256},
	}
}

// registry is everybody who is registered in the sandbox, as the server knows
// them and as they know themselves.
type registry struct {
	records []*fapi.Client
	tpps    []world.Client
	servers []world.ResourceServer
	bank    pair // the bank's own certificate
}

// register makes or loads keys and certificates of every client.
func register(p *pki, at ports) (*registry, error) {
	r := &registry{}
	home := at.url(offsetTPP) + "/callback"
	for _, spec := range tppSpecs() {
		if err := r.addTPP(p, spec, []string{home, home + "?dummy1=lorem&dummy2=ipsum"}); err != nil {
			return nil, fmt.Errorf("registering %s: %w", spec.id, err)
		}
	}
	if err := r.addBank(p, at.url(offsetResource)); err != nil {
		return nil, fmt.Errorf("registering %s: %w", bankServer, err)
	}
	return r, nil
}

func (r *registry) addTPP(p *pki, spec tppSpec, redirects []string) error {
	dir := "clients/" + spec.id
	subject := "CN=" + spec.id + ",O=" + spec.name + ",C=GB"
	cert, err := p.client(dir, subject)
	if err != nil {
		return err
	}
	public, err := ensureSigningKey(p.dir, dir+"/signing.jwk", spec.id+"-sig", spec.alg)
	if err != nil {
		return err
	}
	record := &fapi.Client{
		ID: spec.id, Profile: profile.FAPI1Advanced, Name: spec.name, RedirectURIs: redirects,
		ResponseTypes: []string{"code id_token", "code"},
		GrantTypes:    []string{fapi.GrantAuthorizationCode, fapi.GrantRefreshToken, fapi.GrantClientCredentials},
		Scope:         tppScope, Roles: []string{"AISP"}, AuthMethod: spec.method, CertificateBound: true, JWKS: keySet(public),
		TLSSubjectDN: subject, // private_key_jwt clients too: no other TPP's certificate binds their tokens
	}
	r.records = append(r.records, record)
	r.tpps = append(r.tpps, world.Client{
		ID: spec.id, Profile: record.Profile, AuthMethod: spec.method, SenderConstraint: fapi.ConstraintMTLS,
		SigningKeyFile: dir + "/signing.jwk", CertFile: cert.certFile, KeyFile: cert.keyFile,
		RedirectURIs: redirects, Scope: tppScope, Roles: record.Roles,
	})
	return nil
}

// addBank registers the bank's API: it may ask about tokens of its audience and
// is told whose they are.
func (r *registry) addBank(p *pki, audience string) error {
	const dir, subject = "clients/" + bankServer, "CN=" + bankServer + ",O=Lagoon Bank,C=GB"
	cert, err := p.client(dir, subject)
	if err != nil {
		return err
	}
	r.bank = cert
	r.records = append(r.records, &fapi.Client{
		ID: bankServer, Profile: profile.FAPI1Advanced, Name: "Lagoon Bank API", AuthMethod: fapi.AuthTLSClient,
		TLSSubjectDN: subject, ResourceServerAudience: audience, ResourceServerSeesCustomers: true,
	})
	r.servers = append(r.servers, world.ResourceServer{
		ID: bankServer, AuthMethod: fapi.AuthTLSClient, CertFile: cert.certFile, KeyFile: cert.keyFile,
	})
	return nil
}

// ensureSigningKey returns the public half of a private JWK file, which it makes
// when it is not there.
func ensureSigningKey(dir, name, kid, alg string) (json.RawMessage, error) {
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = newSigningKey(dir, name, kid, alg)
	}
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", name, err)
	}
	signer, err := readSigner(raw)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return jose.PublicJWK(signer.kid, "sig", signer.alg, signer.key.Public())
}

func newSigningKey(dir, name, kid, alg string) ([]byte, error) {
	key, err := jose.GenerateKey(alg)
	if err != nil {
		return nil, err
	}
	raw, err := jose.PrivateJWK(kid, "sig", alg, key)
	if err != nil {
		return nil, err
	}
	return raw, writeFile(dir, name, raw)
}

// keySet wraps public keys as a JWK set.
func keySet(keys ...json.RawMessage) json.RawMessage {
	out := []byte(`{"keys":[`)
	for i, k := range keys {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, k...)
	}
	return append(out, "]}"...)
}
