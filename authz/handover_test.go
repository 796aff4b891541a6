package authz_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/procura/procura/authz"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// bank is the login application's side of the hand-over.
type bank struct {
	signer, stranger jose.Signer
	keys             *jose.KeySet
	serverKeys       *jose.KeySet
	handover         *authz.Handover
}

func key(t testing.TB, kid, use, alg string) (jose.Signer, *jose.KeySet, jose.Decrypter) {
	t.Helper()
	private, err := jose.GenerateKey(alg)
	ok(t, err)
	jwk, err := jose.PublicJWK(kid, use, alg, private.Public())
	ok(t, err)
	set, err := jose.ParseKeySet([]byte(fmt.Sprintf(`{"keys":[%s]}`, jwk)))
	ok(t, err)
	if use == "enc" {
		decrypter, err := jose.NewDecrypter(kid, alg, private)
		ok(t, err)
		return jose.Signer{}, set, decrypter
	}
	signer, err := jose.NewSigner(kid, alg, private)
	ok(t, err)
	return signer, set, jose.Decrypter{}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newBank(t testing.TB) *bank {
	t.Helper()
	b := &bank{}
	var decrypter jose.Decrypter
	b.signer, b.keys, _ = key(t, "k", "sig", jose.ES256)
	b.stranger, _, _ = key(t, "k", "sig", jose.ES256)
	_, b.serverKeys, decrypter = key(t, "e", "enc", jose.ECDHES)
	var err error
	b.handover, err = authz.NewHandover(
		authz.HandoverConfig{Issuer: fapi.Issuer{URL: "https://bank.example"}, LoginURL: "https://login.example/start?lang=en", Login: "https://login.example"},
		authz.HandoverDeps{
			Sign:       func(fapi.LoginChallenge, string) (fapi.Secret, error) { return "challenge", nil },
			Keys:       func(context.Context, string) (*jose.KeySet, error) { return b.keys, nil },
			Decrypters: func() []jose.Decrypter { return []jose.Decrypter{decrypter} },
			Now:        func() time.Time { return now },
		})
	ok(t, err)
	return b
}

func good() map[string]any {
	return map[string]any{
		"iss": "https://login.example", "aud": "https://bank.example", "iat": now.Unix(), "exp": now.Unix() + 60, "jti": "j",
		"challenge": "interaction", "sub": "customer", "acr": "urn:sca", "auth_time": now.Unix(),
		"accounts": []map[string]string{{"id": "a1", "name": "Current", "number": "**34"}},
	}
}

func (b *bank) sign(t testing.TB, signer jose.Signer, typ string, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	ok(t, err)
	signed, err := signer.Sign(typ, payload)
	ok(t, err)
	return signed
}

const typ = "login-response+jwt"

func TestAnswers(t *testing.T) {
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	del := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	for name, c := range map[string]struct {
		edit   func(map[string]any)
		accept bool
	}{
		"good":                       {func(map[string]any) {}, true},
		"refused by the customer":    {func(c map[string]any) { c["error"] = "access_denied"; delete(c, "sub") }, true},
		"another login application":  {set("iss", "https://evil.example"), false},
		"meant for another issuer":   {set("aud", "https://other.example"), false},
		"expired":                    {set("exp", now.Unix()), false},
		"lives too long":             {set("exp", now.Unix()+3600), false},
		"from the future":            {set("iat", now.Unix()+120), false},
		"no exp":                     {del("exp"), false},
		"no jti":                     {del("jti"), false},
		"nobody logged in":           {del("sub"), false},
		"nobody knows when":          {del("auth_time"), false},
		"auth_time is a word":        {set("auth_time", "now"), false},
		"accounts are of wrong form": {set("accounts", "all"), false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBank(t)
			claims := good()
			c.edit(claims)
			answer, err := b.handover.Answer(context.Background(), fapi.Secret(b.sign(t, b.signer, typ, claims)))
			if (err == nil) != c.accept {
				t.Fatalf("%v", err)
			}
			if err != nil {
				if e := fapi.Outward(err); e.Status != 400 {
					t.Errorf("a stranger's answer is our fault: %v", e)
				}
				return
			}
			if answer.Interaction != "interaction" || answer.Refused != (claims["error"] != nil) {
				t.Errorf("%+v", answer)
			}
		})
	}
}

func TestAnswersMustBeTheBanks(t *testing.T) {
	b := newBank(t)
	sealed, err := jose.Encrypt([]byte(b.sign(t, b.signer, typ, good())), b.serverKeys, jose.ECDHES, jose.A256GCM, "JWT")
	ok(t, err)
	if _, err := b.handover.Answer(context.Background(), fapi.Secret(sealed)); err != nil {
		t.Errorf("signed and encrypted: %v", err)
	}
	for name, raw := range map[string]string{
		"another key":      b.sign(t, b.stranger, typ, good()),
		"another type":     b.sign(t, b.signer, "login-challenge+jwt", good()), // our own challenge sent back
		"an access token":  b.sign(t, b.signer, "at+jwt", good()),
		"alg none":         "eyJhbGciOiJub25lIn0.e30.",
		"nothing":          "",
		"not a JWT":        "garbage",
		"a damaged JWE":    sealed[:len(sealed)-4] + "AAAA",
		"a JWE of nothing": "a.b.c.d.e",
	} {
		if _, err := b.handover.Answer(context.Background(), fapi.Secret(raw)); err == nil || fapi.Outward(err).Status != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChallengeKeepsTheLoginURL(t *testing.T) {
	to, err := newBank(t).handover.Challenge(fapi.LoginChallenge{Interaction: "i"})
	ok(t, err)
	u, err := url.Parse(to)
	ok(t, err)
	if u.Host != "login.example" || u.Query().Get("lang") != "en" || u.Query().Get("login_challenge") != "challenge" {
		t.Error(to)
	}
}

func TestHandoverNeedsHTTPS(t *testing.T) {
	for _, to := range []string{"http://login.example", "login.example", "", "javascript:alert(1)"} {
		if _, err := authz.NewHandover(authz.HandoverConfig{LoginURL: to, Login: "x", Issuer: fapi.Issuer{URL: "x"}}, authz.HandoverDeps{}); err == nil {
			t.Errorf("%q is accepted", to)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	b := newBank(f)
	f.Add(b.sign(f, b.signer, typ, good()))
	f.Add("a.b.c.d.e")
	f.Fuzz(func(t *testing.T, raw string) {
		if _, err := b.handover.Answer(context.Background(), fapi.Secret(raw)); err != nil && fapi.Outward(err).Status >= 500 {
			t.Fatalf("hostile input is a server error: %v", err)
		}
	})
}
