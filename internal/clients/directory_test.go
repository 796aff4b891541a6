package clients_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
)

func TestNewRefusesZeroValues(t *testing.T) {
	w := &world{clock: newClock()}
	good := clients.Config{Issuer: issuer, MaxEntries: 1, TTL: 1}
	deps := clients.Deps{Read: w.read, Fetch: w.fetch, Now: w.Now}
	for name, try := range map[string]struct {
		cfg  clients.Config
		deps clients.Deps
	}{
		"no issuer":  {clients.Config{MaxEntries: 1, TTL: 1}, deps},
		"no size":    {clients.Config{Issuer: issuer, TTL: 1}, deps},
		"no TTL":     {clients.Config{Issuer: issuer, MaxEntries: 1}, deps},
		"no reader":  {good, clients.Deps{Fetch: w.fetch, Now: w.Now}},
		"no fetcher": {good, clients.Deps{Read: w.read, Now: w.Now}},
		"no clock":   {good, clients.Deps{Read: w.read, Fetch: w.fetch}},
	} {
		if _, err := clients.New(try.cfg, try.deps); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestFindRemembers(t *testing.T) {
	w, d := newWorld(t)
	first := find(t, d)
	if find(t, d) != first || w.reads.Load() != 1 {
		t.Errorf("%d reads", w.reads.Load())
	}
	if len(first.Rules.SigningAlgs) == 0 {
		t.Error("the rules are not resolved")
	}
	w.Advance(time.Hour)
	find(t, d)
	if w.reads.Load() != 2 {
		t.Errorf("%d reads after the lifetime", w.reads.Load())
	}
}

func TestForget(t *testing.T) {
	w, d := newWorld(t)
	find(t, d)
	w.set(func(w *world) { w.client = &fapi.Client{ID: "tpp", Disabled: true} })
	find(t, d) // not heard of yet
	d.Forget("tpp")
	if _, err := d.Find(context.Background(), "tpp"); !errors.Is(err, fapi.ErrNotFound) {
		t.Errorf("a disabled client: %v", err)
	}
}

// A change that is heard of while the old record is being read wins.
func TestForgetDuringARead(t *testing.T) {
	w, _ := newWorld(t)
	begun, release := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	d, err := clients.New(clients.Config{Issuer: issuer, MaxEntries: 10, TTL: time.Hour}, clients.Deps{
		Read: func(ctx context.Context, iss, id string) (*fapi.Client, error) {
			c, err := w.read(ctx, iss, id)
			if calls.Add(1) == 1 {
				close(begun)
				<-release
			}
			return c, err
		}, Fetch: w.fetch, Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = d.Find(context.Background(), "tpp")
	}()
	<-begun
	w.set(func(w *world) { w.client = nil })
	d.Forget("tpp")
	if _, err := d.Find(context.Background(), "tpp"); !errors.Is(err, fapi.ErrNotFound) {
		t.Errorf("joined the old read: %v", err)
	}
	close(release)
	<-done
	if _, err := d.Find(context.Background(), "tpp"); !errors.Is(err, fapi.ErrNotFound) {
		t.Errorf("the old read was remembered: %v", err)
	}
}

func TestFindUnknown(t *testing.T) {
	ctx := context.Background()
	w, d := newWorld(t)
	unknown := func(id string) {
		t.Helper()
		if _, err := d.Find(ctx, id); !errors.Is(err, fapi.ErrNotFound) {
			t.Errorf("%.20q: %v", id, err)
		}
	}
	unknown("stranger")
	unknown("stranger")
	if w.reads.Load() != 1 {
		t.Errorf("%d reads", w.reads.Load())
	}
	w.set(func(w *world) { w.client.ID = "stranger" }) // imported meanwhile
	w.Advance(time.Second)
	if _, err := d.Find(ctx, "stranger"); err != nil {
		t.Errorf("after a second: %v", err)
	}
	reads := w.reads.Load()
	unknown("")
	unknown(string(make([]byte, 600)))
	if w.reads.Load() != reads {
		t.Error("an impossible identifier was read from the store")
	}
}

// Guesses push out no client, and take a bounded place.
func TestFloodOfUnknown(t *testing.T) {
	w, d := newWorld(t)
	find(t, d)
	for i := range 10000 {
		if _, err := d.Find(context.Background(), fmt.Sprint("guess-", i)); err == nil {
			t.Fatal("found a guess")
		}
	}
	reads := w.reads.Load()
	find(t, d)
	if w.reads.Load() != reads {
		t.Error("the flood pushed out a client")
	}
}

func TestEntriesAreBounded(t *testing.T) {
	var reads atomic.Int32
	w := newClock()
	d, err := clients.New(clients.Config{Issuer: issuer, MaxEntries: 4, TTL: time.Hour}, clients.Deps{
		Read: func(_ context.Context, _, id string) (*fapi.Client, error) {
			reads.Add(1)
			return &fapi.Client{ID: id, Profile: "fapi1-advanced", AuthMethod: fapi.AuthTLSClient}, nil
		},
		Fetch: func(context.Context, string) ([]byte, error) { return nil, errors.New("no") }, Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		if _, err := d.Find(context.Background(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	before := reads.Load()
	for i := range 8 {
		if _, err := d.Find(context.Background(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if again := reads.Load() - before; again < 4 {
		t.Errorf("%d reads: more than 4 clients were remembered", again)
	}
}

// An outage is told apart from an unknown client, and no expired record serves.
func TestFindDuringAnOutage(t *testing.T) {
	w, d := newWorld(t)
	find(t, d)
	w.set(func(w *world) { w.readErr = fmt.Errorf("no connection: %w", fapi.ErrUnavailable) })
	find(t, d)
	w.Advance(time.Hour)
	_, err := d.Find(context.Background(), "tpp")
	if !errors.Is(err, fapi.ErrUnavailable) || errors.Is(err, fapi.ErrNotFound) {
		t.Errorf("error %v", err)
	}
	w.set(func(w *world) { w.readErr = nil })
	find(t, d)
}

// A registration that cannot be used is nobody's, and the error says why.
func TestUnusableRegistrations(t *testing.T) {
	for name, edit := range map[string]func(*fapi.Client){
		"profile":                func(c *fapi.Client) { c.Profile = "basic" },
		"ecosystem":              func(c *fapi.Client) { c.Ecosystem = "moon" },
		"method (F1A-10)":        func(c *fapi.Client) { c.AuthMethod = "client_secret_basic" },
		"public client (F1A-11)": func(c *fapi.Client) { c.AuthMethod = "none" },
		"both key members":       func(c *fapi.Client) { c.JWKS = json.RawMessage(`{"keys":[]}`) },
		"broken jwks":            func(c *fapi.Client) { c.JWKSURI, c.JWKS = "", json.RawMessage(`{"keys":[{}]}`) },
		"disabled":               func(c *fapi.Client) { c.Disabled = true },
	} {
		_, d := newWorld(t, edit)
		if _, err := d.Find(context.Background(), "tpp"); !errors.Is(err, fapi.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The first one who waits may leave: the others still get their answer.
func TestCallersShareOneRead(t *testing.T) {
	w, _ := newWorld(t)
	begun, release := make(chan struct{}), make(chan struct{})
	d, err := clients.New(clients.Config{Issuer: issuer, MaxEntries: 10, TTL: time.Hour}, clients.Deps{
		Read: func(ctx context.Context, iss, id string) (*fapi.Client, error) {
			close(begun)
			<-release
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return w.read(ctx, iss, id)
		}, Fetch: w.fetch, Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan error, 1)
	go func() {
		_, err := d.Find(ctx, "tpp")
		first <- err
	}()
	<-begun
	cancel()
	if err := <-first; !errors.Is(err, fapi.ErrUnavailable) {
		t.Errorf("the one who left: %v", err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := d.Find(context.Background(), "tpp"); err != nil {
				t.Errorf("one who waited: %v", err)
			}
		})
	}
	close(release)
	wg.Wait()
	if w.reads.Load() != 1 {
		t.Errorf("%d reads", w.reads.Load())
	}
}

// OIDC Core 8.1.
func TestSector(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*fapi.Client)
		want string
	}{
		"redirect host": {func(*fapi.Client) {}, "tpp.example.com"},
		"case and port": {func(c *fapi.Client) {
			c.RedirectURIs = []string{"https://TPP.example.com:8443/cb", "https://tpp.EXAMPLE.com/x"}
		}, "tpp.example.com"},
		"sector member":  {func(c *fapi.Client) { c.SectorIdentifier = "https://Group.example.com/uris.json" }, "group.example.com"},
		"several hosts":  {func(c *fapi.Client) { c.RedirectURIs = []string{"https://a.example.com", "https://b.example.com"} }, "client:tpp"},
		"no redirect":    {func(c *fapi.Client) { c.RedirectURIs = nil }, "client:tpp"},
		"app's redirect": {func(c *fapi.Client) { c.RedirectURIs = []string{"com.example.tpp:/cb"} }, "client:tpp"},
	} {
		_, d := newWorld(t, tc.edit)
		if got := find(t, d).Sector(); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
