package browser_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/procura/procura/internal/sandbox/browser"
)

const formPage = `<!doctype html><title> A  form </title>
<style>p { color: red }</style><script>alert("never seen")</script>
<form action="/other"><input id="elsewhere" name="elsewhere" value="x"><button id="wrong">no</button></form>
<form method="post" action="/done?q=1">
<input type="hidden" name="token" value="a&amp;b">
<input id="username" name="username">
<input type="checkbox" id="account_0" name="accounts" value="one" checked>
<input type="checkbox" id="account_1" name="accounts" value="two">
<input id="nameless" value="never sent">
<button id="submit_button" name="action" value="yes">Yes</button>
<button id="cancel_button" name="action" value="no">No</button>
</form>`

func site(t *testing.T) (*browser.Browser, string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "__Host-a", Value: "1", Path: "/", Secure: true})
		http.Redirect(w, r, "/form", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /form", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("__Host-a"); err != nil {
			t.Errorf("the cookie did not come back: %v", err)
		}
		fmt.Fprint(w, formPage)
	})
	mux.HandleFunc("POST /done", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "https://"+r.Host || r.Header.Get("Sec-Fetch-Site") != "same-origin" {
			t.Errorf("origin %q, site %q", r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site"))
		}
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		http.Redirect(w, r, "https://home.example/back?"+r.Form.Encode(), http.StatusSeeOther)
	})
	mux.HandleFunc("GET /loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("GET /plain", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+"/form", http.StatusFound)
	})
	mux.HandleFunc("GET /repeat", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/form", http.StatusTemporaryRedirect)
	})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	b, err := browser.New(browser.Config{Roots: roots, Home: func(u *url.URL) bool { return u.Host == "home.example" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b, server.URL
}

func TestFormLikeABrowser(t *testing.T) {
	b, base := site(t)
	p, err := b.Open(t.Context(), base+"/")
	if err != nil {
		t.Fatal(err)
	}
	if p.Title != "A  form" || strings.Contains(p.Text, "never seen") || strings.Contains(p.Text, "color") {
		t.Errorf("title %q, text %q", p.Title, p.Text)
	}
	if got := p.Boxes(); !slices.Equal(got, []string{"account_0", "account_1"}) {
		t.Errorf("boxes %v", got)
	}
	for _, err := range []error{p.Fill("username", "alice"), p.Tick("account_0", false), p.Tick("account_1", true)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err = b.Submit(t.Context(), p, "cancel_button")
	if err != nil {
		t.Fatal(err)
	}
	want := "accounts=two&action=no&q=1&token=a%26b&username=alice"
	if !p.Home || p.URL.RawQuery != want {
		t.Errorf("came back with %s, want %s", p.URL.RawQuery, want)
	}
	if got := b.Trail(); len(got) != 4 || got[3] != "GET https://home.example/back" {
		t.Errorf("trail %v", got)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	b, base := site(t)
	p, err := b.Open(t.Context(), base+"/")
	if err != nil {
		t.Fatal(err)
	}
	if p.Fill("password", "x") == nil || p.Tick("username", true) == nil || p.Has("error_marker") || !p.Has("submit_button") {
		t.Error("found what is not on the page")
	}
	if _, err := b.Submit(t.Context(), p, "no_button"); err == nil {
		t.Error("pressed a button that is not there")
	}
}

func TestJourneysWithoutEnd(t *testing.T) {
	for path, want := range map[string]string{"/loop": "no end", "/plain": "not https", "/repeat": "would repeat"} {
		t.Run(path, func(t *testing.T) {
			b, base := site(t)
			if _, err := b.Open(t.Context(), base+path); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}
