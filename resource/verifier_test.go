package resource_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/resourcetest"
)

func TestVerifyReturnsWhatTheTokenSays(t *testing.T) {
	w := newWorld(t, nothingRevoked(), nil)
	token := w.issuer.Token(w.tpp.Cert)
	got, err := w.verify(t, token)
	must(t, err)
	if got.Subject != resourcetest.Subject || got.ClientID != resourcetest.ClientID || !got.User ||
		got.GrantID != resourcetest.GrantID || got.ConsentID != resourcetest.ConsentID || got.ID == "" ||
		got.Thumbprint != jose.CertThumbprint(w.tpp.Cert.Raw) || got.Encoded() != token {
		t.Errorf("token read as %+v", got)
	}
	if !got.HasScope("accounts") || got.HasScope("account") || got.HasScope("") {
		t.Errorf("scope read as %q", got.Scope)
	}
	if dump := fmt.Sprintf("%v %+v %#v", *got, *got, *got); strings.Contains(dump, token) {
		t.Error("a dump of the token shows its encoded form")
	}
	app, err := w.verify(t, w.issuer.Sign("application/AT+jwt", w.issuer.ApplicationClaims(w.tpp.Cert)))
	must(t, err)
	if app.User || app.GrantID != "" || !app.AuthTime.IsZero() {
		t.Errorf("application token read as %+v", app)
	}
}

// FAPI 1 Baseline §6.2.1-1 to -3, FAPI 2 §5.3.4-1 and -2, RFC 6750 §3.1, RFC 9110
// §11.1, attack 58.
func TestWhereTheTokenStands(t *testing.T) {
	w := newWorld(t, nothingRevoked(), nil)
	good := w.issuer.Token(w.tpp.Cert)
	for _, c := range []struct {
		name   string
		header []string
		query  string
		body   bool
		status int
		code   string
	}{
		{"usual", []string{"Bearer " + good}, "", false, 0, ""},
		{"lower case scheme (F1B-20)", []string{"bearer " + good}, "", false, 0, ""},
		{"upper case scheme (F1B-20)", []string{"BEARER " + good}, "", false, 0, ""},
		{"several spaces", []string{" Bearer   " + good + " "}, "", false, 0, ""},
		{"other query parameters", []string{"Bearer " + good}, "fromBookingDateTime=2026-01-01&x=access_token", false, 0, ""},
		{"none at all", nil, "", false, 401, ""},
		{"an empty header", []string{""}, "", false, 401, ""},
		{"basic", []string{"Basic dHBwOnNlY3JldA=="}, "", false, 401, ""},
		{"another scheme", []string{"DPoP " + good}, "", false, 401, ""},
		{"no scheme", []string{good}, "", false, 401, ""},
		{"scheme and token glued", []string{"Bearer" + good}, "", false, 401, ""},
		{"empty bearer", []string{"Bearer"}, "", false, 401, "invalid_token"},
		{"empty bearer with space", []string{"Bearer "}, "", false, 401, "invalid_token"},
		{"only padding", []string{"Bearer =="}, "", false, 401, "invalid_token"},
		{"two tokens in one header", []string{"Bearer " + good + ", Bearer " + good}, "", false, 401, "invalid_token"},
		{"quotes", []string{`Bearer "` + good + `"`}, "", false, 401, "invalid_token"},
		{"tab", []string{"Bearer \t" + good}, "", false, 401, "invalid_token"},
		{"too long", []string{"Bearer " + strings.Repeat("a", 20<<10)}, "", false, 401, "invalid_token"},
		{"two headers", []string{"Bearer " + good, "Bearer " + good}, "", false, 400, "invalid_request"},
		{"two headers, one empty", []string{"Bearer " + good, ""}, "", false, 400, "invalid_request"},
		{"query", nil, "access_token=" + good, false, 400, "invalid_request"},
		{"query and header", []string{"Bearer " + good}, "access_token=" + good, false, 400, "invalid_request"},
		{"empty in query", []string{"Bearer " + good}, "access_token=", false, 400, "invalid_request"},
		{"escaped name in query", []string{"Bearer " + good}, "access%5Ftoken=" + good, false, 400, "invalid_request"},
		{"semicolon query (unparsable)", []string{"Bearer " + good}, "a=1;access_token=" + good, false, 400, "invalid_request"},
		{"body", nil, "", true, 400, "invalid_request"},
		{"body and header", []string{"Bearer " + good}, "", true, 400, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.verifier.Verify(t.Context(), resource.Request{Authorization: c.header, Peer: w.tpp.Cert,
				Method: http.MethodGet, URL: &url.URL{Path: "/accounts", RawQuery: c.query}, TokenInBody: c.body})
			if c.status == 0 {
				must(t, err)
				return
			}
			refused(t, err, c.status, c.code)
		})
	}
}

// RFC 9068 §4, AT-05; FAPI 1 Advanced §6.2.1-2; attacks 20, 51 and 59. Each case
// changes one thing in a good token.
func TestClaimsThatAreRefused(t *testing.T) {
	w := newWorld(t, nothingRevoked(), nil)
	thumb := jose.CertThumbprint(w.tpp.Cert.Raw)
	soon := func(d time.Duration) int64 { return w.clock.Now().Add(d).Unix() }
	for _, c := range []struct {
		name string
		edit map[string]any // nil removes the claim
		ok   bool
	}{
		{"nothing changed", nil, true},
		{"aud among others", map[string]any{"aud": []string{"https://other.example", resourcetest.Audience}}, true},
		{"expired within the skew", map[string]any{"exp": soon(-3 * time.Second)}, true},
		{"clock of the issuer ahead within the skew", map[string]any{"iat": soon(3 * time.Second), "nbf": soon(3 * time.Second)}, true},
		{"no nbf", map[string]any{"nbf": nil}, true},
		{"no consent", map[string]any{"consent_id": nil}, true},

		{"another issuer (AT-05)", map[string]any{"iss": "https://other.example"}, false},
		{"issuer with a slash more (AT-05)", map[string]any{"iss": w.issuer.URL + "/"}, false},
		{"no issuer", map[string]any{"iss": nil}, false},
		{"another audience (attack 59)", map[string]any{"aud": "https://other.example"}, false},
		{"audience with a slash more", map[string]any{"aud": resourcetest.Audience + "/"}, false},
		{"no audience", map[string]any{"aud": nil}, false},
		{"expired (F1B-16)", map[string]any{"exp": soon(-6 * time.Second)}, false},
		{"no exp", map[string]any{"exp": nil}, false},
		{"exp a string", map[string]any{"exp": "9999999999"}, false},
		{"iat in the future", map[string]any{"iat": soon(time.Minute)}, false},
		{"nbf in the future", map[string]any{"nbf": soon(time.Minute)}, false},
		{"no iat (RFC 9068 §2.2)", map[string]any{"iat": nil}, false},
		{"no sub (RFC 9068 §2.2)", map[string]any{"sub": nil}, false},
		{"no client_id (RFC 9068 §2.2)", map[string]any{"client_id": nil}, false},
		{"no jti (RFC 9068 §2.2)", map[string]any{"jti": nil}, false},
		{"for nobody", map[string]any{"token_for": nil}, false},
		{"for somebody unheard of", map[string]any{"token_for": "admin"}, false},
		{"for a user who is the client (RFC 9068 §5)", map[string]any{"sub": resourcetest.ClientID}, false},
		{"for a user without grant", map[string]any{"grant_id": nil}, false},
		{"for an application with a user's sub (RFC 9068 §5)", map[string]any{"token_for": "application", "grant_id": nil}, false},
		{"for an application with a grant", map[string]any{"token_for": "application", "sub": resourcetest.ClientID}, false},
		{"no cnf (F1A-24, attack 51)", map[string]any{"cnf": nil}, false},
		{"empty cnf (attack 51)", map[string]any{"cnf": map[string]string{}}, false},
		{"cnf of another kind", map[string]any{"cnf": map[string]string{"jkt": thumb}}, false},
		{"cnf of two kinds", map[string]any{"cnf": map[string]string{"x5t#S256": thumb, "jkt": thumb}}, false},
		{"cnf with an unknown member", map[string]any{"cnf": map[string]string{"x5t#S256": thumb, "x": ""}}, false},
		{"cnf of another certificate (MT-13, attack 50)", map[string]any{"cnf": map[string]string{"x5t#S256": strings.Repeat("A", 43)}}, false},
		{"cnf cut short", map[string]any{"cnf": map[string]string{"x5t#S256": thumb[:42]}}, false},
		{"cnf padded", map[string]any{"cnf": map[string]string{"x5t#S256": thumb + "="}}, false},
		{"cnf in other case", map[string]any{"cnf": map[string]string{"X5T#S256": thumb}}, false},
		{"cnf not a string", map[string]any{"cnf": map[string]any{"x5t#S256": []string{thumb}}}, false},
		{"cnf null", map[string]any{"cnf": map[string]any{"x5t#S256": json.RawMessage("null")}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			claims := w.issuer.Claims(w.tpp.Cert)
			maps.Copy(claims, c.edit)
			maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
			_, err := w.verify(t, w.issuer.Sign("at+jwt", claims))
			if c.ok {
				must(t, err)
				return
			}
			refused(t, err, 401, "invalid_token")
		})
	}
}

// RFC 9068 §4, RFC 8725 §2.1, attacks 20, 21 and 59.
func TestSignaturesThatAreRefused(t *testing.T) {
	w := newWorld(t, nothingRevoked(), nil)
	claims := w.issuer.Claims(w.tpp.Cert)
	stranger, _ := resourcetest.Key(t, "k1", jose.ES256)
	unknown, _ := resourcetest.Key(t, "k9", jose.ES256)
	good := w.issuer.Token(w.tpp.Cert)
	parts := strings.Split(good, ".")
	payload := parts[1]
	mac := hmac.New(sha256.New, []byte("the public key as it is published"))
	hs := encode(`{"alg":"HS256","typ":"at+jwt","kid":"k1"}`) + "." + payload
	mac.Write([]byte(hs))
	for _, c := range []struct{ name, token string }{
		{"key of a stranger under our kid", resourcetest.SignWith(t, stranger, "at+jwt", claims)},
		{"kid that nobody knows", resourcetest.SignWith(t, unknown, "at+jwt", claims)},
		{"ID token", w.issuer.Sign("JWT", claims)},
		{"no typ", w.issuer.Sign("", claims)},
		{"introspection answer", w.issuer.Sign("token-introspection+jwt", claims)},
		{"alg none", encode(`{"alg":"none","typ":"at+jwt","kid":"k1"}`) + "." + payload + "."},
		{"alg none with our signature", encode(`{"alg":"none","typ":"at+jwt","kid":"k1"}`) + "." + payload + "." + parts[2]},
		{"HS256 with the public key", hs + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))},
		{"no kid", encode(`{"alg":"ES256","typ":"at+jwt"}`) + "." + payload + "." + parts[2]},
		{"another payload", parts[0] + "." + encode(`{"iss":"x"}`) + "." + parts[2]},
		{"no signature", parts[0] + "." + payload + "."},
		{"two parts", parts[0] + "." + payload},
		{"cut", good[:len(good)-2]},
		{"crit", encode(`{"alg":"ES256","typ":"at+jwt","kid":"k1","crit":["x"],"x":1}`) + "." + payload + "." + parts[2]},
		{"not a JWT", "c2VjcmV0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.verify(t, c.token)
			refused(t, err, 401, "invalid_token")
		})
	}
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// RFC 8725 §3.1: the list decides, not the key.
func TestAlgorithmOutsideTheList(t *testing.T) {
	w := newWorld(t, nothingRevoked(), func(c *resource.Config) { c.Algorithms = []string{jose.ES256} })
	_, err := w.verify(t, w.issuer.Token(w.tpp.Cert))
	must(t, err)
	w.issuer.Rotate("k2", jose.PS256)
	w.clock.advance(time.Minute)
	_, err = w.verify(t, w.issuer.Token(w.tpp.Cert))
	refused(t, err, 401, "invalid_token")
}

// MT-13, attack 50: a certificate with the same subject is another certificate.
func TestOtherCertificate(t *testing.T) {
	w := newWorld(t, nothingRevoked(), nil)
	token := w.issuer.Token(w.tpp.Cert)
	for name, peer := range map[string]*x509.Certificate{
		"none": nil, "same subject": w.issuer.ClientCertificate("tpp").Cert,
	} {
		_, err := w.verifier.Verify(t.Context(), resource.Request{Authorization: []string{"Bearer " + token}, Peer: peer})
		t.Run(name, func(t *testing.T) { refused(t, err, 401, "invalid_token") })
	}
}

// AT-06, FAPI 2 §5.3.4-3: what is not known to be alive is refused.
func TestFailsClosedOnItsFeed(t *testing.T) {
	for _, c := range []struct {
		name    string
		age     time.Duration
		synced  bool
		revoked bool
		status  int
		code    string
	}{
		{"never synced", 0, false, false, 503, "temporarily_unavailable"},
		{"too old", 5*time.Second + 1, true, false, 503, "temporarily_unavailable"},
		{"just fresh enough", 5 * time.Second, true, false, 0, ""},
		{"revoked", 0, true, true, 401, "invalid_token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, revocations{age: func() (time.Duration, bool) { return c.age, c.synced },
				revoked: func(*resource.Token) bool { return c.revoked }}, nil)
			_, err := w.verify(t, w.issuer.Token(w.tpp.Cert))
			if c.status == 0 {
				must(t, err)
				must(t, w.verifier.Ready(t.Context()))
				return
			}
			refused(t, err, c.status, c.code)
			if !c.revoked && w.verifier.Ready(t.Context()) == nil {
				t.Error("ready without revocations")
			}
			// A stranger's token is refused all the same, and not with 503.
			_, err = w.verify(t, "rubbish")
			refused(t, err, 401, "invalid_token")
		})
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	good := resource.DefaultConfig("https://issuer.example", "https://api.example")
	fetch, err := resource.NewFetcher(nil)
	must(t, err)
	deps := resource.Deps{Fetch: fetch, Revocations: nothingRevoked(), Now: time.Now}
	if _, err := resource.New(good, deps); err != nil {
		t.Fatal(err)
	}
	for name, without := range map[string]resource.Deps{
		"Fetch":       {Revocations: deps.Revocations, Now: deps.Now},
		"Revocations": {Fetch: deps.Fetch, Now: deps.Now},
		"Now":         {Fetch: deps.Fetch, Revocations: deps.Revocations},
	} {
		if _, err := resource.New(good, without); err == nil {
			t.Errorf("accepted without %s", name)
		}
	}
	for name, edit := range map[string]func(*resource.Config){
		"http issuer":       func(c *resource.Config) { c.Issuer = "http://issuer.example" },
		"issuer with slash": func(c *resource.Config) { c.Issuer += "/" },
		"no audience":       func(c *resource.Config) { c.Audience = "" },
		"http keys":         func(c *resource.Config) { c.JWKSURI = "http://issuer.example/jwks" },
		"no algorithm":      func(c *resource.Config) { c.Algorithms = nil },
		"RS256":             func(c *resource.Config) { c.Algorithms = []string{"RS256"} },
		"an hour of skew":   func(c *resource.Config) { c.Skew = time.Hour },
		"no feed age":       func(c *resource.Config) { c.MaxFeedAge = 0 },
		"no key age":        func(c *resource.Config) { c.MaxKeyAge = 0 },
	} {
		cfg := good
		edit(&cfg)
		if _, err := resource.New(cfg, deps); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzAuthorization: whatever the header says, only the good token behind the
// right scheme is believed, and every refusal has its status.
func FuzzAuthorization(f *testing.F) {
	w := newWorld(f, nothingRevoked(), nil)
	good := w.issuer.Token(w.tpp.Cert)
	for _, seed := range []string{"", "Bearer", "bearer " + good, "Bearer  " + good, "Bearer " + good + "=", "Bearer a,b",
		"Basic x", "Bearer\t" + good, "Bearer \x00", "Bearer é", "DPoP " + good} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		_, err := w.verifier.Verify(t.Context(), resource.Request{Authorization: []string{header}, Peer: w.tpp.Cert})
		if err != nil {
			if e := resource.AsError(err); e.Status != 401 {
				t.Fatalf("refused with %d: %v", e.Status, err)
			}
			return
		}
		words := strings.Fields(header)
		if len(words) != 2 || !strings.EqualFold(words[0], "bearer") || words[1] != good {
			t.Fatalf("believed %q", header)
		}
	})
}
