package login_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/sandbox/browser"
	"github.com/procura/procura/internal/sandbox/login"
)

const issuer = "https://issuer.example"

// bank is the application on a real TLS listener, with an issuer whose keys the
// test holds.
type bank struct {
	base    string
	now     time.Time
	issuer  jose.Signer
	opener  jose.Decrypter
	own     *jose.KeySet
	roots   *x509.CertPool
	refused []error
}

func signer(t *testing.T, kid, alg string) (jose.Signer, json.RawMessage) {
	t.Helper()
	key, err := jose.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(kid, alg, key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := jose.PublicJWK(kid, "sig", alg, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return s, public
}

func keySet(t *testing.T, keys ...json.RawMessage) *jose.KeySet {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	set, err := jose.ParseKeySet(raw)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newBank(t *testing.T) *bank {
	t.Helper()
	b := &bank{now: time.Unix(1_800_000_000, 0)}
	var public json.RawMessage
	b.issuer, public = signer(t, "issuer-1", jose.ES256)
	own, ownPublic := signer(t, "bank-1", jose.ES256)
	b.own = keySet(t, ownPublic)
	enc, err := jose.GenerateKey(jose.ECDHES)
	if err != nil {
		t.Fatal(err)
	}
	if b.opener, err = jose.NewDecrypter("enc-1", jose.ECDHES, enc); err != nil {
		t.Fatal(err)
	}
	encPublic, err := jose.PublicJWK("enc-1", "enc", jose.ECDHES, enc.Public())
	if err != nil {
		t.Fatal(err)
	}
	published := keySet(t, public, encPublic)

	var handler http.Handler
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	b.base = server.URL
	b.roots = x509.NewCertPool()
	b.roots.AddCert(server.Certificate())
	app, err := login.New(login.Config{
		BaseURL: b.base, Issuer: issuer, SessionLife: 10 * time.Minute,
		Customers: []login.Customer{{ID: "c-1", Username: "alice", Password: "wonderland", Accounts: []fapi.Account{{ID: "a-1", Name: "Current"}}}},
	}, login.Deps{
		Now: func() time.Time { return b.now }, Rand: rand.Reader, Signer: own,
		Keys:    func(context.Context, bool) (*jose.KeySet, error) { return published, nil },
		Refused: func(cause error) { b.refused = append(b.refused, cause) },
	})
	if err != nil {
		t.Fatal(err)
	}
	handler = app.Handler()
	return b
}

// claims of a challenge as the issuer writes it.
func (b *bank) claims() map[string]any {
	return map[string]any{
		"iss": issuer, "aud": b.base, "iat": b.now.Unix(), "exp": b.now.Add(time.Minute).Unix(), "jti": "interaction-1",
		"client_name": "A TPP", "return_to": issuer + fapi.PathLoginDone,
	}
}

func (b *bank) challenge(t *testing.T, by jose.Signer, typ string, change map[string]any) string {
	t.Helper()
	claims := b.claims()
	maps.Copy(claims, change)
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := by.Sign(typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return b.base + login.Path + "?" + url.Values{"login_challenge": {signed}}.Encode()
}

func (b *bank) browser(t *testing.T) *browser.Browser {
	t.Helper()
	br, err := browser.New(browser.Config{Roots: b.roots, Home: func(u *url.URL) bool { return u.Host == "issuer.example" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(br.Close)
	return br
}

// answer opens what came back to the issuer.
func (b *bank) answer(t *testing.T, p *browser.Page) map[string]any {
	t.Helper()
	if !p.Home || p.URL.Path != fapi.PathLoginDone {
		t.Fatalf("the browser is at %s: %s", p.URL, p.Text)
	}
	signed, err := jose.Decrypt(p.URL.Query().Get("login_response"), []jose.Decrypter{b.opener}, []string{jose.ECDHES}, []string{jose.A256GCM})
	if err != nil {
		t.Fatal(err)
	}
	head, payload, err := jose.Verify(string(signed), b.own, []string{jose.ES256})
	if err != nil || head.Typ != "login-response+jwt" {
		t.Fatalf("the answer's signature, typ %s: %v", head.Typ, err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if claims["iss"] != b.base || claims["aud"] != issuer || claims["challenge"] != "interaction-1" || claims["jti"] == "" {
		t.Errorf("the answer's frame: %v", claims)
	}
	return claims
}

func open(t *testing.T, br *browser.Browser, address string) *browser.Page {
	t.Helper()
	p, err := br.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func submit(t *testing.T, br *browser.Browser, p *browser.Page, button, password string) *browser.Page {
	t.Helper()
	if err := errors.Join(p.Fill("username", "alice"), p.Fill("password", password)); err != nil {
		t.Fatal(err)
	}
	next, err := br.Submit(t.Context(), p, button)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestLogin(t *testing.T) {
	b := newBank(t)
	br := b.browser(t)
	address := b.challenge(t, b.issuer, "login-challenge+jwt", map[string]any{"acr_values": "phr urn:openbanking:psd2:ca", "login_hint": "bob"})
	p := open(t, br, address)
	if !strings.Contains(p.Text, "A TPP") {
		t.Errorf("the page does not name the client: %s", p.Text)
	}
	p = submit(t, br, p, "submit_button", "guessed")
	if p.Status != http.StatusForbidden || !p.Has("password") {
		t.Fatalf("a wrong password: status %d", p.Status)
	}
	got := b.answer(t, submit(t, br, p, "submit_button", "wonderland"))
	if got["sub"] != "c-1" || got["acr"] != "urn:openbanking:psd2:ca" || got["auth_time"] != float64(b.now.Unix()) {
		t.Errorf("the answer: %v", got)
	}
	if accounts, ok := got["accounts"].([]any); !ok || len(accounts) != 1 {
		t.Errorf("accounts: %v", got["accounts"])
	}
}

func TestCancel(t *testing.T) {
	b := newBank(t)
	br := b.browser(t)
	p := open(t, br, b.challenge(t, b.issuer, "login-challenge+jwt", nil))
	got := b.answer(t, submit(t, br, p, "cancel_button", "wonderland"))
	if got["error"] != "access_denied" || got["sub"] != nil {
		t.Errorf("the answer: %v", got)
	}
}

// A remembered customer is not asked again unless the challenge says so; the
// answer's auth_time stays that of the login.
func TestSession(t *testing.T) {
	b := newBank(t)
	br := b.browser(t)
	began := b.now
	submit(t, br, open(t, br, b.challenge(t, b.issuer, "login-challenge+jwt", nil)), "submit_button", "wonderland")
	for _, tc := range []struct {
		name   string
		later  time.Duration
		change map[string]any
		asked  bool
	}{
		{"known", time.Minute, nil, false},
		{"recent enough", time.Minute, map[string]any{"max_age": 60}, false},
		{"too long ago", time.Minute, map[string]any{"max_age": 59}, true},
		{"max_age zero", time.Second, map[string]any{"max_age": 0}, true},
		{"forced", time.Second, map[string]any{"force_login": true}, true},
		{"session over", 11 * time.Minute, nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b.now = began.Add(tc.later)
			p := open(t, br, b.challenge(t, b.issuer, "login-challenge+jwt", tc.change))
			if p.Has("password") != tc.asked {
				t.Fatalf("asked %v, want %v", p.Has("password"), tc.asked)
			}
			if !tc.asked {
				if got := b.answer(t, p); got["auth_time"] != float64(began.Unix()) {
					t.Errorf("auth_time %v, want %d", got["auth_time"], began.Unix())
				}
			}
		})
	}
}

func TestLogout(t *testing.T) {
	b := newBank(t)
	br := b.browser(t)
	submit(t, br, open(t, br, b.challenge(t, b.issuer, "login-challenge+jwt", nil)), "submit_button", "wonderland")
	p := open(t, br, b.base+"/")
	if !strings.Contains(p.Text, "alice") {
		t.Fatalf("not known: %s", p.Text)
	}
	if _, err := br.Submit(t.Context(), p, "submit_button"); err != nil {
		t.Fatal(err)
	}
	if p = open(t, br, b.challenge(t, b.issuer, "login-challenge+jwt", nil)); !p.Has("password") {
		t.Error("still known after logout")
	}
}

func TestRefusedChallenges(t *testing.T) {
	b := newBank(t)
	stranger, _ := signer(t, "issuer-1", jose.ES256)
	const typ = "login-challenge+jwt"
	for name, address := range map[string]string{
		"none":            b.base + login.Path,
		"garbage":         b.base + login.Path + "?login_challenge=a.b.c",
		"forged":          b.challenge(t, stranger, typ, nil),
		"other type":      b.challenge(t, b.issuer, "at+jwt", nil),
		"other issuer":    b.challenge(t, b.issuer, typ, map[string]any{"iss": "https://evil.example"}),
		"other audience":  b.challenge(t, b.issuer, typ, map[string]any{"aud": "https://evil.example"}),
		"expired":         b.challenge(t, b.issuer, typ, map[string]any{"exp": b.now.Add(-time.Minute).Unix()}),
		"leads elsewhere": b.challenge(t, b.issuer, typ, map[string]any{"return_to": "https://evil.example/login/callback"}),
		"no interaction":  b.challenge(t, b.issuer, typ, map[string]any{"jti": ""}),
	} {
		t.Run(name, func(t *testing.T) {
			before := len(b.refused)
			p := open(t, b.browser(t), address)
			if p.Status != http.StatusBadRequest || !p.Has("error_marker") || p.Has("password") {
				t.Errorf("status %d: %s", p.Status, p.Text)
			}
			if len(b.refused) != before+1 {
				t.Error("the cause was not told")
			}
		})
	}
}

// A page of another site cannot log a customer in behind their back.
func TestCrossSitePost(t *testing.T) {
	b := newBank(t)
	req := httptest.NewRequest(http.MethodPost, b.base+login.Path, strings.NewReader("username=alice"))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "https://evil.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	req.RequestURI = ""
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsWith(b.roots)}}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("status %d, want 403", res.StatusCode)
	}
}

func TestHeaders(t *testing.T) {
	b := newBank(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsWith(b.roots)}}
	defer client.CloseIdleConnections()
	res, err := client.Get(b.challenge(t, b.issuer, "login-challenge+jwt", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	csp := res.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "form-action") || strings.Contains(csp, "unsafe") {
		t.Errorf("CSP: %s", csp)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control: %s", got)
	}
}
