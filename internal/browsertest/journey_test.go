package browsertest_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// mode is one way in which the answer reaches the third party.
type mode struct {
	name, responseType, responseMode string
	jwt                              bool // one parameter, response
}

// modes lists one answer for each part of a redirect that can carry it.
var modes = []mode{
	{"fragment", "code id_token", "", false},
	{"query", "code", "jwt", true},
	{"form_post", "code id_token", "form_post", false},
}

// screen is what the customer looks at.
type screen struct {
	name          string
	width, height int64
	phone         bool
	press         string // how the login form is sent: its button, or the Enter key
}

var screens = []screen{
	{"desktop", 1280, 900, false, "submit_button"},
	{"phone", 360, 740, true, "\r"},
}

// A customer gets from the third party through login, account selection and
// consent back to it, without a word of complaint from the browser: the policies
// let the whole redirect chain through (CSP 3 form-action covers redirects in
// Chromium), and every cookie arrives.
func TestJourney(t *testing.T) {
	for _, s := range screens {
		for _, m := range modes {
			t.Run(s.name+"/"+m.name, func(t *testing.T) { travel(t, s, m) })
		}
	}
}

func travel(t *testing.T, s screen, m mode) {
	b := openTab(t)
	b.set(s)
	address, state := party.request(t, m.responseType, m.responseMode)
	b.do(chromedp.Navigate(address), chromedp.WaitVisible(chromedp.ID("username")))
	b.fits(s)
	b.shoot("login")
	b.login(house.World.PSUs[0].Password, s.press)
	b.do(chromedp.WaitVisible(chromedp.ID("account_0")))
	b.fits(s)
	b.shoot("consent")
	b.do(chromedp.Click(chromedp.CSS(`label[for="account_0"]`))) // the label counts as the box
	if eval[bool](b, `document.getElementById("account_0").checked`) {
		t.Error("a click on the account's name did not untick it")
	}
	b.do(chromedp.Click(chromedp.ID("submit_button")), chromedp.WaitVisible(chromedp.ID("submission_complete")))
	b.cookies()
	checkAnswer(t, m, state, b.answer(m, state))
	if bad := b.complaints(); len(bad) > 0 {
		t.Errorf("the browser complains: %v", bad)
	}
}

func (b *tab) set(s screen) {
	b.t.Helper()
	if s.phone {
		b.do(chromedp.EmulateViewport(s.width, s.height, chromedp.EmulateScale(2), chromedp.EmulateMobile, chromedp.EmulateTouch))
		return
	}
	b.do(chromedp.EmulateViewport(s.width, s.height))
}

// fits checks that a page needs no sideways scrolling and that its controls are
// large enough for a thumb (WCAG 2.2, 2.5.8: 24 px; the pages promise 44).
func (b *tab) fits(s screen) {
	b.t.Helper()
	if wide := eval[int64](b, `document.documentElement.scrollWidth`); wide > s.width {
		b.t.Errorf("%s is %d px wide on a screen of %d", b.where(), wide, s.width)
	}
	small := eval[[]string](b, `[...document.querySelectorAll("button,input:not([type=hidden]):not([type=checkbox]),label[for^=account]")]
		.filter(e => e.getBoundingClientRect().height < 44).map(e => e.id || e.htmlFor)`)
	if len(small) > 0 {
		b.t.Errorf("%s: too small for a thumb: %v", b.where(), small)
	}
}

// cookies checks that everything that the journey left behind belongs to one host
// alone and is out of reach for scripts (RFC 6265bis §4.1.3.2).
func (b *tab) cookies() {
	b.t.Helper()
	c := chromedp.FromContext(b.ctx)
	got, err := chromedp.CallBrowser(b.ctx, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: c.BrowserContextID})
	if err != nil {
		b.t.Fatal(err)
	}
	var names []string
	for _, c := range got.Cookies {
		names = append(names, c.Name)
		if !strings.HasPrefix(c.Name, "__Host-") || !c.HTTPOnly || !c.Secure || c.Path != "/" || strings.HasPrefix(c.Domain, ".") {
			b.t.Errorf("cookie %s: HttpOnly %t, Secure %t, path %s, domain %s", c.Name, c.HTTPOnly, c.Secure, c.Path, c.Domain)
		}
		if c.SameSite != network.CookieSameSiteLax && c.SameSite != network.CookieSameSiteStrict {
			b.t.Errorf("cookie %s: SameSite %q", c.Name, c.SameSite)
		}
	}
	if !slices.Contains(names, "__Host-procura") {
		b.t.Errorf("cookies %v: the server's own is not there", names)
	}
}

// answer reads the authorization response from where the mode puts it.
func (b *tab) answer(m mode, state string) url.Values {
	b.t.Helper()
	at := b.location()
	switch {
	case m.responseMode == "form_post":
		if at.RawQuery != "" || at.Fragment != "" {
			b.t.Error("a posted answer is in the address too")
		}
		return party.posted(state)
	case m.jwt:
		return at.Query()
	}
	values, err := url.ParseQuery(at.Fragment)
	if err != nil {
		b.t.Fatal(err)
	}
	return values
}

func checkAnswer(t *testing.T, m mode, state string, got url.Values) {
	t.Helper()
	if m.jwt {
		if len(got) != 1 || strings.Count(got.Get("response"), ".") != 2 {
			t.Errorf("the answer holds %d parameters, not one signed JWT", len(got))
		}
		return
	}
	if got.Get("state") != state || got.Get("code") == "" || got.Get("id_token") == "" || got.Get("iss") != house.World.Issuer {
		t.Errorf("state, code, id_token or iss is wrong; error %q", got.Get("error"))
	}
}
