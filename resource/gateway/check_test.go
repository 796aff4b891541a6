package gateway_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/gateway"
	"github.com/procura/procura/resource/resourcetest"
)

// proxied is a world with a proxy that may ask.
func proxied(t *testing.T, format gateway.CertificateFormat) (w *world, proxy *http.Client) {
	t.Helper()
	ca, err := certtest.NewCA(certtest.Options{Name: "Proxies", Now: time.Now()})
	must(t, err)
	leaf, err := ca.Issue(certtest.Client(time.Now(), "CN=proxy"))
	must(t, err)
	w = newWorld(t, func(c *gateway.Config) {
		c.Check = gateway.CheckConfig{Callers: []string{jose.CertThumbprint(leaf.Cert.Raw)},
			CertificateHeader: "X-Client-Cert", CertificateFormat: format}
	})
	proxy, err = resource.NewClient(leaf.TLS(), w.issuer.CA.Pool())
	must(t, err)
	return w, proxy
}

func escapedPEM(leaf *certtest.Leaf) string {
	return url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Cert.Raw})))
}

// Envoy's way: the question is the request itself below /check.
func TestCheckInPlace(t *testing.T) {
	w, proxy := proxied(t, gateway.EscapedPEM)
	cert := http.Header{"X-Client-Cert": {escapedPEM(w.tpp)}, "X-Procura-Customer": {"mallory"}}
	user := w.userToken(t, nil)
	res, body := sendWith(t, proxy, w.url, request{path: "/check" + v3 + "/accounts/acc-1?page=2", token: user, header: cert})
	if res.StatusCode != 200 || body != "" {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	facts, err := resource.ReadFacts(res.Header)
	must(t, err)
	if facts.Customer != "cust-1001" || facts.Client != resourcetest.ClientID || len(facts.Accounts) != 2 {
		t.Errorf("told %+v", facts)
	}
	if w.bank.calls() != 0 {
		t.Error("a question was forwarded")
	}
	for _, c := range []struct {
		name, method, path, token string
		header                    http.Header
		status                    int
	}{
		{"no token", "GET", v3 + "/accounts", "", cert, 401},
		{"no certificate (MT-13)", "GET", v3 + "/accounts", user, nil, 401},
		{"an empty certificate", "GET", v3 + "/accounts", user, http.Header{"X-Client-Cert": {""}}, 401},
		{"another certificate (attack 50)", "GET", v3 + "/accounts", user, http.Header{"X-Client-Cert": {escapedPEM(w.issuer.ClientCertificate("tpp"))}}, 401},
		{"two certificates", "GET", v3 + "/accounts", user, http.Header{"X-Client-Cert": {escapedPEM(w.tpp), escapedPEM(w.tpp)}}, 401},
		{"twin with underscores", "GET", v3 + "/accounts", user, http.Header{"X-Client-Cert": {escapedPEM(w.tpp)}, "X_client_cert": {"x"}}, 401},
		{"not a certificate", "GET", v3 + "/accounts", user, http.Header{"X-Client-Cert": {"MII"}}, 401},
		{"a chain", "GET", v3 + "/accounts", user, http.Header{"X-Client-Cert": {url.PathEscape(string(w.tpp.CertPEM()))}}, 401},
		{"endless", "GET", v3 + "/accounts", user, http.Header{"X-Client-Cert": {strings.Repeat("A", 20<<10)}}, 401},
		{"token in the query (attack 58)", "GET", v3 + "/accounts?access_token=" + user, user, cert, 400},
		{"account not chosen", "GET", v3 + "/accounts/acc-3", user, cert, 403},
		{"consents are forwarded, not checked", "GET", v3 + "/account-access-consents/c-1", w.appToken(t, nil), cert, 404},
		{"not built", "GET", v3 + "/transactions", user, cert, 404},
		{"wrong method", "POST", v3 + "/accounts", user, cert, 405},
		{"root", "GET", "/", user, cert, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := sendWith(t, proxy, w.url, request{method: c.method, path: "/check" + c.path, token: c.token, header: c.header})
			if res.StatusCode != c.status {
				t.Errorf("%d %s, want %d", res.StatusCode, body, c.status)
			}
			if res.Header.Get("X-Procura-Customer") != "" || res.Header.Get("x-fapi-interaction-id") == "" {
				t.Errorf("a refusal with headers %v", res.Header)
			}
		})
	}
}

// nginx' way: one location, the original request in headers, and only 401 and 403
// are understood as refusals.
func TestCheckForNginx(t *testing.T) {
	w, proxy := proxied(t, gateway.EscapedPEM)
	user := w.userToken(t, nil)
	ask := func(method, uri, token string) *http.Response {
		h := http.Header{"X-Client-Cert": {escapedPEM(w.tpp)}}
		if method != "" {
			h.Set("X-Original-Method", method)
		}
		if uri != "" {
			h.Set("X-Original-URI", uri)
		}
		res, _ := sendWith(t, proxy, w.url, request{path: "/check", token: token, header: h})
		return res
	}
	for _, c := range []struct {
		method, uri, token string
		status             int
		verdict            string
	}{
		{"GET", v3 + "/accounts", user, 200, ""},
		{"GET", v3 + "/accounts", "", 401, "401"},
		{"GET", v3 + "/accounts/acc-3", user, 403, "403"},
		{"GET", v3 + "/accounts?access_token=x", user, 403, "400"},
		{"GET", v3 + "/%61ccounts", user, 403, "404"},
		{"POST", v3 + "/accounts", user, 403, "405"},
		{"GET", "", user, 403, "400"},
		{"", v3 + "/accounts", user, 403, "400"},
		{"GET", "accounts", user, 403, "400"},
	} {
		res := ask(c.method, c.uri, c.token)
		if res.StatusCode != c.status || res.Header.Get("X-Procura-Verdict") != c.verdict {
			t.Errorf("%s %s: %d (%s), want %d (%s)", c.method, c.uri, res.StatusCode, res.Header.Get("X-Procura-Verdict"), c.status, c.verdict)
		}
		if c.status == 401 && res.Header.Get("WWW-Authenticate") == "" {
			t.Error("401 without challenge")
		}
	}
	w.issuer.Break(true)
	h := http.Header{"X-Client-Cert": {escapedPEM(w.tpp)}, "X-Original-Method": {"GET"}, "X-Original-Uri": {v3 + "/accounts"}}
	res, _ := sendWith(t, proxy, w.url, request{path: "/check", token: w.userToken(t, map[string]any{"grant_id": "g-2"}), header: h})
	if res.StatusCode != 503 {
		t.Errorf("a fault of ours: %d, want 503, on which nginx refuses", res.StatusCode)
	}
}

// RFC 8705 §6.5, MT-18: a certificate header is believed from a known proxy alone.
func TestCheckIsForKnownProxies(t *testing.T) {
	w, _ := proxied(t, gateway.EscapedPEM)
	for name, client := range map[string]*http.Client{
		"a TPP":          w.client,
		"no certificate": {Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.issuer.CA.Pool()}}},
	} {
		res, _ := sendWith(t, client, w.url, request{path: "/check" + v3 + "/accounts", token: w.userToken(t, nil),
			header: http.Header{"X-Client-Cert": {escapedPEM(w.tpp)}}})
		if res.StatusCode != 403 {
			t.Errorf("%s: %d, want 403", name, res.StatusCode)
		}
	}
	if res, _ := w.send(t, request{path: "/checks", token: w.userToken(t, nil)}); res.StatusCode != 404 {
		t.Errorf("a path that begins alike: %d, want 404", res.StatusCode)
	}
}

func TestCheckReadsRFC9440(t *testing.T) {
	w, proxy := proxied(t, gateway.ClientCertField)
	der := base64.StdEncoding.EncodeToString(w.tpp.Cert.Raw)
	for header, status := range map[string]int{":" + der + ":": 200, der: 401, ":" + der: 401, "::": 401, ":" + der + "=:": 401, escapedPEM(w.tpp): 401} {
		res, body := sendWith(t, proxy, w.url, request{path: "/check" + v3 + "/accounts", token: w.userToken(t, nil),
			header: http.Header{"X-Client-Cert": {header}}})
		if res.StatusCode != status {
			t.Errorf("%.20q: %d %s, want %d", header, res.StatusCode, body, status)
		}
	}
}

// FuzzCertificateHeader: no header makes the gateway fall over or believe a
// certificate that cannot be parsed.
func FuzzCertificateHeader(f *testing.F) {
	ca, err := certtest.NewCA(certtest.Options{Name: "Fuzz", Now: time.Now()})
	must(f, err)
	leaf, err := ca.Issue(certtest.Client(time.Now(), "CN=fuzz"))
	must(f, err)
	f.Add(escapedPEM(leaf), true)
	f.Add(":"+base64.StdEncoding.EncodeToString(leaf.Cert.Raw)+":", false)
	f.Add("", true)
	f.Add("::", false)
	client := &http.Client{Transport: &http.Transport{}}
	var seen *x509.Certificate
	verify := verifierFunc(func(q resource.Request) error { seen = q.Peer; return errors.New("refused") })
	handlers := map[bool]http.Handler{}
	for isPEM, format := range map[bool]gateway.CertificateFormat{true: gateway.EscapedPEM, false: gateway.ClientCertField} {
		cfg := gateway.DefaultConfig("https://mtls.issuer.example", "gateway", "http://127.0.0.1:1")
		cfg.Check = gateway.CheckConfig{Callers: []string{jose.CertThumbprint(leaf.Cert.Raw)}, CertificateHeader: "Client-Cert", CertificateFormat: format}
		handlers[isPEM], err = gateway.New(cfg, gateway.Deps{Verifier: verify, Client: client, Upstream: client.Transport,
			Now: time.Now, Rand: rand.Reader, Log: func(gateway.Record) {}})
		must(f, err)
	}
	f.Fuzz(func(t *testing.T, header string, isPEM bool) {
		r := httptest.NewRequest(http.MethodGet, "/check"+v3+"/accounts", nil)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf.Cert}}
		r.Header.Set("Client-Cert", header)
		seen = nil
		w := httptest.NewRecorder()
		handlers[isPEM].ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized && w.Code != http.StatusInternalServerError {
			t.Fatalf("status %d", w.Code)
		}
		if seen != nil && len(seen.Raw) == 0 {
			t.Fatal("a certificate of nothing")
		}
	})
}

// FuzzPath: only the paths of the table, spelled as they are there, reach the
// verifier.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{v3 + "/accounts", v4 + "/accounts/a/balances", v3 + "/accounts/..", v3 + "/accounts/%2e%2e", "//", v3 + "/accounts/a%2fb", v3 + "/Accounts"} {
		f.Add(seed)
	}
	client := &http.Client{Transport: &http.Transport{}}
	reached := false
	verify := verifierFunc(func(resource.Request) error { reached = true; return errors.New("refused") })
	h, err := gateway.New(gateway.DefaultConfig("https://mtls.issuer.example", "gateway", "http://127.0.0.1:1"),
		gateway.Deps{Verifier: verify, Client: client, Upstream: client.Transport, Now: time.Now, Rand: rand.Reader, Log: func(gateway.Record) {}})
	must(f, err)
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.Parse(path)
		if err != nil {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL, reached = u, false
		h.ServeHTTP(httptest.NewRecorder(), r)
		clean := strings.HasPrefix(u.EscapedPath(), "/open-banking/v") && !strings.Contains(u.EscapedPath(), "%") &&
			!strings.Contains(u.EscapedPath(), "//") && !strings.Contains(u.EscapedPath()+"/", "/../") && !strings.Contains(u.EscapedPath()+"/", "/./")
		if reached && !clean {
			t.Fatalf("%q reached the verifier", path)
		}
	})
}

// verifierFunc refuses everything after it has looked.
type verifierFunc func(resource.Request) error

func (v verifierFunc) Verify(_ context.Context, q resource.Request) (*resource.Token, error) {
	return nil, v(q)
}

// FAPI 1 Advanced §8.5, RFC 10015 §3.
func TestTLSPolicy(t *testing.T) {
	ca, err := certtest.NewCA(certtest.Options{Name: "TLS", Now: time.Now()})
	must(t, err)
	issue := func(isRSA bool) tls.Certificate {
		template := certtest.Server(time.Now(), "127.0.0.1")
		template.RSA = isRSA
		leaf, err := ca.Issue(template)
		must(t, err)
		return leaf.TLS()
	}
	serve := func(certificates ...tls.Certificate) string {
		cfg, err := gateway.TLSConfig(certificates)
		must(t, err)
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.TLS = cfg
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	both, modern := serve(issue(false), issue(true)), serve(issue(false))
	gcm := tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	for _, c := range []struct {
		name    string
		addr    string
		version uint16
		suite   uint16
		ok      bool
	}{
		{"TLS 1.3", both, tls.VersionTLS13, 0, true},
		{"TLS 1.3 without RSA", modern, tls.VersionTLS13, 0, true},
		{"TLS 1.2 with GCM", both, tls.VersionTLS12, gcm, true},
		{"TLS 1.2 without RSA", modern, tls.VersionTLS12, gcm, false},
		{"TLS 1.2 with ECDSA", both, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, false},
		{"TLS 1.2 with CBC", both, tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, false},
		{"TLS 1.2 with ChaCha", both, tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, false},
		{"TLS 1.2 with static RSA", both, tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, false},
		{"TLS 1.1", both, tls.VersionTLS11, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, false},
	} {
		cfg := &tls.Config{RootCAs: ca.Pool(), MinVersion: c.version, MaxVersion: c.version}
		if c.suite != 0 {
			cfg.CipherSuites = []uint16{c.suite}
		}
		conn, err := tls.Dial("tcp", c.addr, cfg)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v, want success %v", c.name, err, c.ok)
		}
		if err != nil {
			continue
		}
		if _, isRSA := conn.ConnectionState().PeerCertificates[0].PublicKey.(*rsa.PublicKey); c.version == tls.VersionTLS12 && !isRSA {
			t.Errorf("%s: not with the RSA certificate", c.name)
		}
		must(t, conn.Close())
	}
	if _, err := gateway.TLSConfig(nil); err == nil {
		t.Error("accepted without a certificate")
	}
}
