package resource_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/resourcetest"
)

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// revocations is a feed that says what the test wants.
type revocations struct {
	age     func() (time.Duration, bool)
	revoked func(*resource.Token) bool
}

func (r revocations) Age() (time.Duration, bool)     { return r.age() }
func (r revocations) Revoked(t *resource.Token) bool { return r.revoked(t) }

func nothingRevoked() revocations {
	return revocations{age: func() (time.Duration, bool) { return 0, true },
		revoked: func(*resource.Token) bool { return false }}
}

// world is an issuer, a TPP with a certificate, and a verifier.
type world struct {
	clock    *clock
	issuer   *resourcetest.Issuer
	tpp      *certtest.Leaf
	verifier *resource.Verifier
}

func newWorld(t testing.TB, r resource.Revocations, edit func(*resource.Config)) *world {
	t.Helper()
	c := newClock()
	w := &world{clock: c, issuer: resourcetest.Start(t, c.Now)}
	w.tpp = w.issuer.ClientCertificate("tpp")
	fetch, err := resource.NewFetcher(w.issuer.CA.Pool(), w.issuer.Host())
	must(t, err)
	cfg := resource.DefaultConfig(w.issuer.URL, resourcetest.Audience)
	if edit != nil {
		edit(&cfg)
	}
	w.verifier, err = resource.New(cfg, resource.Deps{Fetch: fetch, Revocations: r, Now: c.Now})
	must(t, err)
	return w
}

// verify presents a token with the TPP's certificate.
func (w *world) verify(t testing.TB, token string) (*resource.Token, error) {
	t.Helper()
	return w.verifier.Verify(t.Context(), resource.Request{Authorization: []string{"Bearer " + token},
		Peer: w.tpp.Cert, Method: http.MethodGet})
}

// refused demands an *Error of the status and code.
func refused(t testing.TB, err error, status int, code string) {
	t.Helper()
	var e *resource.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want a *resource.Error with status %d", err, status)
	}
	if e.Status != status || e.Code != code {
		t.Fatalf("refused with %d %q (%v), want %d %q", e.Status, e.Code, err, status, code)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("after %v still not: %s", within, what)
		case <-again.C:
		}
	}
}
