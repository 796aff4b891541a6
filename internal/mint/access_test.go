package mint_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/mint"
)

func userToken() fapi.AccessToken {
	return fapi.AccessToken{
		Issuer: issuer, Subject: "pairwise", Audience: []string{"https://api.bank.example"}, ClientID: "tpp",
		JTI: "jti-1", Scope: []string{"openid", "accounts"}, Confirmation: fapi.Confirmation{X5T: "thumb"},
		IssuedAt: noon, ExpiresAt: noon.Add(10 * time.Minute), AuthTime: noon.Add(-time.Minute), ACR: "urn:sca",
		GrantID: "grant-1", ConsentID: "consent-1", User: true,
	}
}

func applicationToken() fapi.AccessToken {
	t := userToken()
	t.Subject, t.GrantID, t.ConsentID, t.ACR, t.AuthTime, t.User = "tpp", "", "", "", time.Time{}, false
	return t
}

func TestNewRefuses(t *testing.T) {
	good := mint.Deps{Ring: ourRing(), Now: time.Now, Rand: rand.Reader}
	for name, deps := range map[string]mint.Deps{
		"ring": {Now: good.Now, Rand: good.Rand}, "clock": {Ring: good.Ring, Rand: good.Rand}, "randomness": {Ring: good.Ring, Now: good.Now},
	} {
		if _, err := mint.New(mint.Config{Issuer: fapi.Issuer{URL: issuer}}, deps); err == nil {
			t.Errorf("without %s: accepted", name)
		}
	}
	if _, err := mint.New(mint.Config{}, good); err == nil {
		t.Error("without issuer: accepted")
	}
}

// TestAccessClaims is the list of RFC 9068 §2.2 and of the design, to the letter.
func TestAccessClaims(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	for name, tc := range map[string]struct {
		token fapi.AccessToken
		want  string
	}{
		"user": {userToken(), `{"iss":"https://bank.example","sub":"pairwise","aud":"https://api.bank.example","exp":1800000600,
			"iat":1800000000,"nbf":1800000000,"jti":"jti-1","client_id":"tpp","scope":"openid accounts","cnf":{"x5t#S256":"thumb"},
			"auth_time":1799999940,"acr":"urn:sca","grant_id":"grant-1","consent_id":"consent-1","openbanking_intent_id":"consent-1","token_for":"user"}`},
		"application": {applicationToken(), `{"iss":"https://bank.example","sub":"tpp","aud":"https://api.bank.example","exp":1800000600,
			"iat":1800000000,"nbf":1800000000,"jti":"jti-1","client_id":"tpp","scope":"openid accounts","cnf":{"x5t#S256":"thumb"},"token_for":"application"}`},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := m.Access(tc.token)
			if err != nil {
				t.Fatal(err)
			}
			if h := headerOf(t, token.Reveal()); h != `{"alg":"ES256","kid":"kid-ES256","typ":"at+jwt"}` {
				t.Errorf("header %s", h)
			}
			_, claims := read(t, token.Reveal())
			same(t, claims, tc.want)
			if strings.Contains(fmt.Sprintf("%v %+v %#v", token, token, token), token.Reveal()) {
				t.Error("the token prints itself")
			}
		})
	}
}

func TestAccessRefuses(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	for name, change := range map[string]func(*fapi.AccessToken){
		"no issuer":             func(t *fapi.AccessToken) { t.Issuer = "" },
		"another issuer":        func(t *fapi.AccessToken) { t.Issuer += "/" },
		"no subject":            func(t *fapi.AccessToken) { t.Subject = "" },
		"no client":             func(t *fapi.AccessToken) { t.ClientID = "" },
		"no audience":           func(t *fapi.AccessToken) { t.Audience = nil },
		"not bound":             func(t *fapi.AccessToken) { t.Confirmation = fapi.Confirmation{} },
		"bound twice":           func(t *fapi.AccessToken) { t.Confirmation.JKT = "jkt" },
		"no iat":                func(t *fapi.AccessToken) { t.IssuedAt = time.Time{} },
		"no exp":                func(t *fapi.AccessToken) { t.ExpiresAt = time.Time{} },
		"exp at iat":            func(t *fapi.AccessToken) { t.ExpiresAt = t.IssuedAt },
		"user without grant":    func(t *fapi.AccessToken) { t.GrantID = "" },
		"application's subject": func(t *fapi.AccessToken) { t.User = false },
	} {
		token := userToken()
		change(&token)
		if out, err := m.Access(token); err == nil || out != "" {
			t.Errorf("%s: made", name)
		}
	}
}

func TestAccessDrawsJTI(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	seen := map[string]bool{}
	for range 10 {
		token := userToken()
		token.JTI = ""
		made, err := m.Access(token)
		if err != nil {
			t.Fatal(err)
		}
		_, claims := read(t, made.Reveal())
		jti, _ := claims["jti"].(string)
		if len(jti) < 22 || seen[jti] {
			t.Errorf("jti %q", jti)
		}
		seen[jti] = true
	}
}

func TestReadAccessRoundTrip(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	two := userToken()
	two.Audience = []string{"a", "b"}
	for _, token := range []fapi.AccessToken{userToken(), applicationToken(), two} {
		made, err := m.Access(token)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.ReadAccess(made.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []*time.Time{&token.IssuedAt, &token.ExpiresAt, &token.AuthTime} {
			if !at.IsZero() {
				*at = at.Truncate(time.Second).UTC()
			}
		}
		if !reflect.DeepEqual(got, token) {
			t.Errorf("\n got %+v\nwant %+v", got, token)
		}
	}
}

// TestReadAccessRefuses: attacks 20 and 59. Whatever is wrong, the answer is
// that there is no such token.
func TestReadAccessRefuses(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	good, err := m.Access(userToken())
	if err != nil {
		t.Fatal(err)
	}
	idToken, err := m.IDToken(client(), nil, fullIDToken())
	if err != nil {
		t.Fatal(err)
	}
	foreign := userToken()
	foreign.Issuer = "https://other.example"
	otherBrand, err := newMint(t, foreign.Issuer, ourRing(), noon).Access(foreign)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := newMint(t, issuer, otherRing(), noon).Access(userToken())
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte(`{"iss":"https://bank.example","sub":"x","exp":4000000000}`)
	ps256, err := ourRing().signers[jose.PS256].Sign("at+jwt", payload)
	if err != nil {
		t.Fatal(err)
	}
	noExp, err := ourRing().signers[jose.ES256].Sign("at+jwt", []byte(`{"iss":"https://bank.example"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"empty": "", "garbage": "a.b.c", "id token": idToken.Reveal(), "another brand": otherBrand.Reveal(),
		"another's key": otherKey.Reveal(), "PS256": ps256, "no exp": noExp, "cut": good.Reveal()[:len(good)-2],
	} {
		if got, err := m.ReadAccess(token); !errors.Is(err, fapi.ErrNotFound) || !reflect.ValueOf(got).IsZero() {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	last := newMint(t, issuer, ourRing(), time.Unix(1_800_000_599, 0))
	if _, err := last.ReadAccess(good.Reveal()); err != nil {
		t.Errorf("in its last second: %v", err)
	}
	expired := newMint(t, issuer, ourRing(), time.Unix(1_800_000_600, 0))
	if _, err := expired.ReadAccess(good.Reveal()); !errors.Is(err, fapi.ErrNotFound) {
		t.Errorf("expired: %v", err)
	}
}

// TestMintWithoutSigner: a ring that has no key makes no token.
func TestMintWithoutSigner(t *testing.T) {
	m := newMint(t, issuer, &ring{}, noon)
	if _, err := m.Access(userToken()); !errors.Is(err, fapi.ErrNotFound) {
		t.Errorf("access token: %v", err)
	}
	if _, err := m.ReadAccess("a.b.c"); !errors.Is(err, fapi.ErrNotFound) {
		t.Errorf("reading: %v", err)
	}
}

func BenchmarkAccess(b *testing.B) {
	m := newMint(b, issuer, ourRing(), noon)
	token := userToken()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Access(token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadAccess(b *testing.B) {
	m := newMint(b, issuer, ourRing(), noon)
	token, err := m.Access(userToken())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.ReadAccess(token.Reveal()); err != nil {
			b.Fatal(err)
		}
	}
}
