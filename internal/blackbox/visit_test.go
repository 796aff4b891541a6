package blackbox_test

import (
	"net/url"
	"testing"

	"github.com/procura/procura/internal/sandbox/browser"
)

// customer is what somebody does at the pages that come.
type customer struct {
	psu      int    // which of the bank's customers
	decision string // the button of the consent page
	leaves   bool   // looks at the login page and closes the tab
}

var (
	agree  = customer{decision: "submit_button"}
	refuse = customer{decision: "cancel_button"}
	glance = customer{leaves: true}
)

// visitor is one customer's browser; it is known at the bank after its first visit.
type visitor struct {
	*browser.Browser
	psu int
}

// visitor takes a browser of the first customer from the pool, or a new one.
func (r *rig) visitor(t testing.TB, psu int) *visitor {
	t.Helper()
	if psu == 0 {
		select {
		case v := <-r.customers:
			return v
		default:
		}
	}
	b, err := browser.New(browser.Config{Roots: r.roots, Home: func(u *url.URL) bool { return u.Hostname() == clientHost }})
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{b, psu}
}

// release puts a browser back.
func (r *rig) release(v *visitor) {
	if v.psu == 0 {
		select {
		case r.customers <- v:
			return
		default:
		}
	}
	v.Close()
}

// open opens an address and does what the customer does until the browser is back
// at the client, or nothing more can be done.
func (r *request) open(t testing.TB, address string, c customer) *outcome {
	t.Helper()
	v := house.visitor(t, c.psu)
	defer house.release(v)
	return r.walk(t, v, address, c)
}

func (r *request) walk(t testing.TB, v *visitor, address string, c customer) *outcome {
	t.Helper()
	page, err := v.Open(t.Context(), address)
	for range 4 {
		switch {
		case err != nil:
			t.Fatal(err)
		case page.Home:
			return r.read(t, page.URL)
		case page.Has("error_marker"):
			return pageOutcome(t, page)
		case c.leaves:
			return &outcome{where: "left"}
		case page.Has("password"):
			login(t, page, c.psu)
			page, err = v.Submit(t.Context(), page, "submit_button")
		case page.Has(c.decision):
			page, err = v.Submit(t.Context(), page, c.decision)
		default:
			t.Fatalf("nothing to do on page %q: %s", page.Title, page.Text)
		}
	}
	t.Fatal("there is no end of pages")
	return nil
}

func login(t testing.TB, page *browser.Page, psu int) {
	t.Helper()
	who := house.PSUs[psu]
	for id, value := range map[string]string{"username": who.Username, "password": who.Password} {
		if err := page.Fill(id, value); err != nil {
			t.Fatal(err)
		}
	}
}
