package browsertest_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// A customer who changes their mind on either page goes back to the third party
// with access_denied (RFC 6749 §4.1.2.1).
func TestCancel(t *testing.T) {
	for _, place := range []string{"login", "consent"} {
		t.Run(place, func(t *testing.T) {
			b := openTab(t)
			address, state := party.request(t, "code id_token", "")
			b.do(chromedp.Navigate(address), chromedp.WaitVisible(chromedp.ID("username")))
			if place == "consent" {
				b.login(house.World.PSUs[0].Password, "submit_button")
				b.do(chromedp.WaitVisible(chromedp.ID("account_0")))
			}
			b.do(chromedp.Click(chromedp.ID("cancel_button")), chromedp.WaitVisible(chromedp.ID("submission_complete")))
			got := b.answer(modes[0], state)
			if got.Get("error") != "access_denied" || got.Get("state") != state || got.Has("code") || got.Has("id_token") {
				t.Errorf("error %q, code %t, id_token %t", got.Get("error"), got.Has("code"), got.Has("id_token"))
			}
			if bad := b.complaints(); len(bad) > 0 {
				t.Errorf("the browser complains: %v", bad)
			}
		})
	}
}

// A wrong password costs nothing but another try.
func TestWrongPassword(t *testing.T) {
	b := openTab(t)
	address, _ := party.request(t, "code id_token", "")
	b.do(chromedp.Navigate(address))
	b.login("wrong", "submit_button")
	b.do(chromedp.WaitVisible(chromedp.ID("wrong_password")))
	b.login(house.World.PSUs[0].Password, "submit_button")
	b.do(chromedp.WaitVisible(chromedp.ID("account_0")))
}

// Without an account there is nothing to agree to: the page says so and stays.
func TestNoAccount(t *testing.T) {
	b := openTab(t)
	address, _ := party.request(t, "code id_token", "")
	b.do(chromedp.Navigate(address))
	b.login(house.World.PSUs[0].Password, "submit_button")
	b.do(chromedp.WaitVisible(chromedp.ID("account_0")))
	for _, id := range eval[[]string](b, `[...document.querySelectorAll("input[type=checkbox]")].map(e => e.id)`) {
		b.do(chromedp.Click(chromedp.CSS(`label[for="` + id + `"]`)))
	}
	b.do(chromedp.Click(chromedp.ID("submit_button")), chromedp.WaitVisible(chromedp.ID("problem")))
	b.shoot("problem")
}

// The back button after a finished journey gives no second answer.
func TestBackButton(t *testing.T) {
	b := openTab(t)
	address, _ := party.request(t, "code id_token", "")
	b.do(chromedp.Navigate(address))
	b.login(house.World.PSUs[0].Password, "submit_button")
	b.do(chromedp.WaitVisible(chromedp.ID("account_0")))
	consent := b.location().String()
	b.do(chromedp.Click(chromedp.ID("submit_button")), chromedp.WaitVisible(chromedp.ID("submission_complete")),
		chromedp.Navigate(consent), chromedp.WaitVisible(chromedp.ID("error_marker")))
	b.shoot("over")
}

// Neither page shows in somebody else's frame, where a customer could be made to
// click on what they do not see (RFC 6749 §10.13). The browser's complaint also
// shows that the other tests would hear one.
func TestFraming(t *testing.T) {
	for _, place := range []string{"login", "consent"} {
		t.Run(place, func(t *testing.T) {
			b := openTab(t)
			address, _ := party.request(t, "code id_token", "")
			b.do(chromedp.Navigate(address), chromedp.WaitVisible(chromedp.ID("username")))
			if place == "consent" {
				b.login(house.World.PSUs[0].Password, "submit_button")
				b.do(chromedp.WaitVisible(chromedp.ID("account_0")))
			}
			victim := b.location().String()
			b.do(chromedp.Navigate(party.world.TPPBase+"/frame?"+url.Values{"src": {victim}}.Encode()),
				chromedp.WaitVisible(chromedp.ID("bait")))
			if bad := strings.Join(b.complaints(), "\n"); !strings.Contains(bad, "frame-ancestors") && !strings.Contains(bad, "X-Frame-Options") {
				t.Errorf("the browser did not refuse the frame: %q", bad)
			}
		})
	}
}
