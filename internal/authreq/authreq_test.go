package authreq_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/authreq"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/wire"
)

const (
	issuer   = "https://bank.example"
	redirect = "https://tpp.example/cb"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// bench is a validator, a client and its key.
type bench struct {
	validator *authreq.Validator
	client    *clients.Registered
	signer    jose.Signer
	serverKey *jose.KeySet
}

type hints map[string]string

func (h hints) ReadIDTokenHint(token string) (string, []string, error) {
	if sub, ok := h[token]; ok {
		return sub, []string{"tpp"}, nil
	}
	return "", nil, errors.New("not ours")
}

func setUp(t testing.TB, change func(*fapi.Client)) *bench {
	t.Helper()
	key := must(jose.GenerateKey(jose.ES256))(t)
	encryption := must(jose.GenerateKey(jose.ECDHES))(t)
	c := &fapi.Client{
		ID: "tpp", Profile: "fapi1-advanced", AuthMethod: "private_key_jwt", RedirectURIs: []string{redirect},
		ResponseTypes: []string{"code id_token", "code"}, GrantTypes: []string{"authorization_code"},
		Scope: "openid accounts offline_access", JWKS: keySet(t, "k1", "sig", jose.ES256, key.Public()),
	}
	if change != nil {
		change(c)
	}
	directory := must(clients.New(clients.Config{Issuer: issuer, MaxEntries: 10, TTL: time.Hour}, clients.Deps{
		Read:  func(context.Context, string, string) (*fapi.Client, error) { return c, nil },
		Fetch: func(context.Context, string) ([]byte, error) { return nil, errors.New("no network") },
		Now:   func() time.Time { return now }}))(t)
	decrypter := must(jose.NewDecrypter("e1", jose.ECDHES, encryption))(t)
	return &bench{
		validator: must(authreq.New(authreq.Config{Issuer: fapi.Issuer{URL: issuer}}, authreq.Deps{
			Decrypters: func() []jose.Decrypter { return []jose.Decrypter{decrypter} },
			Hints:      hints{"good": "subject"}, Now: func() time.Time { return now }}))(t),
		client:    must(directory.Find(context.Background(), "tpp"))(t),
		signer:    must(jose.NewSigner("k1", jose.ES256, key))(t),
		serverKey: must(jose.ParseKeySet(keySet(t, "e1", "enc", jose.ECDHES, encryption.Public())))(t),
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func keySet(t testing.TB, kid, use, alg string, public crypto.PublicKey) json.RawMessage {
	t.Helper()
	return json.RawMessage(fmt.Sprintf(`{"keys":[%s]}`, must(jose.PublicJWK(kid, use, alg, public))(t)))
}

// claims of a request object that is accepted.
func good() map[string]any {
	return map[string]any{
		"iss": "tpp", "aud": issuer, "client_id": "tpp", "exp": now.Unix() + 300, "nbf": now.Unix(),
		"response_type": "code id_token", "redirect_uri": redirect, "scope": "openid accounts",
		"state": "s1", "nonce": "n1",
		"code_challenge": strings.Repeat("a", 43), "code_challenge_method": "S256",
	}
}

func (b *bench) object(t testing.TB, claims map[string]any) string {
	t.Helper()
	return must(b.signer.Sign("oauth-authz-req+jwt", must(json.Marshal(claims))(t)))(t)
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return fapi.Outward(err).Code
}

const (
	ir  = "invalid_request"
	iro = "invalid_request_object"
)

// Each row changes one thing of a good object; the same answer is expected from
// the front channel and from a push unless push says otherwise.
func TestRequestObjects(t *testing.T) {
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	del := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	unix := now.Unix()
	for _, c := range []struct {
		name, clause string
		change       func(map[string]any)
		want         string
		page         bool // the error must not be redirected
		push         string
	}{
		{"good", "", func(map[string]any) {}, "", false, ""},
		{"aud in an array", "FAPI1A 5.2.2-15", set("aud", []string{issuer, "https://other.example"}), "", false, ""},
		{"no exp", "FAPI1A 5.2.2-13", del("exp"), iro, false, ""},
		{"no nbf", "FAPI1A 5.2.2-17", del("nbf"), iro, false, ""},
		{"exp in the past", "RFC 7519 4.1.4", set("exp", unix-1), iro, false, ""},
		{"exp 60 min after nbf", "FAPI1A 5.2.2-13", set("exp", unix+3600), "", false, ""},
		{"exp more than 60 min after nbf", "FAPI1A 5.2.2-13", set("exp", unix+3601), iro, false, ""},
		{"nbf more than 60 min ago", "FAPI1A 5.2.2-17", func(c map[string]any) { c["nbf"], c["exp"] = unix-3601, unix-1 }, iro, false, ""},
		{"nbf 61 min ago with exp ahead", "FAPI1A 5.2.2-17", func(c map[string]any) { c["nbf"], c["exp"] = unix-3660, unix+60 }, iro, false, ""},
		{"nbf 10 s ahead", "FAPI2 5.3.2.1-13", set("nbf", unix+10), "", false, ""},
		{"nbf 70 s ahead", "FAPI2 5.3.2.1-13", set("nbf", unix+70), iro, false, ""},
		{"exp as a string", "attack 34", set("exp", "soon"), iro, false, ""},
		{"exp beyond reason", "attack 34", set("exp", json.Number("1e400")), iro, false, ""},
		{"aud of another", "FAPI1A 5.2.2-15", set("aud", "https://other.example"), iro, false, ""},
		{"aud with a slash", "attack 18", set("aud", issuer+"/"), iro, false, ""},
		{"aud is the PAR endpoint", "attack 18", set("aud", issuer+"/par"), iro, false, ""},
		{"no aud", "FAPI1A 5.2.2-15", del("aud"), iro, false, ""},
		{"iss of another", "RFC 9101 4", set("iss", "other"), iro, false, ""},
		{"client_id of another", "RFC 9126 3", set("client_id", "other"), iro, false, ""},
		{"no client_id", "RFC 9101 5", del("client_id"), iro, false, ""},
		{"sub like an assertion", "attack 19", set("sub", "tpp"), iro, false, ""},
		{"request_uri inside", "attack 11", set("request_uri", "urn:x"), iro, false, ""},
		{"request inside", "RFC 9101 4", set("request", "x"), iro, false, ""},
		{"no scope", "FAPI1A 5.2.2-10", del("scope"), ir, false, ""},
		{"unregistered scope", "RFC 6749 3.3", set("scope", "openid payments"), "invalid_scope", false, ""},
		{"no nonce", "FAPI1B 5.2.2.2-1", del("nonce"), ir, false, ""},
		{"long nonce", "conformance: 384", set("nonce", strings.Repeat("n", 384)), "", false, ""},
		{"nonce beyond the limit", "ours", set("nonce", strings.Repeat("n", 385)), ir, false, ""},
		{"no state", "optional", del("state"), "", false, ""},
		{"long state", "conformance: 1000", set("state", strings.Repeat("s", 1000)), "", false, ""},
		{"no redirect_uri", "FAPI1B 5.2.2-9", del("redirect_uri"), ir, true, ""},
		{"redirect_uri with a suffix", "FAPI1B 5.2.2-10", set("redirect_uri", redirect+"/x"), ir, true, ""},
		{"redirect_uri with a query", "attack 37", set("redirect_uri", redirect+"?x=y"), ir, true, ""},
		{"redirect_uri with userinfo", "attack 37", set("redirect_uri", "https://tpp.example@evil.example/cb"), ir, true, ""},
		{"redirect_uri javascript", "attack 37", set("redirect_uri", "javascript:alert(1)"), ir, true, ""},
		{"response_type code without jwt", "FAPI1A 5.2.2-2", set("response_type", "code"), ir, false, ""},
		{"response_type token", "FAPI1A 5.2.2-2", set("response_type", "token"), ir, false, ""},
		{"code with jwt", "FAPI1A 5.2.2-2", func(c map[string]any) { c["response_type"], c["response_mode"] = "code", "jwt" }, "", false, ""},
		{"hybrid with jwt", "FAPI1A 5.2.2-2", set("response_mode", "jwt"), ir, false, ""},
		{"hybrid in the query", "attack 39", set("response_mode", "query"), ir, false, ""},
		{"unknown mode", "OIDC Core 3.1.2.6", set("response_mode", "web_message"), ir, true, ""},
		{"plain PKCE", "FAPI1A 5.2.2-18", set("code_challenge_method", "plain"), ir, false, ""},
		{"s256 in small letters", "attack 7", set("code_challenge_method", "s256"), ir, false, ""},
		{"no method", "RFC 7636 4.3", del("code_challenge_method"), ir, false, ""},
		{"malformed challenge", "RFC 7636 4.2", set("code_challenge", "short"), ir, false, ""},
		{"prompt none and login", "OIDC Core 3.1.2.1", set("prompt", "none login"), ir, false, ""},
		{"prompt unknown", "OIDC Core 3.1.2.1", set("prompt", "dance"), ir, false, ""},
		{"max_age as a string", "liberal", set("max_age", "300"), "", false, ""},
		{"negative max_age", "OIDC Core 3.1.2.1", set("max_age", -1), ir, false, ""},
		{"claims as a string", "foreign clients", set("claims", `{"id_token":{"acr":null}}`), "", false, ""},
		{"claims as a number", "OIDC Core 5.5", set("claims", 7), ir, false, ""},
		{"hint of ours", "OIDC Core 3.1.2.1", set("id_token_hint", "good"), "", false, ""},
		{"hint of another", "attack 75", set("id_token_hint", "bad"), ir, false, ""},
		{"no PKCE", "optional by value", func(c map[string]any) { delete(c, "code_challenge"); delete(c, "code_challenge_method") }, "", false, ir},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := setUp(t, nil)
			claims := good()
			c.change(claims)
			params := wire.Params{"client_id": "tpp", "request": b.object(t, claims), "redirect_uri": redirect,
				"response_type": "code id_token", "scope": "openid accounts", "nonce": "outside", "state": "outside"}
			_, err := b.validator.ReadFront(context.Background(), b.client, params)
			if code(err) != c.want {
				t.Errorf("%s: front channel answers %q (%v), want %q", c.clause, code(err), err, c.want)
			}
			var refusal *authreq.Refusal
			if err != nil && (!errors.As(err, &refusal) || (refusal.Return.RedirectURI == "") != c.page) {
				t.Errorf("%s: page is %v, want %v", c.clause, !c.page, c.page)
			}
			want := c.want
			if c.push != "" {
				want = c.push
			}
			if _, err := b.validator.ReadPushed(context.Background(), b.client, params); code(err) != want {
				t.Errorf("%s: push answers %q (%v), want %q", c.clause, code(err), err, want)
			}
		})
	}
}

// FAPI 1 Advanced §5.2.2-10, attack 16: what stands outside does not count.
func TestOutsideDoesNotCount(t *testing.T) {
	b := setUp(t, nil)
	claims := good()
	delete(claims, "state")
	r, err := b.validator.ReadFront(context.Background(), b.client, wire.Params{
		"client_id": "tpp", "request": b.object(t, claims), "state": "outside", "nonce": "outside", "scope": "openid payments"})
	if err != nil {
		t.Fatal(err)
	}
	if r.State != "" || r.Nonce != "n1" || strings.Join(r.Scope, " ") != "accounts openid" {
		t.Errorf("%+v", r)
	}
}

// Foreign clients send nothing but client_id and request outside.
func TestClientIDAndRequestSuffice(t *testing.T) {
	b := setUp(t, nil)
	if _, err := b.validator.ReadFront(context.Background(), b.client, wire.Params{"client_id": "tpp", "request": b.object(t, good())}); err != nil {
		t.Error(err)
	}
}

func TestWithoutObject(t *testing.T) {
	b := setUp(t, nil)
	params := wire.Params{"client_id": "tpp", "redirect_uri": redirect, "response_type": "code id_token", "scope": "openid", "state": "s", "nonce": "n"}
	_, err := b.validator.ReadFront(context.Background(), b.client, params)
	var refusal *authreq.Refusal
	if code(err) != ir || !errors.As(err, &refusal) || refusal.Return != (authreq.Return{RedirectURI: redirect, Mode: "fragment", State: "s"}) {
		t.Errorf("%v %+v", err, refusal)
	}
}

func TestPushedRequestURIIsRefused(t *testing.T) {
	b := setUp(t, nil)
	_, err := b.validator.ReadPushed(context.Background(), b.client, wire.Params{"request_uri": "urn:x", "request": b.object(t, good())})
	if code(err) != ir { // RFC 9126 §2.1-2
		t.Error(err)
	}
}

func TestEncryptedObjects(t *testing.T) {
	b := setUp(t, nil)
	signed := b.object(t, good())
	encrypt := func(payload string) string {
		return must(jose.Encrypt([]byte(payload), b.serverKey, jose.ECDHES, jose.A256GCM, "oauth-authz-req+jwt"))(t)
	}
	none := "eyJhbGciOiJub25lIn0.e30."
	for name, c := range map[string]struct{ object, want string }{
		"signed then encrypted":    {encrypt(signed), ""},
		"encrypted twice":          {encrypt(encrypt(signed)), iro},
		"encrypted but not signed": {encrypt(`{"client_id":"tpp"}`), iro},
		"encrypted alg none":       {encrypt(none), iro},
		"alg none":                 {none, iro},
		"damaged":                  {encrypt(signed)[:200] + "AAAA", iro},
		"not a JWT":                {"garbage", iro},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.validator.ReadPushed(context.Background(), b.client, wire.Params{"request": c.object})
			if code(err) != c.want {
				t.Errorf("got %q (%v), want %q", code(err), err, c.want)
			}
		})
	}
}

// A client that registered an algorithm is held to it (OIDC Registration §2).
func TestRegisteredAlgorithm(t *testing.T) {
	b := setUp(t, func(c *fapi.Client) { c.RequestObjectSigningAlg = "PS256" })
	_, err := b.validator.ReadPushed(context.Background(), b.client, wire.Params{"request": b.object(t, good())})
	if code(err) != iro {
		t.Error(err)
	}
}

func TestIntent(t *testing.T) {
	claims := good()
	claims["claims"] = map[string]any{"id_token": map[string]any{"openbanking_intent_id": map[string]any{"value": "consent-1", "essential": true}}}
	b := setUp(t, func(c *fapi.Client) { c.Ecosystem = "uk-ob" })
	r, err := b.validator.ReadPushed(context.Background(), b.client, wire.Params{"request": b.object(t, claims)})
	if err != nil || r.ConsentID != "consent-1" {
		t.Fatalf("%+v %v", r, err)
	}
	if _, err := b.validator.ReadPushed(context.Background(), b.client, wire.Params{"request": b.object(t, good())}); code(err) != ir {
		t.Errorf("accounts without an intent: %v", err)
	}
}

func FuzzReadPushed(f *testing.F) {
	b := setUp(f, nil)
	f.Add(b.object(f, good()))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("a.b.c.d.e")
	f.Fuzz(func(t *testing.T, object string) {
		r, err := b.validator.ReadPushed(context.Background(), b.client, wire.Params{"request": object})
		if err != nil && fapi.Outward(err).Status >= 500 {
			t.Fatalf("hostile input is a server error: %v", err)
		}
		if err == nil && r.ClientID != "tpp" {
			t.Fatalf("accepted %+v", r)
		}
	})
}
