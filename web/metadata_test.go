package web_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/web"
)

func options() web.MetadataOptions {
	return web.MetadataOptions{
		Scopes:                []string{"openid", "accounts", "offline_access"},
		ACRValues:             []string{"urn:openbanking:psd2:sca", "urn:openbanking:psd2:ca"},
		Claims:                []string{"sub", "acr", "auth_time", "openbanking_intent_id"},
		GrantTypes:            []string{"authorization_code", "refresh_token", "client_credentials"},
		ResponseTypes:         []string{"code", "code id_token"},
		ResponseModes:         []string{"query", "fragment", "form_post", "jwt", "query.jwt", "fragment.jwt", "form_post.jwt"},
		AuthMethods:           []string{fapi.AuthPrivateKeyJWT, fapi.AuthTLSClient},
		SigningAlgs:           []string{"PS256", "ES256"},
		KeyEncryptionAlgs:     []string{"RSA-OAEP-256", "ECDH-ES"},
		ContentEncryptionAlgs: []string{"A256GCM"},
		Locales:               []string{"en"},
	}
}

func discovered(t *testing.T, o web.MetadataOptions) map[string]any {
	t.Helper()
	w := httptest.NewRecorder()
	web.Metadata(issuer(), o).ServeHTTP(w, httptest.NewRequest("GET", web.PathOpenIDConfiguration, nil))
	doc := map[string]any{}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// rule judges one member. Members without a rule are refused: they are unknown to
// OIDC Discovery §3, RFC 8414, 8705 §5, 9101 §10.5, 9126 §5, 9207 §3 and JARM §4,
// and the conformance suite warns of them.
type rule func(v any) bool

var rules = map[string]rule{
	"issuer":                                isString(issuer().URL),
	"authorization_endpoint":                isString(publicURL + "/authorize"),
	"token_endpoint":                        isString(publicURL + "/token"),
	"jwks_uri":                              isString(publicURL + "/jwks"),
	"userinfo_endpoint":                     isString(publicURL + "/userinfo"),
	"pushed_authorization_request_endpoint": isString(publicURL + "/par"),
	"introspection_endpoint":                isString(publicURL + "/introspect"),
	"revocation_endpoint":                   isString(publicURL + "/revoke"),
	"mtls_endpoint_aliases":                 func(v any) bool { _, ok := v.(map[string]any); return ok },

	"scopes_supported":         holds("openid"),
	"response_types_supported": holds("code", "code id_token"),
	"response_modes_supported": holds("jwt", "fragment", "form_post"),
	"grant_types_supported":    holds("authorization_code", "client_credentials", "refresh_token"),
	"subject_types_supported":  holds("pairwise"),
	"acr_values_supported":     holds("urn:openbanking:psd2:sca", "urn:openbanking:psd2:ca"),
	"claims_supported":         holds("sub"),
	"claim_types_supported":    holds("normal"),
	"ui_locales_supported":     holds("en"),

	"token_endpoint_auth_methods_supported":                    holds("private_key_jwt", "tls_client_auth"),
	"token_endpoint_auth_signing_alg_values_supported":         holds("PS256", "ES256"),
	"introspection_endpoint_auth_methods_supported":            holds("private_key_jwt", "tls_client_auth"),
	"introspection_endpoint_auth_signing_alg_values_supported": holds("PS256", "ES256"),
	"revocation_endpoint_auth_methods_supported":               holds("private_key_jwt", "tls_client_auth"),
	"revocation_endpoint_auth_signing_alg_values_supported":    holds("PS256", "ES256"),
	"id_token_signing_alg_values_supported":                    holds("PS256", "ES256"),
	"id_token_encryption_alg_values_supported":                 holds("RSA-OAEP-256", "ECDH-ES"),
	"id_token_encryption_enc_values_supported":                 holds("A256GCM"),
	"request_object_signing_alg_values_supported":              holds("PS256", "ES256"),
	"request_object_encryption_alg_values_supported":           holds("RSA-OAEP-256", "ECDH-ES"),
	"request_object_encryption_enc_values_supported":           holds("A256GCM"),
	"authorization_signing_alg_values_supported":               holds("PS256", "ES256"),
	"authorization_encryption_alg_values_supported":            holds("RSA-OAEP-256", "ECDH-ES"),
	"authorization_encryption_enc_values_supported":            holds("A256GCM"),
	"code_challenge_methods_supported":                         exactly("S256"),

	"claims_parameter_supported":                     is(true),
	"request_parameter_supported":                    is(true),
	"request_uri_parameter_supported":                is(false),
	"require_request_uri_registration":               is(false),
	"require_signed_request_object":                  is(false),
	"require_pushed_authorization_requests":          is(false),
	"authorization_response_iss_parameter_supported": is(true),
	"tls_client_certificate_bound_access_tokens":     is(true),
}

func is(want bool) rule         { return func(v any) bool { return v == want } }
func isString(want string) rule { return func(v any) bool { return v == want } }

func exactly(want string) rule {
	return func(v any) bool { l := list(v); return len(l) == 1 && l[0] == want }
}

func holds(want ...string) rule {
	return func(v any) bool {
		for _, w := range want {
			if !slices.Contains(list(v), w) {
				return false
			}
		}
		return true
	}
}

func list(v any) []string {
	var out []string
	l, _ := v.([]any)
	for _, e := range l {
		s, ok := e.(string)
		if !ok {
			return nil
		}
		out = append(out, s)
	}
	return out
}

// MD-02 to MD-09, MD-12; F1A discovery rules of the suite.
func TestMetadataLint(t *testing.T) {
	doc := discovered(t, options())
	for name, v := range doc {
		r, known := rules[name]
		switch {
		case !known:
			t.Errorf("%s is unknown", name)
		case !r(v):
			t.Errorf("%s = %v", name, v)
		}
		if l, isList := v.([]any); isList && len(l) == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	for name := range rules {
		if _, ok := doc[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
}

// RFC 8705 §5; foreign clients fall back to the plain endpoint for a missing one.
func TestAliases(t *testing.T) {
	doc := discovered(t, options())
	all, _ := doc["mtls_endpoint_aliases"].(map[string]any)
	for _, name := range []string{"token_endpoint", "pushed_authorization_request_endpoint", "introspection_endpoint",
		"revocation_endpoint", "userinfo_endpoint"} {
		plain, _ := doc[name].(string)
		alias, _ := all[name].(string)
		u, err := url.Parse(alias)
		if err != nil || u.Host != mtlsHost || publicURL+u.Path != plain {
			t.Errorf("%s: %q beside %q", name, alias, plain)
		}
		delete(all, name)
	}
	if len(all) > 0 {
		t.Errorf("aliases too many: %v", all)
	}
}

// What a deployment does not have is left out, never an empty list.
func TestMetadataOfLess(t *testing.T) {
	o := options()
	o.KeyEncryptionAlgs, o.ContentEncryptionAlgs, o.ACRValues = nil, nil, nil
	o.AuthMethods = []string{fapi.AuthTLSClient}
	doc := discovered(t, o)
	for name := range doc {
		if strings.Contains(name, "encryption") || strings.HasSuffix(name, "_auth_signing_alg_values_supported") || name == "acr_values_supported" {
			t.Errorf("%s is there", name)
		}
	}
}

func TestJWKSIsReadEachTime(t *testing.T) {
	keys := `{"keys":[1]}`
	h := web.JWKS(func() []byte { return []byte(keys) })
	for _, keys = range []string{`{"keys":[1]}`, `{"keys":[2]}`} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/jwks", nil))
		if w.Body.String() != keys || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s %s", w.Body, w.Header())
		}
	}
}
