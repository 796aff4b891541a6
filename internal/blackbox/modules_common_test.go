package blackbox_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"testing"

	"github.com/procura/procura/internal/jose"
)

// commonModules are discovery and the blocks of requirements that the suite checks
// in every module (conformance.md 2.2); the latter have names of our own.
func commonModules() []module {
	return []module{
		{prefix + "-discovery-end-point-verification", "every member known, of its type, and as the plan needs it", nil, discovery},
		{"common-keys", "unique kid, use and alg on every key; no private member; RSA of 2048 bits, EC on P-256", nil, serverKeys},
		{"common-request-object", "typ absent or in any letter case; jti and iat not needed; PS256 and ES256", nil, objectAsSent},
		{"common-authorization-response", "code, state, id_token, iss and nothing else; more than 96 bits of entropy", nil, func(t *testing.T, p plan) { p.second(t).code(t) }},
		{"common-id-token", "detached signature with c_hash and s_hash; acr when it is essential; nothing unasked", plain, essentialACR},
		{"common-token-response", "200, JSON, no-store, Bearer, integer expires_in, scope, at_hash, the same sub", nil, sameSubject},
		{"common-par-response", "201, a request_uri with entropy, expires_in 90", pushed, pushResponse},
		{"common-jarm", "response alone; iss, aud, exp within ten minutes, kid, a published algorithm", jarm, func(t *testing.T, p plan) {
			want(t, p.second(t).sendTo(t, refuse), "jarm access_denied")
			want(t, p.second(t).send(t), "jarm code")
		}},
		{"common-resource", "JSON, Date, x-fapi-interaction-id of the client's or our own; the token in the header alone", nil, resourceAnswer},
		{"common-tls", "TLS 1.3, and 1.2 with the two ECDHE_RSA GCM suites; all else refused with handshake_failure or protocol_version", nil, func(t *testing.T, _ plan) {
			for _, address := range []string{house.Issuer, house.MTLSBase, house.ResourceBase} {
				checkTLS(t, address)
			}
		}},
	}
}

func serverKeys(t *testing.T, _ plan) {
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := house.fetch(t.Context(), house.meta.JWKS, &set); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, k := range set.Keys {
		if k["kid"] == "" || seen[k["kid"]] || k["use"] == "" || k["alg"] == "" {
			t.Errorf("key %q: kid, use %q or alg %q", k["kid"], k["use"], k["alg"])
		}
		seen[k["kid"]] = true
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, there := k[private]; there {
				t.Errorf("key %s has %s", k["kid"], private)
			}
		}
		switch {
		case k["kty"] == "EC" && k["crv"] == "P-256":
		case k["kty"] == "RSA" && len(k["n"]) >= 342: // base64url of 256 bytes
		default:
			t.Errorf("key %s is %s %s", k["kid"], k["kty"], k["crv"])
		}
	}
	if len(set.Keys) < 3 {
		t.Errorf("%d keys", len(set.Keys))
	}
}

func objectAsSent(t *testing.T, p plan) {
	for _, typ := range []any{nil, "oauth-authz-req+jwt", "OAuth-AUTHZ-req+JWT", "JWT", "application/oauth-authz-req+jwt"} {
		for _, r := range []*request{p.first(t), p.second(t)} {
			r.head = with(r.head, map[string]any{"typ": typ})
			if o := r.sendTo(t, glance); o.where != "left" {
				t.Errorf("typ %v: %s", typ, o)
			}
		}
	}
}

func essentialACR(t *testing.T, p plan) {
	const sca = "urn:openbanking:psd2:sca"
	r := p.second(t)
	if c := r.detached(t, r.code(t)); c.ACR != "" && c.ACR != sca {
		t.Errorf("acr is %q", c.ACR)
	}
	r.set(map[string]any{"claims": map[string]any{"id_token": map[string]any{"acr": map[string]any{"essential": true, "value": sca}}}})
	if c := r.detached(t, r.code(t)); c.ACR != sca {
		t.Errorf("acr is %q", c.ACR)
	}
}

func sameSubject(t *testing.T, p plan) {
	r := p.first(t)
	o := r.code(t)
	k := r.tokens(t, o)
	if !p.jarm {
		if c := r.detached(t, o); c.Subject != k.id.Subject {
			t.Errorf("sub is %q at first and %q then", c.Subject, k.id.Subject)
		}
	}
	info := userinfo(t, r.by.back, k.access)
	if want(t, info, "200"); info.text("sub") != k.id.Subject {
		t.Errorf("userinfo speaks of %q", info.text("sub"))
	}
	other := p.second(t).flow(t)
	if other.id.Subject != k.id.Subject { // the same sector: the host of the redirect URIs
		t.Errorf("the clients of one host know the customer as %q and %q", k.id.Subject, other.id.Subject)
	}
}

func pushResponse(t *testing.T, p plan) {
	a := p.first(t).pushIt(t)
	if want(t, a, "201"); len(a.body) != 2 || a.body["expires_in"] != float64(90) {
		t.Errorf("the answer is %v", a.body)
	}
	checkSecret(t, "request_uri", a.text("request_uri"))
	if u, err := url.Parse(a.text("request_uri")); err != nil || u.Scheme != "urn" {
		t.Errorf("request_uri is %q", a.text("request_uri"))
	}
}

func resourceAnswer(t *testing.T, p plan) {
	r := p.first(t)
	k := r.flow(t)
	address := house.meta.Aliases.Userinfo
	want(t, resource(t, r.by.back, address, "Authorization", "Bearer "+k.access, "X-Fapi-Interaction-Id", "93bac548-d2de-4546-b106-880a5018460d"), "200")
	want(t, resource(t, r.by.back, address, "Authorization", "Bearer "+k.access), "200")
	none := resource(t, r.by.back, address)
	if want(t, none, "401 invalid_token"); none.header.Get("WWW-Authenticate") != `Bearer realm="procura"` { // RFC 6750 §3.1: no error code
		t.Errorf("challenged with %q", none.header.Get("WWW-Authenticate"))
	}
	want(t, resource(t, r.by.back, address, "Authorization", "Bearer "+k.access+"x"), "401 invalid_token")
}

// discovery: conformance.md 2.3.
func discovery(t *testing.T, p plan) {
	m := &house.meta
	if m.Issuer != house.Issuer {
		t.Errorf("issuer is %q", m.Issuer)
	}
	var oauth map[string]json.RawMessage
	if err := house.fetch(t.Context(), house.Issuer+"/.well-known/oauth-authorization-server", &oauth); err != nil {
		t.Error(err)
	}
	for name, raw := range m.raw {
		if !slices.Contains(knownMembers(), name) {
			t.Errorf("%s is no registered member", name)
		}
		if string(oauth[name]) != string(raw) {
			t.Errorf("%s differs between the two documents", name)
		}
	}
	for name, value := range map[string]string{
		"tls_client_certificate_bound_access_tokens": "true", "request_parameter_supported": "true",
		"require_pushed_authorization_requests": "false", "authorization_response_iss_parameter_supported": "true",
	} {
		if string(m.raw[name]) != value {
			t.Errorf("%s is %s", name, m.raw[name])
		}
	}
	for name, value := range p.needs() {
		if !slices.Contains(m.list(t, name), value) {
			t.Errorf("%s lacks %s", name, value)
		}
	}
	for _, name := range []string{"id_token_signing_alg_values_supported", "token_endpoint_auth_signing_alg_values_supported", "request_object_signing_alg_values_supported"} {
		if list := m.list(t, name); !slices.Contains(list, jose.PS256) && !slices.Contains(list, jose.ES256) {
			t.Errorf("%s is %v", name, list)
		}
	}
	checkAliases(t, m)
}

// needs are the values that lists of the metadata must hold for the plan.
func (p plan) needs() map[string]string {
	n := map[string]string{
		"scopes_supported": "openid", "response_types_supported": "code id_token", "subject_types_supported": "pairwise",
		"grant_types_supported": "authorization_code", "token_endpoint_auth_methods_supported": p.method(),
		"code_challenge_methods_supported": "S256",
	}
	if p.jarm {
		n["response_types_supported"], n["response_modes_supported"] = "code", "jwt"
		n["authorization_signing_alg_values_supported"] = jose.PS256
	}
	return n
}

// checkAliases: RFC 8705 §5; each alias also stands at the top level, and none is
// the authorization endpoint.
func checkAliases(t *testing.T, m *metadata) {
	t.Helper()
	var aliases map[string]string
	if err := json.Unmarshal(m.raw["mtls_endpoint_aliases"], &aliases); err != nil {
		t.Fatal(err)
	}
	for name := range aliases {
		if _, there := m.raw[name]; !there || name == "authorization_endpoint" {
			t.Errorf("alias %s", name)
		}
	}
	for _, address := range []string{m.Authorize, m.JWKS, m.Token, m.PAR, m.Aliases.Token, m.Aliases.PAR, m.Aliases.Userinfo} {
		if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("endpoint %q", address)
		}
	}
}
