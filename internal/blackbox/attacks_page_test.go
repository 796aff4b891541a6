package blackbox_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestAttack67HostileName(t *testing.T) {
	attack(t, 67, "markup and direction marks in a client's name are shown as letters, or not at all")
	p := who(t, special(67, "name"))
	tab := newTab(t, house)
	address, _ := viaValue.request(t, p).entry(t)
	login := tab.get(t, address)
	for place, page := range map[string]*sheet{"login": login, "consent": login.login(t, 0)} {
		if strings.Contains(page.text, "<script>") || strings.Contains(page.text, "<img src=x") || !strings.Contains(page.text, "&lt;script&gt;") {
			t.Errorf("the %s page holds the name as it is", place)
		}
	}
	if page := tab.consent(t, viaValue.request(t, p)); strings.ContainsAny(page.text, "\u202e\u2066\u200f") {
		t.Error("the consent page lets a name turn the text around")
	}
}

func TestAttack70Framing(t *testing.T) {
	a := attack(t, 70, "frame-ancestors 'none' and X-Frame-Options DENY on every page and every answer")
	tab := newTab(t, house)
	address, _ := viaValue.request(t, a.victim).entry(t)
	login := tab.get(t, address)
	consent := login.login(t, 0)
	refused := tab.get(t, house.meta.Authorize+"?client_id=nobody")
	home := consent.press(t, "approve")
	for name, page := range map[string]*sheet{"login": login, "consent": consent, "refusal": refused, "answer": home, "keys": tab.get(t, house.meta.JWKS)} {
		policy := page.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "frame-ancestors 'none'") || page.header.Get("X-Frame-Options") != "DENY" || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %s, %s", name, policy, page.header.Get("X-Frame-Options"))
		}
	}
}

func TestAttack71ForgedDecision(t *testing.T) {
	a := attack(t, 71, "403 for a decision without the page's token, with another page's, from another browser or site; a page for a decision that was made before")
	victim, mallory := newTab(t, house), newTab(t, house)
	page := victim.consent(t, viaValue.request(t, a.victim))
	theirs := mallory.consent(t, viaValue.request(t, a.mallory))
	to, form := page.form(t)
	_, foreign := theirs.form(t)
	before, beforeM := left(t, a.victim), left(t, a.mallory)
	yes := url.Values{"decision": {"approve"}}
	for name, token := range map[string]url.Values{"none": {}, "empty": {"csrf_token": {""}}, "another page's": foreign, "cut": {"csrf_token": {form.Get("csrf_token")[1:]}}} {
		if got := victim.do(t, http.MethodPost, to, merged(token, yes).Encode()); got.status != http.StatusForbidden || !strings.Contains(got.text, "error_marker") {
			t.Errorf("token %s: %d", name, got.status)
		}
	}
	for name, got := range map[string]*sheet{
		"another browser": mallory.do(t, http.MethodPost, to, merged(form, yes).Encode()),
		"no browser":      newTab(t, house).do(t, http.MethodPost, to, merged(form, yes).Encode()),
	} {
		if got.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	victim.get(t, to+"?decision=approve&csrf_token="+form.Get("csrf_token")) // decides nothing
	nothingLeft(t, a.victim, before)
	nothingLeft(t, a.mallory, beforeM)
	loginFromElsewhere(t, a.victim)

	done := page.press(t, "approve") // the page itself is still good
	if done.at.Hostname() != clientHost {
		t.Fatalf("the true decision leads to %s", done.at)
	}
	before = left(t, a.victim)
	for _, decision := range []string{"approve", "cancel"} {
		if again := victim.do(t, http.MethodPost, to, merged(form, url.Values{"decision": {decision}}).Encode()); again.status != http.StatusBadRequest {
			t.Errorf("%s again: %d", decision, again.status)
		}
	}
	nothingLeft(t, a.victim, before)
}

// loginFromElsewhere posts a login form from a page of another site: nobody is
// logged in behind their back.
func loginFromElsewhere(t *testing.T, p *party) {
	t.Helper()
	bank := newTab(t, house)
	address, _ := viaValue.request(t, p).entry(t)
	to, form := bank.get(t, address).form(t)
	form = merged(form, url.Values{"username": {house.PSUs[0].Username}, "password": {house.PSUs[0].Password}})
	if got := bank.do(t, http.MethodPost, to, form.Encode(), "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden {
		t.Errorf("a login from another site: %d", got.status)
	}
}

func TestAttack72Fixation(t *testing.T) {
	a := attack(t, 72, "cookies are __Host-, Secure, HttpOnly, SameSite=Lax; what an attacker planted is not what the login session has")
	address, _ := viaValue.request(t, a.victim).entry(t)
	tab := newTab(t, house)
	tab.halt = loginURL(t)
	planted := &http.Cookie{Name: "__Host-procura", Value: "planted-by-an-attacker", Path: "/", Secure: true}
	issuer, bank := mustURL(t, house.Issuer), mustURL(t, loginURL(t))
	tab.client.Jar.SetCookies(issuer, []*http.Cookie{planted})
	first := tab.get(t, address)
	checkCookie(t, first.header, planted.Value)

	tab.halt = ""
	session := &http.Cookie{Name: "__Host-demo-bank", Value: rand.Text() + rand.Text(), Path: "/", Secure: true}
	tab.client.Jar.SetCookies(bank, []*http.Cookie{session})
	login := tab.get(t, first.at.String())
	tab.halt = house.Issuer // stop at the answer of the login
	checkCookie(t, login.login(t, 0).header, session.Value)
	for _, c := range tab.client.Jar.Cookies(bank) {
		if c.Value == session.Value {
			t.Errorf("the bank kept the planted %s", c.Name)
		}
	}
	renewedAtLogin(t, viaValue.request(t, a.victim), issuer)
}

// renewedAtLogin plants a cookie of the server's own form, which is taken over:
// after the login it must be worth nothing.
func renewedAtLogin(t *testing.T, r *request, issuer *url.URL) {
	t.Helper()
	address, _ := r.entry(t)
	tab := newTab(t, house)
	planted := &http.Cookie{Name: "__Host-procura", Value: strings.Repeat("p", 43), Path: "/", Secure: true}
	tab.client.Jar.SetCookies(issuer, []*http.Cookie{planted})
	tab.get(t, address).login(t, 0)
	held := ""
	for _, c := range tab.client.Jar.Cookies(issuer) { // the bank's too: cookies ignore ports
		if c.Name == planted.Name {
			held = c.Value
		}
	}
	if held == "" || held == planted.Value {
		t.Errorf("after the login the browser holds %q", held)
	}
}

func checkCookie(t *testing.T, header http.Header, planted string) {
	t.Helper()
	cookies := (&http.Response{Header: header}).Cookies()
	if len(cookies) == 0 {
		t.Error("no cookie was set")
	}
	for _, c := range cookies {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" || c.Path != "/" {
			t.Errorf("cookie %s", c)
		}
		if c.Value == planted || len(c.Value) < 43 {
			t.Errorf("%s is %q", c.Name, c.Value)
		}
	}
}

// loginURL is where the bank's login application is.
func loginURL(t testing.TB) string {
	t.Helper()
	tab := newTab(t, house)
	address, _ := viaValue.request(t, who(t, "a72-mallory")).entry(t)
	at := tab.get(t, address).at
	return at.Scheme + "://" + at.Host + at.Path
}

func mustURL(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAttack73OtherBrowser(t *testing.T) {
	a := attack(t, 73, "403 for another browser's consent page, and for another browser's answer of the login; the owner goes on")
	owner := newTab(t, house)
	owner.halt = house.Issuer + "/login/callback"
	address, _ := viaValue.request(t, a.victim).entry(t)
	back := owner.get(t, address).login(t, 0)
	if !strings.HasPrefix(back.at.String(), owner.halt) {
		t.Fatalf("the login leads to %s", back.at)
	}
	before := left(t, a.victim)
	for _, thief := range []*tab{newTab(t, house), a.thief(t)} {
		if got := thief.get(t, back.at.String()); got.status != http.StatusForbidden {
			t.Errorf("another browser brings the login's answer: %d", got.status)
		}
	}
	owner.halt = ""
	page := owner.get(t, back.at.String())
	for _, thief := range []*tab{newTab(t, house), a.thief(t)} {
		if got := thief.get(t, page.at.String()); got.status != http.StatusForbidden || strings.Contains(got.text, "csrf_token") {
			t.Errorf("another browser opens the consent page: %d", got.status)
		}
	}
	if got := owner.get(t, back.at.String()); got.status != http.StatusBadRequest { // an answer of the login is good once
		t.Errorf("the login's answer again: %d", got.status)
	}
	nothingLeft(t, a.victim, before)
	if done := page.press(t, "approve"); done.at.Hostname() != clientHost {
		t.Errorf("the owner's decision leads to %s", done.at)
	}
}

// thief is a browser with an interaction, and so with a cookie, of its own.
func (a assault) thief(t *testing.T) *tab {
	t.Helper()
	tab := newTab(t, house)
	tab.consent(t, viaValue.request(t, a.mallory))
	return tab
}
