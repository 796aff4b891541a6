package web_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/wire"
	"github.com/procura/procura/web"
)

const (
	publicURL = "https://" + publicHost
	mtlsURL   = "https://" + mtlsHost
)

// routesForTests is a small house: a page, a back channel endpoint, a document.
func routesForTests(p *web.Pages) []web.Route {
	return []web.Route{
		{Method: "GET", Path: "/authorize", Public: true, Front: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.Consent(w, r, fapi.ConsentView{Action: "/consent/1", ClientName: "Acme"})
		})},
		{Method: "POST", Path: "/authorize", Public: true, Front: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.Error(w, r, http.StatusBadRequest, fapi.InvalidRequest("no"))
		})},
		{Method: "POST", Path: "/token", Public: true, MTLS: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			obs.From(r.Context()).Set("client_id", "tpp-1")
			if _, err := wire.ParseForm(r); err != nil {
				wire.WriteError(w, r, err)
				return
			}
			wire.WriteJSON(w, http.StatusOK, map[string]string{"ok": "yes"})
		})},
		{Method: "GET", Path: "/jwks", Public: true, MTLS: true, Handler: web.JWKS(func() []byte { return []byte(`{"keys":[]}`) })},
		{Method: "GET", Path: web.PathOpenIDConfiguration, Public: true, Handler: web.Metadata(issuer(), options())},
		{Method: "GET", Path: "/consent/{interaction}", Public: true, Front: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.PathValue("interaction"))
		})},
		{Method: "GET", Path: "/panic", Public: true, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a secret eyJhbGciOiJub25lIn0.e30.") })},
		{Method: "GET", Path: "/panicpage", Public: true, Front: true, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(errors.New("x")) })},
		{Method: "GET", Path: "/panichalf", Public: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic("late")
		})},
	}
}

func running(t *testing.T) *house {
	t.Helper()
	cfg := config(t)
	cfg.Sites[0].Routes = routesForTests(cfg.Sites[0].Pages)
	return start(t, cfg)
}

// Attacks 70, 83, 87; OC-27, BC-02: the headers of every kind of answer.
func TestHeaders(t *testing.T) {
	h := running(t)
	always := map[string]string{
		"X-Content-Type-Options": "nosniff",
		"X-Frame-Options":        "DENY",
		"Referrer-Policy":        "no-referrer",
	}
	for _, c := range []struct {
		name, method, url, body, content, cache string
		status                                  int
		page                                    bool
	}{
		{"consent page", "GET", publicURL + "/authorize", "", "text/html; charset=utf-8", "no-store", 200, true},
		{"error page", "POST", publicURL + "/authorize", "", "text/html; charset=utf-8", "no-store", 400, true},
		{"wrong method at a page", "PUT", publicURL + "/authorize", "", "text/html; charset=utf-8", "no-store", 405, true},
		{"nothing there", "GET", publicURL + "/nothing", "", "text/html; charset=utf-8", "no-store", 404, true},
		{"nothing there, well known", "GET", publicURL + "/.well-known/webfinger", "", "application/json", "no-store", 404, false},
		{"nothing there, mutual TLS", "GET", mtlsURL + "/nothing", "", "application/json", "no-store", 404, false},
		{"token", "POST", publicURL + "/token", "a=b", "application/json", "no-store", 200, false},
		{"token, mutual TLS", "POST", mtlsURL + "/token", "a=b", "application/json", "no-store", 200, false},
		{"token refused", "POST", publicURL + "/token", "a=b&a=c", "application/json", "no-store", 400, false},
		{"wrong method", "GET", publicURL + "/token", "", "application/json", "no-store", 405, false},
		{"preflight", "OPTIONS", publicURL + "/token", "", "application/json", "no-store", 405, false},
		{"keys", "GET", publicURL + "/jwks", "", "application/json", "public, max-age=300", 200, false},
		{"keys, head", "HEAD", publicURL + "/jwks", "", "application/json", "public, max-age=300", 200, false},
		{"discovery", "GET", publicURL + web.PathOpenIDConfiguration, "", "application/json", "public, max-age=300", 200, false},
		{"stylesheet", "GET", publicURL + "/assets/style.css", "", "text/css; charset=utf-8", "public, max-age=86400", 200, false},
		{"panic", "GET", publicURL + "/panic", "", "application/json", "no-store", 500, false},
		{"panic at a page", "GET", publicURL + "/panicpage", "", "text/html; charset=utf-8", "no-store", 500, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := h.public()
			if strings.HasPrefix(c.url, mtlsURL) {
				client = h.mtls()
			}
			res, body := h.ask(client, c.method, c.url, c.body, "Content-Type", "application/x-www-form-urlencoded",
				"Origin", "https://evil.example", "Access-Control-Request-Method", "POST", "Accept", "text/html, image/gif, */*; q=0.2")
			if res.StatusCode != c.status {
				t.Errorf("status %d, want %d: %s", res.StatusCode, c.status, body)
			}
			for name, want := range always {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if got := res.Header.Get("Content-Type"); got != c.content {
				t.Errorf("Content-Type %q, want %q", got, c.content)
			}
			if got := res.Header.Get("Cache-Control"); got != c.cache {
				t.Errorf("Cache-Control %q, want %q", got, c.cache)
			}
			csp := res.Header.Get("Content-Security-Policy")
			for _, must := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
				if !strings.Contains(csp, must) {
					t.Errorf("policy %q lacks %s", csp, must)
				}
			}
			if strings.Contains(csp, "style-src 'self'") != c.page || strings.Contains(csp, "form-action") {
				t.Errorf("policy %q", csp)
			}
			hsts := res.Header.Get("Strict-Transport-Security") != ""
			if hsts != strings.HasPrefix(c.url, publicURL) {
				t.Errorf("HSTS: %v", hsts)
			}
			for name := range res.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("a CORS header: %s", name)
				}
			}
			if res.Header.Get("Www-Authenticate") != "" {
				t.Error("a challenge hides the JSON from openid-client")
			}
			if strings.Contains(body, "secret") || strings.Contains(body, "eyJ") {
				t.Errorf("the cause leaked: %s", body)
			}
		})
	}
}

func TestWrongMethodNamesTheRightOnes(t *testing.T) {
	h := running(t)
	for path, allow := range map[string]string{"/token": "POST", "/authorize": "GET, POST", "/jwks": "GET, HEAD"} {
		res, _ := h.ask(h.public(), "DELETE", publicURL+path, "")
		if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != allow {
			t.Errorf("%s: %d, Allow %q, want %q", path, res.StatusCode, res.Header.Get("Allow"), allow)
		}
	}
	if res, _ := h.ask(h.public(), "HEAD", publicURL+"/authorize", ""); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("HEAD at a page: %d", res.StatusCode)
	}
}

// Attack 81: hosts are compared with configuration, forwarded ones not read.
func TestUnknownHosts(t *testing.T) {
	h := running(t)
	public, mtls := h.srv.Addrs().Public, h.srv.Addrs().MTLS
	for _, c := range []struct {
		addr, host string
		status     int // 400: net/http refuses it before us
	}{
		{public, publicHost, 200},
		{public, "AS.Bank.Example", 200},
		{public, publicHost + ":443", 200},
		{public, publicHost + ":9443", 421},
		{public, publicHost + ":0443", 421},
		{public, publicHost + ".", 421},
		{public, "evil.example", 421},
		{public, mtlsHost, 421},
		{public, "", 421},
		{public, publicHost + "@evil.example", 400},
		{public, "evil.example#" + publicHost, 400},
		{public, publicHost + "/../evil", 400},
		{mtls, publicHost, 421},
		{mtls, mtlsHost, 200},
	} {
		if got := h.raw(c.addr, "GET /jwks HTTP/1.1", "Host: "+c.host, "X-Forwarded-Host: "+publicHost,
			"Forwarded: host="+publicHost); got != c.status {
			t.Errorf("%q: %d, want %d", c.host, got, c.status)
		}
	}
	if got := h.raw(public, "GET https://evil.example/jwks HTTP/1.1", "Host: "+publicHost); got != 421 {
		t.Errorf("absolute form with another host: %d", got)
	}
	_, body := h.ask(h.public(), "GET", publicURL+web.PathOpenIDConfiguration, "",
		"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http", "Forwarded", "host=evil.example")
	if strings.Contains(body, "evil") || strings.Contains(body, "http:") {
		t.Errorf("metadata follows the request: %s", body)
	}
}

// Attack 85: ambiguous framing is refused, and the connection with it.
func TestAmbiguousFraming(t *testing.T) {
	h := running(t)
	for name, lines := range map[string][]string{
		"two lengths":            {"Content-Length: 3", "Content-Length: 4"},
		"strange transfer":       {"Transfer-Encoding: chunked, identity"},
		"space before the colon": {"Content-Length : 3"},
		"two hosts":              {"Host: evil.example"},
		"bare upgrade to h2c":    {"Transfer-Encoding: h2c"},
	} {
		lines = append([]string{"POST /token HTTP/1.1", "Host: " + publicHost}, lines...)
		if got := h.raw(h.srv.Addrs().Public, lines...); got/100 != 4 && got != 501 {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// raw sends lines that no client library would and returns the status.
func (h *house) raw(addr string, lines ...string) int {
	h.t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // throw-away certificates
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\nConnection: close\r\n\r\n"); err != nil {
		h.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// G-15: nothing redirects on its own, whatever the path looks like.
func TestNoRedirects(t *testing.T) {
	h := running(t)
	for _, path := range []string{"//token", "/token/", "/./token", "/x/../token", "/token//", "/TOKEN", "/consent/", "/%74oken/"} {
		for _, method := range []string{"GET", "POST"} {
			res, _ := h.ask(h.public(), method, publicURL+path, "")
			if res.StatusCode/100 == 3 || res.Header.Get("Location") != "" {
				t.Errorf("%s %s: %d to %s", method, path, res.StatusCode, res.Header.Get("Location"))
			}
		}
	}
}

func TestPathValues(t *testing.T) {
	h := running(t)
	if _, body := h.ask(h.public(), "GET", publicURL+"/consent/abc-1", ""); body != "abc-1" {
		t.Errorf("interaction = %q", body)
	}
	if res, _ := h.ask(h.public(), "GET", publicURL+"/consent/a/b", ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("two segments: %d", res.StatusCode)
	}
}

// RFC 9126 §2.3: 413, and JSON.
func TestBodyCap(t *testing.T) {
	h := running(t)
	for size, status := range map[int]int{fapi.MaxBody - 2: 200, fapi.MaxBody - 1: 413, 10 * fapi.MaxBody: 413} {
		res, body := h.ask(h.public(), "POST", publicURL+"/token", "a="+strings.Repeat("x", size),
			"Content-Type", "application/x-www-form-urlencoded")
		if res.StatusCode != status {
			t.Errorf("%d bytes: %d, want %d: %s", size, res.StatusCode, status, body)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	h := running(t)
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for in, kept := range map[string]bool{
		"":                                     false,
		"6f1d0a52-9a5e-4c0e-8f0b-0a7f6a1c2d3e": true,
		"6f1d0a52-9a5e-4c0e-8f0b-0a7f6a1c2d3e, evil":    false,
		"{6f1d0a52-9a5e-4c0e-8f0b-0a7f6a1c2d3e}":        false,
		"urn:uuid:6f1d0a52-9a5e-4c0e-8f0b-0a7f6a1c2d3e": false,
		"../../etc/passwd-aaaaaaaaaaaaaaaaaaaa":         false,
	} {
		res, _ := h.ask(h.public(), "GET", publicURL+"/jwks", "", "X-Request-ID", in)
		got := res.Header.Get("X-Request-ID")
		if kept && got != in || !kept && (got == in || !uuid.MatchString(got)) {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// Attack 87: one line for each request, with the route's template and never what
// the caller wrote into path, query or body.
func TestEvents(t *testing.T) {
	h := running(t)
	const id = "6f1d0a52-9a5e-4c0e-8f0b-0a7f6a1c2d3e"
	for _, c := range []struct {
		method, path, route, status, listener, fault string
		mtls                                         bool
	}{
		{method: "POST", path: "/token?code=topsecret", route: "/token", status: "400", listener: "public", fault: "invalid_request"},
		{method: "GET", path: "/consent/topsecret?x=topsecret", route: "/consent/{interaction}", status: "200", listener: "public"},
		{method: "GET", path: "/topsecret", route: "none", status: "404", listener: "public", fault: "not_found"},
		{method: "GET", path: "/jwks", route: "/jwks", status: "200", listener: "mtls", mtls: true},
		{method: "GET", path: "/panic?x=topsecret", route: "/panic", status: "500", listener: "public", fault: "server_error"},
	} {
		client, base := h.public(), publicURL
		if c.mtls {
			client, base = h.mtls(), mtlsURL
		}
		before := len(h.log.String())
		h.ask(client, c.method, base+c.path, "", "X-Request-ID", id, "Referer", "https://x/?topsecret", "User-Agent", "topsecret")
		line := h.event(before, id)
		for key, want := range map[string]string{"method": c.method, "route": c.route, "status": c.status,
			"listener": c.listener, "error": c.fault} {
			if got, _ := line[key].(string); got != want {
				t.Errorf("%s: %s = %q, want %q", c.path, key, got, want)
			}
		}
		if line["duration_us"] == nil {
			t.Errorf("%s: no duration", c.path)
		}
	}
	if strings.Contains(h.log.String(), "topsecret") || strings.Contains(h.log.String(), "eyJ") {
		t.Errorf("the log holds what it must not: %s", h.log)
	}
	if !strings.Contains(h.log.String(), "panic: a secret") || !strings.Contains(h.log.String(), "pipeline_test.go") &&
		!strings.Contains(h.log.String(), "routesForTests") {
		t.Errorf("the panic's place is not in the log: %s", h.log)
	}
}

// event waits for the line of a request: it is written after the answer.
func (h *house) event(from int, id string) map[string]any {
	h.t.Helper()
	for range 1000 {
		for line := range strings.Lines(h.log.String()[from:]) {
			if strings.Contains(line, id) && strings.HasSuffix(line, "\n") {
				out := map[string]any{}
				if err := json.Unmarshal([]byte(line), &out); err != nil {
					h.t.Fatalf("%v: %s", err, line)
				}
				return out
			}
		}
		h.ask(h.public(), "GET", publicURL+"/jwks", "") // lets time pass without sleeping
	}
	h.t.Fatalf("no event %s", id)
	return nil
}

func TestAPanicInTheMiddleCutsTheAnswer(t *testing.T) {
	h := running(t)
	res, err := h.public().Get(publicURL + "/panichalf")
	if err != nil {
		return // cut before the headers were read
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("the answer looks whole: %q", body)
	}
}

// Attack 85: more header than anybody needs.
func TestOversizedHeaders(t *testing.T) {
	h := running(t)
	c := h.client(h.srv.Addrs().Public, func(tr *http.Transport) {
		tr.ForceAttemptHTTP2 = false
		tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
	})
	res, _ := h.ask(c, "GET", publicURL+"/jwks", "", "X-Padding", strings.Repeat("x", 80<<10))
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestBothProtocols(t *testing.T) {
	h := running(t)
	res, _ := h.ask(h.public(), "GET", publicURL+"/jwks", "")
	if res.ProtoMajor != 2 {
		t.Errorf("HTTP/2 was not negotiated: %s", res.Proto)
	}
	c := h.client(h.srv.Addrs().Public, func(tr *http.Transport) {
		tr.ForceAttemptHTTP2 = false
		tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
	})
	if res, _ := h.ask(c, "GET", publicURL+"/jwks", ""); res.ProtoMajor != 1 || res.StatusCode != 200 {
		t.Errorf("HTTP/1.1: %s %d", res.Proto, res.StatusCode)
	}
}
