package mint_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// TestResponseClaims: JARM-01, JARM-02, ISS-02.
func TestResponseClaims(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	for name, tc := range map[string]struct {
		params map[string]string
		want   string
	}{
		"code":      {map[string]string{"code": "c", "state": "s"}, `{"iss":"https://bank.example","aud":"tpp","exp":1800000300,"code":"c","state":"s"}`},
		"error":     {map[string]string{"error": "access_denied", "iss": issuer}, `{"iss":"https://bank.example","aud":"tpp","exp":1800000300,"error":"access_denied"}`},
		"wrong iss": {map[string]string{"error": "x", "iss": "https://evil.example"}, `{"iss":"https://bank.example","aud":"tpp","exp":1800000300,"error":"x"}`},
		"markup":    {map[string]string{"state": `<"&'>` + "\u2028é"}, `{"iss":"https://bank.example","aud":"tpp","exp":1800000300,"state":"<\"&'>\u2028é"}`},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := m.Response(client(), nil, tc.params, noon)
			if err != nil {
				t.Fatal(err)
			}
			_, claims := read(t, token.Reveal())
			same(t, claims, tc.want)
		})
	}
}

func TestResponseRefuses(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	code := map[string]string{"code": "c"}
	for name, err := range map[string]error{
		"no client":     second(m.Response(&fapi.Client{}, nil, code, noon)),
		"no parameters": second(m.Response(client(), nil, nil, noon)),
		"no time":       second(m.Response(client(), nil, code, time.Time{})),
		"aud":           second(m.Response(client(), nil, map[string]string{"aud": "evil"}, noon)),
		"exp":           second(m.Response(client(), nil, map[string]string{"exp": "9"}, noon)),
	} {
		if err == nil {
			t.Errorf("%s: made", name)
		}
	}
}

func second(_ fapi.Secret, err error) error { return err }

// TestResponseAlgorithms: the registered algorithm, else the client's own when it
// is PS256, else ES256; RS256, JARM's default, never (FAPI 1 Advanced §8.6).
func TestResponseAlgorithms(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	for _, tc := range []struct{ registered, object, want string }{
		{"", "", jose.ES256}, {"", "PS256", jose.PS256}, {"", "ES256", jose.ES256}, {"ES256", "PS256", jose.ES256},
		{"PS256", "ES256", jose.PS256}, {"", "RS256", jose.ES256}, {"RS256", "PS256", ""}, {"none", "", ""},
	} {
		c := client()
		c.AuthorizationSignedAlg, c.RequestObjectSigningAlg = tc.registered, tc.object
		token, err := m.Response(c, nil, map[string]string{"code": "c"}, noon)
		if tc.want == "" {
			if !errors.Is(err, jose.ErrAlgorithm) {
				t.Errorf("%+v: %v", tc, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if h := headerOf(t, token.Reveal()); h != fmt.Sprintf(`{"alg":"%s","kid":"kid-%s","typ":"JWT"}`, tc.want, tc.want) {
			t.Errorf("%+v: header %s", tc, h)
		}
	}
}

func TestEncryptedResponse(t *testing.T) {
	c := client()
	c.AuthorizationEncryptedAlg, c.AuthorizationEncryptedEnc = jose.RSAOAEP256, jose.A256GCM
	token, err := newMint(t, issuer, ourRing(), noon).Response(c, clientSet(t, "enc"), map[string]string{"code": "c"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, claims := read(t, unwrap(t, token.Reveal(), jose.RSAOAEP256, jose.A256GCM)); claims["code"] != "c" {
		t.Errorf("inner %v", claims)
	}
}

func TestLoginChallenge(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	age := int64(0)
	for name, tc := range map[string]struct {
		challenge fapi.LoginChallenge
		want      string
	}{
		"full": {fapi.LoginChallenge{Interaction: "i-1", ClientName: "TPP", ACRValues: []string{"a", "b"}, ForceLogin: true, MaxAge: &age,
			LoginHint: "h", UILocales: []string{"en", "cs"}, ReturnTo: "https://bank.example/login/callback"},
			`{"iss":"https://bank.example","aud":"https://login.example","iat":1800000000,"exp":1800000900,"jti":"i-1","client_name":"TPP",
			"acr_values":"a b","force_login":true,"max_age":0,"login_hint":"h","ui_locales":"en cs","return_to":"https://bank.example/login/callback"}`},
		"bare": {fapi.LoginChallenge{Interaction: "i-1", ReturnTo: "https://r"},
			`{"iss":"https://bank.example","aud":"https://login.example","iat":1800000000,"exp":1800000900,"jti":"i-1","return_to":"https://r"}`},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := m.LoginChallenge(tc.challenge, "https://login.example")
			if err != nil {
				t.Fatal(err)
			}
			h, claims := read(t, token.Reveal())
			same(t, claims, tc.want)
			if h.Typ != "login-challenge+jwt" || h.Alg != jose.ES256 {
				t.Errorf("header %+v", h)
			}
		})
	}
	for name, err := range map[string]error{
		"no interaction": second(m.LoginChallenge(fapi.LoginChallenge{ReturnTo: "r"}, "a")),
		"no return":      second(m.LoginChallenge(fapi.LoginChallenge{Interaction: "i"}, "a")),
		"no audience":    second(m.LoginChallenge(fapi.LoginChallenge{Interaction: "i", ReturnTo: "r"}, "")),
	} {
		if err == nil {
			t.Errorf("%s: made", name)
		}
	}
}
