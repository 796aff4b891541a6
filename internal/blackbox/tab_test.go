package blackbox_test

import (
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// tab is a browser whose every byte is the test's: for attackers who forge what a
// browser would send. It follows redirects on the server and the bank's login, and
// nowhere else.
type tab struct {
	client *http.Client
	halt   string // a redirect to an address that begins so is not followed
}

// sheet is what a tab shows, with where it is.
type sheet struct {
	*reply
	tab  *tab
	at   *url.URL
	text string
}

func newTab(t testing.TB, r *rig) *tab {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &tab{client: r.client(nil)}
	b.client.Jar = jar
	t.Cleanup(b.client.CloseIdleConnections)
	return b
}

// get opens an address; post sends a form with more headers in pairs.
func (b *tab) get(t testing.TB, address string) *sheet {
	t.Helper()
	return b.do(t, http.MethodGet, address, "")
}

func (b *tab) do(t testing.TB, method, address, body string, headers ...string) *sheet {
	t.Helper()
	for range 10 {
		req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		a := send(t, b.client, req)
		next, err := req.URL.Parse(a.header.Get("Location"))
		if a.status/100 != 3 {
			return &sheet{a, b, req.URL, string(a.raw)}
		}
		if a.status != http.StatusSeeOther {
			t.Errorf("%s redirects with %d", req.URL.Path, a.status)
		}
		if err != nil || next.Hostname() == clientHost || b.halt != "" && strings.HasPrefix(next.String(), b.halt) {
			return &sheet{a, b, next, ""}
		}
		method, address, body, headers = http.MethodGet, next.String(), "", nil
	}
	t.Fatal("there is no end of redirects")
	return nil
}

var (
	hidden = regexp.MustCompile(`name="(csrf_token|login_challenge)" value="([^"]*)"`)
	action = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
)

// form returns where the page's form goes and its hidden member.
func (s *sheet) form(t testing.TB) (string, url.Values) {
	t.Helper()
	secret := hidden.FindStringSubmatch(s.text)
	if secret == nil {
		t.Fatalf("no form at %s (%d): %s", s.at.Path, s.status, s.text)
	}
	to := s.at
	if at := action.FindStringSubmatch(s.text); at != nil {
		var err error
		if to, err = s.at.Parse(html.UnescapeString(at[1])); err != nil {
			t.Fatal(err)
		}
	}
	return to.String(), url.Values{secret[1]: {html.UnescapeString(secret[2])}}
}

// consent takes a request through the login as the first customer and stops at the
// consent page.
func (b *tab) consent(t testing.TB, r *request) *sheet {
	t.Helper()
	address, refused := r.entry(t)
	if refused != nil {
		t.Fatal(refused)
	}
	return b.get(t, address).login(t, 0)
}

// login fills in the bank's login page, if that is what is shown.
func (s *sheet) login(t testing.TB, psu int) *sheet {
	t.Helper()
	if !strings.Contains(s.text, `id="password"`) {
		return s
	}
	to, form := s.form(t)
	who := house.PSUs[psu]
	form = merged(form, url.Values{"username": {who.Username}, "password": {who.Password}, "action": {"login"}})
	return s.tab.do(t, http.MethodPost, to, form.Encode(), "Origin", s.at.Scheme+"://"+s.at.Host)
}

// press decides on the consent page.
func (s *sheet) press(t testing.TB, decision string) *sheet {
	t.Helper()
	to, form := s.form(t)
	form.Set("decision", decision)
	return s.tab.do(t, http.MethodPost, to, form.Encode(), "Origin", s.at.Scheme+"://"+s.at.Host)
}
