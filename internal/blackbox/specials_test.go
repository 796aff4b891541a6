package blackbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// special names a client that one attack needs besides its two.
func special(n int, name string) string { return fmt.Sprintf("a%d-%s", n, name) }

// specials lists those clients.
func (r *rig) specials() []spec {
	mtls := func(n int, name string) spec {
		return spec{name: special(n, name), method: fapi.AuthTLSClient, alg: jose.ES256}
	}
	jwt := func(n int, name string, edit func(*party, map[string]any)) spec {
		return spec{name: special(n, name), method: fapi.AuthPrivateKeyJWT, alg: jose.ES256, edit: edit}
	}
	return append(r.traps(), []spec{
		jwt(8, "sister", func(p *party, record map[string]any) { // another client of the same owner
			p.redirect = r.parties["a8-victim"].redirect
			record["redirect_uris"] = []string{p.redirect}
		}),
		{name: special(22, "rsa"), method: fapi.AuthPrivateKeyJWT, alg: jose.PS256},
		jwt(26, "remote", r.remoteKeys), jwt(27, "twins", r.twinKeys),
		jwt(45, "bound", ownCertificate), mtls(45, "mtls"), mtls(46, "mtls"), r.escapedName(), r.hostName(), mtls(48, "mtls"), mtls(52, "mtls"), jwt(62, "gone", nil), jwt(63, "api", otherAPI),
		jwt(67, "name", func(_ *party, record map[string]any) {
			record["client_name"] = "<script>alert(1)</script><img src=x onerror=alert(1)>\u202egnp.exe\u2066\u200f"
		}),
	}...)
}

// otherAPI makes a resource server of a party, with an audience of its own.
func otherAPI(p *party, record map[string]any) {
	for _, name := range []string{"redirect_uris", "response_types", "grant_types", "scope", "tls_client_certificate_bound_access_tokens"} {
		delete(record, name)
	}
	record["resource_server_audience"] = "https://other-api.example"
}

// traps are clients whose jwks_uri leads where the server must not go: to a port of
// ours that counts who comes, in every spelling of its address.
func (r *rig) traps() []spec {
	_, port, _ := strings.Cut(r.trap.address, ":")
	var all []spec
	for name, address := range map[string]string{
		"loopback": "https://127.0.0.1:" + port + "/jwks", "name": "https://localhost:" + port + "/jwks", "mapped": "https://[::ffff:127.0.0.1]:" + port + "/jwks",
		"zero": "https://0.0.0.0:" + port + "/jwks", "short": "https://127.1:" + port + "/jwks", "decimal": "https://2130706433:" + port + "/jwks",
		"hex": "https://0x7f000001:" + port + "/jwks", "metadata": "https://169.254.169.254/latest/meta-data", "private": "https://10.0.0.1/jwks", "v6": "https://[::1]:" + port + "/jwks",
		"redirect": r.tpp.publish("/redirect", func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "https://"+r.trap.address+"/jwks", http.StatusFound)
		}).address,
	} {
		all = append(all, spec{name: special(66, name), method: fapi.AuthPrivateKeyJWT, alg: jose.ES256, edit: func(_ *party, record map[string]any) {
			delete(record, "jwks")
			record["jwks_uri"] = address
		}})
	}
	return all
}

// ssrf names them.
func (r *rig) ssrf() []string {
	var names []string
	for name, p := range r.parties {
		if strings.HasPrefix(name, special(66, "")) && p.spec.edit != nil {
			names = append(names, name)
		}
	}
	return names
}

// remoteKeys moves a client's keys to its own host.
func (r *rig) remoteKeys(p *party, record map[string]any) {
	keys, _ := json.Marshal(record["jwks"])
	delete(record, "jwks")
	record["jwks_uri"] = r.tpp.publish("/"+p.spec.name+"/jwks", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(keys)
	}).address
}

// twinKeys adds an RSA key for encryption with the kid of the signing key; its
// private half is that of the client of attack 22.
func (r *rig) twinKeys(p *party, record map[string]any) {
	twin, err := jose.PublicJWK(p.signer.KID, "enc", jose.RSAOAEP256, r.parties[special(22, "rsa")].key.Public())
	if err != nil {
		panic(err) // start-up
	}
	set := record["jwks"].(map[string]any)
	set["keys"] = append(set["keys"].([]json.RawMessage), twin)
}

// ownCertificate registers the certificate of a client that authenticates with
// assertions.
func ownCertificate(p *party, record map[string]any) {
	record["tls_client_auth_subject_dn"] = p.subject()
}

// escapedName is a client whose subject needs escaping.
func (r *rig) escapedName() spec {
	return spec{name: special(47, "dn"), method: fapi.AuthTLSClient, alg: jose.ES256,
		subj: func(id string) string { return `CN=` + id + `\,x,O=A\=B` }}
}

// hostName is a client that is known by a DNS name.
func (r *rig) hostName() spec {
	return spec{name: special(47, "dns"), method: fapi.AuthTLSClient, alg: jose.ES256, edit: func(_ *party, record map[string]any) {
		delete(record, "tls_client_auth_subject_dn")
		record["tls_client_auth_san_dns"] = "api.tpp.localhost"
	}}
}
