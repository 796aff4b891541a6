package mint_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

func client() *fapi.Client { return &fapi.Client{ID: "tpp"} }

func fullIDToken() fapi.IDToken {
	return fapi.IDToken{
		Issuer: issuer, Subject: "pairwise", ClientID: "tpp", Nonce: "n-0S6", ACR: "urn:sca", AMR: []string{"pwd", "otp"},
		AuthTime: noon.Add(-time.Minute), IssuedAt: noon, ExpiresAt: noon.Add(10 * time.Minute),
		Code: "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk", AccessToken: "VgSUIEnflnDxTe1vAtr54o",
		State: "VgSUIEnflnDxTe1vAtr54o", Extra: map[string]any{"openbanking_intent_id": "consent-1", "email": "a@b"},
	}
}

// TestIDTokenClaims: OIDC Core §2, §3.3.2.11; FAPI 1 Advanced §5.1.1 with the
// vector of F1A-14.
func TestIDTokenClaims(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	bare := fapi.IDToken{Issuer: issuer, Subject: "pairwise", ClientID: "tpp", IssuedAt: noon, ExpiresAt: noon.Add(time.Minute)}
	for name, tc := range map[string]struct {
		token fapi.IDToken
		want  string
	}{
		"full": {fullIDToken(), `{"iss":"https://bank.example","sub":"pairwise","aud":"tpp","iat":1800000000,"exp":1800000600,
			"auth_time":1799999940,"nonce":"n-0S6","acr":"urn:sca","amr":["pwd","otp"],"openbanking_intent_id":"consent-1","email":"a@b",
			"c_hash":"LDktKdoQak3Pk0cnXxCltA","at_hash":"9s6CBbOxiKE65d9-Qr0QIQ","s_hash":"9s6CBbOxiKE65d9-Qr0QIQ"}`},
		"bare": {bare, `{"iss":"https://bank.example","sub":"pairwise","aud":"tpp","iat":1800000000,"exp":1800000060}`},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := m.IDToken(client(), nil, tc.token)
			if err != nil {
				t.Fatal(err)
			}
			_, claims := read(t, token.Reveal())
			same(t, claims, tc.want)
		})
	}
}

// TestExtraClaimsOverrideNothing: neither what is set nor what is left out.
func TestExtraClaimsOverrideNothing(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	token := fapi.IDToken{Issuer: issuer, Subject: "pairwise", ClientID: "tpp", IssuedAt: noon, ExpiresAt: noon.Add(time.Minute), Extra: map[string]any{}}
	for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "azp", "nonce", "acr", "amr", "auth_time",
		"c_hash", "at_hash", "s_hash", "cnf", "sid", "events"} {
		token.Extra[name] = "evil"
	}
	made, err := m.IDToken(client(), nil, token)
	if err != nil {
		t.Fatal(err)
	}
	_, claims := read(t, made.Reveal())
	if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, []string{"aud", "exp", "iat", "iss", "sub"}) || claims["sub"] != "pairwise" {
		t.Errorf("claims %v", claims)
	}
}

func TestIDTokenAlgorithms(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	for registered, want := range map[string]string{
		"": jose.ES256, "ES256": jose.ES256, "PS256": jose.PS256, "RS256": "", "none": "", "HS256": "", "es256": "",
	} {
		c := client()
		c.IDTokenSignedResponseAlg = registered
		token, err := m.IDToken(c, nil, fullIDToken())
		if want == "" {
			if !errors.Is(err, jose.ErrAlgorithm) {
				t.Errorf("%q: %v", registered, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if h := headerOf(t, token.Reveal()); h != fmt.Sprintf(`{"alg":"%s","kid":"kid-%s","typ":"JWT"}`, want, want) {
			t.Errorf("%q: header %s", registered, h)
		}
	}
}

func TestIDTokenRefuses(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	for name, change := range map[string]func(*fapi.IDToken){
		"another issuer": func(t *fapi.IDToken) { t.Issuer = "" },
		"another client": func(t *fapi.IDToken) { t.ClientID = "other" },
		"no client":      func(t *fapi.IDToken) { t.ClientID = "" },
		"no subject":     func(t *fapi.IDToken) { t.Subject = "" },
		"no iat":         func(t *fapi.IDToken) { t.IssuedAt = time.Time{} },
		"no exp":         func(t *fapi.IDToken) { t.ExpiresAt = time.Time{} },
		"unwritable":     func(t *fapi.IDToken) { t.Extra = map[string]any{"f": func() {}} },
		"a secret":       func(t *fapi.IDToken) { t.Extra = map[string]any{"code": t.Code} },
	} {
		token := fullIDToken()
		change(&token)
		if out, err := m.IDToken(client(), nil, token); err == nil || out != "" {
			t.Errorf("%s: made", name)
		}
	}
}

func clientSet(t *testing.T, use string) *jose.KeySet {
	t.Helper()
	var jwks []string
	for alg, key := range clientKeys() {
		jwk, err := jose.PublicJWK("c-"+alg, use, "", key.Public())
		if err != nil {
			t.Fatal(err)
		}
		jwks = append(jwks, string(jwk))
	}
	set, err := jose.ParseKeySet(fmt.Appendf(nil, `{"keys":[%s]}`, strings.Join(jwks, ",")))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// unwrap opens what was encrypted to the client.
func unwrap(t *testing.T, token, alg, enc string) string {
	t.Helper()
	d, err := jose.NewDecrypter("c-"+alg, alg, clientKeys()[alg])
	if err != nil {
		t.Fatal(err)
	}
	inner, err := jose.Decrypt(token, []jose.Decrypter{d}, []string{alg}, []string{enc})
	if err != nil {
		t.Fatal(err)
	}
	return string(inner)
}

// TestEncryptedIDToken: signed, then encrypted (FAPI 1 Advanced §5.2.2.1-6), with
// the registered default when enc is left out.
func TestEncryptedIDToken(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	for _, alg := range []string{jose.RSAOAEP256, jose.ECDHES} {
		for registered, enc := range map[string]string{"A256GCM": "A256GCM", "": "A128CBC-HS256"} {
			c := client()
			c.IDTokenEncryptedResponseAlg, c.IDTokenEncryptedResponseEnc = alg, registered
			token, err := m.IDToken(c, clientSet(t, ""), fullIDToken())
			if err != nil {
				t.Fatal(err)
			}
			if h, err := jose.ParseHeader(token.Reveal()); err != nil || h != (jose.Header{Alg: alg, KID: "c-" + alg, Cty: "JWT", Enc: enc}) {
				t.Errorf("header %+v %v", h, err)
			}
			if h, claims := read(t, unwrap(t, token.Reveal(), alg, enc)); h.Typ != "JWT" || claims["sub"] != "pairwise" {
				t.Errorf("inner %+v %v", h, claims)
			}
		}
	}
}

// TestEncryptionFailsClosed: a token registered to be encrypted does not leave
// in the clear.
func TestEncryptionFailsClosed(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	for name, tc := range map[string]struct {
		alg, enc string
		keys     *jose.KeySet
	}{
		"no keys":         {jose.ECDHES, jose.A256GCM, nil},
		"signing keys":    {jose.ECDHES, jose.A256GCM, clientSet(t, "sig")},
		"enc without alg": {"", jose.A256GCM, clientSet(t, "")},
		"RSA1_5":          {"RSA1_5", jose.A256GCM, clientSet(t, "")},
		"dir":             {"dir", jose.A256GCM, clientSet(t, "")},
		"unknown enc":     {jose.ECDHES, "none", clientSet(t, "")},
	} {
		c := client()
		c.IDTokenEncryptedResponseAlg, c.IDTokenEncryptedResponseEnc = tc.alg, tc.enc
		c.AuthorizationEncryptedAlg, c.AuthorizationEncryptedEnc = tc.alg, tc.enc
		if out, err := m.IDToken(c, tc.keys, fullIDToken()); err == nil || out != "" {
			t.Errorf("%s: id token made", name)
		}
		if out, err := m.Response(c, tc.keys, map[string]string{"code": "x"}, noon); err == nil || out != "" {
			t.Errorf("%s: response made", name)
		}
	}
}

// TestReadIDTokenHint: expired is fine; attack 20 and OC-06 are not.
func TestReadIDTokenHint(t *testing.T) {
	m := newMint(t, issuer, ourRing(), noon)
	ps := client()
	ps.IDTokenSignedResponseAlg = jose.PS256
	later := newMint(t, issuer, ourRing(), noon.Add(24*time.Hour))
	for _, c := range []*fapi.Client{client(), ps} {
		token, err := m.IDToken(c, nil, fullIDToken())
		if err != nil {
			t.Fatal(err)
		}
		if sub, aud, err := later.ReadIDTokenHint(token.Reveal()); err != nil || sub != "pairwise" || !slices.Equal(aud, []string{"tpp"}) {
			t.Errorf("got %q %v %v", sub, aud, err)
		}
	}
	for name, token := range hintsOfOthers(t) {
		if sub, aud, err := m.ReadIDTokenHint(token); !errors.Is(err, fapi.ErrNotFound) || sub != "" || aud != nil {
			t.Errorf("%s: %q %v %v", name, sub, aud, err)
		}
	}
}

func hintsOfOthers(t *testing.T) map[string]string {
	t.Helper()
	m := newMint(t, issuer, ourRing(), noon)
	out := map[string]string{"empty": "", "unsigned": "eyJhbGciOiJub25lIn0.e30."}
	note := func(name string, token fapi.Secret, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = token.Reveal()
	}
	access, err := m.Access(userToken())
	note("access token", access, err)
	response, err := m.Response(client(), nil, map[string]string{"code": "x"}, noon)
	note("response", response, err)
	posing, err := m.Response(client(), nil, map[string]string{"sub": "pairwise"}, noon)
	note("response with a sub", posing, err)
	challenge, err := m.LoginChallenge(fapi.LoginChallenge{Interaction: "i", ReturnTo: "r"}, "a")
	note("challenge", challenge, err)
	foreign, err := newMint(t, issuer, otherRing(), noon).IDToken(client(), nil, fullIDToken())
	note("another's key", foreign, err)
	brand := fullIDToken()
	brand.Issuer = "https://other.example"
	other, err := newMint(t, brand.Issuer, ourRing(), noon).IDToken(client(), nil, brand)
	note("another brand", other, err)
	logout, err := ourRing().signers[jose.ES256].Sign("logout+jwt", []byte(`{"iss":"https://bank.example","sub":"x","aud":"tpp","iat":1,"exp":2}`))
	note("logout token", fapi.Secret(logout), err)
	return out
}
