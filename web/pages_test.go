package web_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/web"
)

func consent(t *testing.T, view fapi.ConsentView) (*httptest.ResponseRecorder, string) {
	t.Helper()
	w := httptest.NewRecorder()
	pages(t).Consent(w, httptest.NewRequest("GET", "/consent/1", nil), view)
	return w, w.Body.String()
}

func view() fapi.ConsentView {
	return fapi.ConsentView{
		Action: "/consent/6f1d0a52-9a5e-4c0e-8f0b-0a7f6a1c2d3e", Token: "tok-1", ClientName: "Budget Owl",
		Permissions: []string{"ReadAccountsBasic", "ReadAccountsDetail", "ReadBalances", "ReadSomethingNew"},
		Scopes:      []string{"openid", "accounts", "offline_access"},
		Accounts: []fapi.Account{
			{ID: "acc-1", Name: "Everyday", Number: "****4821", Currency: "GBP"},
			{ID: "acc-2", Name: "Savings", Number: "****9907", Currency: "GBP"},
		},
		ExpiresAt: "2027-02-20T12:00:00Z", Locale: "en",
	}
}

func TestConsentPage(t *testing.T) {
	w, body := consent(t, view())
	if w.Code != 200 {
		t.Fatalf("status %d", w.Code)
	}
	for _, want := range []string{
		`<html lang="en">`, `<h1>Share your accounts with Budget Owl?</h1>`,
		`<form method="post" action="/consent/6f1d0a52-9a5e-4c0e-8f0b-0a7f6a1c2d3e"`,
		`<input type="hidden" name="csrf_token" value="tok-1">`,
		`<input type="checkbox" id="account_0" name="account" value="acc-1" checked>`, `<label for="account_0">`,
		`<input type="checkbox" id="account_1" name="account" value="acc-2" checked>`, `<label for="account_1">`,
		`type="submit" id="submit_button" name="decision" value="approve"`,
		`type="submit" id="cancel_button" name="decision" value="cancel"`,
		`with name, sort code and account number`, `Your balances`, `<li>ReadSomethingNew</li>`,
		`Access while you are not using the app`, `20 February 2027, 12:00 UTC`, `Test Bank`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in:\n%s", want, body)
		}
	}
	for _, not := range []string{
		"<script", "http://", "https://", "onclick", "style=",
		"with their type and currency", // ReadAccountsBasic, covered by the detail
	} {
		if strings.Contains(body, not) {
			t.Errorf("%s in:\n%s", not, body)
		}
	}
	if strings.Contains(w.Header().Get("Content-Security-Policy"), "form-action") {
		t.Error("form-action stops the redirect after the form in Chromium")
	}
}

func TestConsentPageVariants(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fapi.ConsentView)
		want   []string
		not    []string
		status int
	}{
		"no accounts": {func(v *fapi.ConsentView) { v.Accounts = nil }, []string{"<h1>Share your data with Budget Owl?</h1>"}, []string{"checkbox", "fieldset"}, 200},
		"open-ended":  {func(v *fapi.ConsentView) { v.ExpiresAt = "" }, []string{"no end date"}, nil, 200},
		"other words": {func(v *fapi.ConsentView) { v.ExpiresAt = "Easter" }, []string{"Access ends on Easter."}, nil, 200},
		"no name":     {func(v *fapi.ConsentView) { v.ClientName = "\u202e \n" }, []string{"an app without a name"}, nil, 200},
		"no language": {func(v *fapi.ConsentView) { v.Locale = "../../etc/passwd" }, []string{`lang="en"`}, nil, 200},
		"scopes only": {func(v *fapi.ConsentView) { v.Permissions = nil }, []string{"Your accounts, balances and transactions"}, nil, 200},
		"nothing":     {func(v *fapi.ConsentView) { v.Permissions, v.Scopes = nil, []string{"openid"} }, []string{"Only that you are a customer of Test Bank."}, nil, 200},
		"a problem":   {func(v *fapi.ConsentView) { v.Problem = "no_account" }, []string{`role="alert"`, "Choose at least one account"}, nil, 422},
		"no problem":  {func(v *fapi.ConsentView) { v.Problem = "of the unknown kind" }, nil, []string{`role="alert"`}, 200},
		"both directions of transactions": {
			func(v *fapi.ConsentView) {
				v.Permissions = []string{"ReadTransactionsDetail", "ReadTransactionsCredits", "ReadTransactionsDebits"}
			},
			[]string{"Your transactions, with who paid"}, []string{"money in", "money out"}, 200},
		"one direction": {
			func(v *fapi.ConsentView) {
				v.Permissions = []string{"ReadTransactionsDetail", "ReadTransactionsCredits"}
			},
			[]string{"paid money in"}, []string{"money out"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			v := view()
			c.change(&v)
			w, body := consent(t, v)
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
			for _, want := range c.want {
				if !strings.Contains(body, want) {
					t.Errorf("no %q in:\n%s", want, body)
				}
			}
			for _, not := range c.not {
				if strings.Contains(body, not) {
					t.Errorf("%q in:\n%s", not, body)
				}
			}
		})
	}
}

// hostile is what a registration may hold as a name.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='x`, `</title><script>1</script>`,
	`{{.Token}}`, "Acme\u202Eknab", "Acme\r\nSet-Cookie: a=b", "\u2066Bank\u2069", strings.Repeat("very long ", 50),
	"\xff\xfe", "a\x00b", "&lt;script&gt;", "javascript:alert(1)", "{bank}", "Acme\u200b\u2060\ufeff", "\U000E0041tags",
}

func TestHostileNames(t *testing.T) {
	for _, name := range hostile {
		v := view()
		v.ClientName, v.Permissions, v.Token, v.Action = name, []string{name}, name, "/consent/1"
		v.Accounts[0] = fapi.Account{ID: name, Name: name, Number: name, Currency: name}
		v.ExpiresAt = name
		w, body := consent(t, v)
		if w.Code != 200 {
			t.Errorf("%q: status %d", name, w.Code)
		}
		inert(t, name, body)
		for _, r := range "\u202a\u202b\u202d\u202e\u2066\u2067\u200b\u2060" {
			if strings.ContainsRune(visibleText(body), r) {
				t.Errorf("%q: %U reached the text", name, r)
			}
		}
		if h1 := regexp.MustCompile(`(?s)<h1>(.*?)</h1>`).FindStringSubmatch(body); len(h1) < 2 || len([]rune(html.UnescapeString(h1[1]))) > 140 {
			t.Errorf("%q: heading %q", name, h1)
		}
	}
}

// visibleText leaves out what accounts carry: it comes from the bank.
func visibleText(body string) string {
	return regexp.MustCompile(`(?s)<fieldset.*</fieldset>|<input[^>]*>`).ReplaceAllString(body, "")
}

// inert checks that no element or attribute came from outside.
func inert(t *testing.T, what, body string) {
	t.Helper()
	for _, tag := range regexp.MustCompile(`<(\w+)`).FindAllStringSubmatch(body, -1) {
		if tag[1] == "img" || tag[1] == "b" || tag[1] == "iframe" {
			t.Errorf("%q: element %s", what, tag[1])
		}
	}
	if n := strings.Count(body, "<script"); n > strings.Count(body, "<script nonce=") {
		t.Errorf("%q: a script without nonce", what)
	}
	if regexp.MustCompile(`(?i)<[^>]*\son\w+\s*=`).MatchString(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(body, `""`)) {
		t.Errorf("%q: an event handler", what)
	}
}

func TestErrorPage(t *testing.T) {
	for status, heading := range map[int]string{
		400: "This authorization request was refused", 403: "This authorization request was refused",
		404: "There is nothing at this address", 500: "Something went wrong on our side", 503: "Something went wrong on our side",
	} {
		var out strings.Builder
		log, err := obs.NewLogger(&out, "info")
		if err != nil {
			t.Fatal(err)
		}
		ctx, event := obs.Begin(context.Background(), "r-1")
		w := httptest.NewRecorder()
		w.Header().Set("X-Request-ID", "6f1d0a52-9a5e-4c0e-8f0b-0a7f6a1c2d3e")
		e := fapi.InvalidRequest("the redirect_uri is not registered").Because(errors.New("inner cause"))
		pages(t).Error(w, httptest.NewRequest("GET", "/?state=evil", nil).WithContext(ctx), status, e)
		log.Emit(event)
		body := w.Body.String()
		for _, want := range []string{`<h1 id="error_marker">` + heading, "invalid_request", "the redirect_uri is not registered", "6f1d0a52-9a5e"} {
			if !strings.Contains(body, want) {
				t.Errorf("%d: no %q in:\n%s", status, want, body)
			}
		}
		if status < 404 && !strings.Contains(body, "authorization request was refused") {
			t.Errorf("%d: the marker words are missing", status)
		}
		if w.Code != status || strings.Contains(body, "inner cause") || strings.Contains(body, "evil") {
			t.Errorf("%d: status %d:\n%s", status, w.Code, body)
		}
		if status == 503 && w.Header().Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
		if !strings.Contains(out.String(), "inner cause") || !strings.Contains(out.String(), `"error":"invalid_request"`) {
			t.Errorf("the cause is not in the event: %s", out.String())
		}
	}
}

func formPost(t *testing.T, redirectURI string, params map[string]string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	w := httptest.NewRecorder()
	pages(t).FormPost(w, httptest.NewRequest("POST", "/consent/1", nil), redirectURI, params)
	return w, w.Body.String()
}

// FP-01.
func TestFormPost(t *testing.T) {
	w, body := formPost(t, "https://tpp.example/cb;v=1,2?dummy1=lorem&dummy2=ipsum", map[string]string{"code": "c-1", "state": `s"><x>`, "iss": publicURL})
	for _, want := range []string{
		`<form method="post" action="https://tpp.example/cb;v=1,2?dummy1=lorem&amp;dummy2=ipsum">`,
		`<input type="hidden" name="code" value="c-1">`, `<input type="hidden" name="state" value="s&#34;&gt;&lt;x&gt;">`,
		`<button class="primary" type="submit">`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in:\n%s", want, body)
		}
	}
	if w.Header().Get("Cache-Control") != "no-store" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Errorf("headers %v", w.Header())
	}
	csp := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(csp, "form-action https://tpp.example/cb%3Bv=1%2C2;") {
		t.Errorf("policy %q", csp)
	}
	nonce := regexp.MustCompile(`script-src 'nonce-([^']+)'`).FindStringSubmatch(csp)
	if len(nonce) < 2 || !strings.Contains(html.UnescapeString(body), `<script nonce="`+nonce[1]+`">`) {
		t.Errorf("nonce of %q is not the script's:\n%s", csp, body)
	}
	if raw, err := base64.StdEncoding.DecodeString(nonce[1]); err != nil || len(raw) < 16 {
		t.Errorf("nonce %q", nonce[1])
	}
	again, _ := formPost(t, "https://tpp.example/cb", nil)
	if strings.Contains(again.Header().Get("Content-Security-Policy"), nonce[1]) {
		t.Error("the nonce is the same twice")
	}
}

// Attack 38 and what a redirect URI must never be, registered or not.
func TestFormPostTargets(t *testing.T) {
	for uri, source := range map[string]string{
		"https://tpp.example/cb":      "https://tpp.example/cb;",
		"https://tpp.example":         "https://tpp.example;",
		"https://127.0.0.1:9446/cb":   "https://127.0.0.1:9446/cb;",
		"http://127.0.0.1:5000/cb":    "http://127.0.0.1:5000/cb;",
		"com.example.app:/cb":         "com.example.app:;",
		"https://tpp.example/a'b":     "https://tpp.example/a%27b;",
		"javascript:alert(1)":         "",
		"data:text/html,x":            "",
		"vbscript:x":                  "",
		"//tpp.example/cb":            "",
		"/cb":                         "",
		"":                            "",
		"https:///cb":                 "",
		"https://u:p@tpp.example/cb":  "",
		"https://tpp.example /cb":     "",
		"https://tpp.example\r\nX: y": "",
	} {
		w, body := formPost(t, uri, map[string]string{"code": "c-1"})
		csp := w.Header().Get("Content-Security-Policy")
		if source == "" {
			if w.Code != 400 || strings.Contains(body, "c-1") || !strings.Contains(body, "error_marker") {
				t.Errorf("%q: %d %s", uri, w.Code, body)
			}
			continue
		}
		if w.Code != 200 || !strings.Contains(csp, "form-action "+source) || strings.Contains(body, "ZgotmplZ") {
			t.Errorf("%q: %d %q", uri, w.Code, csp)
		}
	}
}

func FuzzFormPost(f *testing.F) {
	f.Add("https://tpp.example/cb?x=1", "state", `"><script>`)
	f.Add("https://tpp.example/;script-src *", "a", "b")
	f.Add("com.app:/x", "\u2028", "\x00")
	p, err := web.NewPages(web.PagesConfig{Issuer: issuer(), Brand: web.Brand{Name: "B", Accent: "#000000"}}, web.PagesDeps{Rand: rand.Reader})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, uri, name, value string) {
		w := httptest.NewRecorder()
		p.FormPost(w, httptest.NewRequest("POST", "/consent/1", nil), uri, map[string]string{name: value})
		body := w.Body.String()
		inert(t, uri+name+value, body)
		csp := w.Header().Get("Content-Security-Policy")
		if strings.ContainsAny(csp, "\r\n") || strings.Count(csp, ";") != strings.Count(csp, "; ") || strings.Count(csp, ";") > 6 {
			t.Errorf("%q made the policy %q", uri, csp)
		}
	})
}

func TestWithoutRandomnessNoFormPost(t *testing.T) {
	p, err := web.NewPages(web.PagesConfig{Issuer: issuer(), Brand: web.Brand{Name: "B", Accent: "#000000"}}, web.PagesDeps{Rand: noRandomness{}})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.FormPost(w, httptest.NewRequest("POST", "/", nil), "https://tpp.example/cb", map[string]string{"code": "c-1"})
	if w.Code != 500 || strings.Contains(w.Body.String(), "c-1") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestBrands(t *testing.T) {
	png, svg := []byte("\x89PNG\r\n\x1a\nrest"), []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`)
	for name, c := range map[string]struct {
		brand web.Brand
		ok    bool
	}{
		"plain":          {web.Brand{Name: "Bank", Accent: "#0b6e4f"}, true},
		"png":            {web.Brand{Name: "Bank", Accent: "#0b6e4f", Logo: png}, true},
		"svg":            {web.Brand{Name: "Bank", Accent: "#FFFFFF", Logo: svg}, true},
		"no name":        {web.Brand{Accent: "#0b6e4f"}, false},
		"two lines":      {web.Brand{Name: "Bank\nof", Accent: "#0b6e4f"}, false},
		"no colour":      {web.Brand{Name: "Bank"}, false},
		"injected style": {web.Brand{Name: "Bank", Accent: "#0b6e4f;}*{display:none"}, false},
		"html as logo":   {web.Brand{Name: "Bank", Accent: "#0b6e4f", Logo: []byte("<html>")}, false},
	} {
		_, err := web.NewPages(web.PagesConfig{Issuer: issuer(), Brand: c.brand}, web.PagesDeps{Rand: noRandomness{}})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := web.NewPages(web.PagesConfig{Issuer: issuer(), Brand: web.Brand{Name: "B", Accent: "#000000"}}, web.PagesDeps{}); err == nil {
		t.Error("no randomness was accepted")
	}
}

func TestLogoAndStylesheet(t *testing.T) {
	cfg := config(t)
	p, err := web.NewPages(web.PagesConfig{Issuer: issuer(), Brand: web.Brand{Name: "Bank", Accent: "#ffee00", Logo: []byte("<svg/>")}},
		web.PagesDeps{Rand: noRandomness{}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Sites[0].Pages = p
	h := start(t, cfg)
	res, body := h.ask(h.public(), "GET", publicURL+"/assets/logo", "")
	if res.Header.Get("Content-Type") != "image/svg+xml" || body != "<svg/>" {
		t.Errorf("%v %s", res.Header, body)
	}
	_, body = h.ask(h.public(), "GET", publicURL+"/assets/style.css", "")
	if !strings.HasPrefix(body, ":root{--accent:#ffee00;--on-accent:#000}") {
		t.Errorf("%.80s", body)
	}
	_, body = h.ask(h.public(), "GET", publicURL+"/nothing", "")
	if !strings.Contains(body, `<img class="logo" src="/assets/logo" alt="Bank">`) {
		t.Errorf("no logo in:\n%s", body)
	}
	if res, _ := h.ask(h.mtls(), "GET", mtlsURL+"/assets/style.css", ""); res.StatusCode != 404 {
		t.Errorf("the stylesheet on the mutual TLS listener: %d", res.StatusCode)
	}
}

// Every language has every text, and templates ask for no other.
func TestTexts(t *testing.T) {
	read := func(name string) map[string]string {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	en := read("texts/en.json")
	files, err := filepath.Glob("texts/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for key := range en {
			if _, ok := read(f)[key]; !ok {
				t.Errorf("%s lacks %s", f, key)
			}
		}
	}
	templates, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range templates {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.T "([^"]+)"`).FindAllStringSubmatch(string(raw), -1) {
			if _, ok := en[m[1]]; !ok {
				t.Errorf("%s asks for %s", f, m[1])
			}
		}
	}
}
