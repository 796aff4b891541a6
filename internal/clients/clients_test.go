package clients_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/fetch"
	"github.com/procura/procura/internal/jose"
)

const (
	issuer = "https://bank.example.com"
	uri    = "https://tpp.example.com/jwks"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is what stands around a directory: a store and the client's host, both
// replaceable while the test runs.
type world struct {
	*clock
	mu      sync.Mutex
	client  *fapi.Client
	readErr error
	reads   atomic.Int32
	host    func(ctx context.Context) ([]byte, error)
	fetches atomic.Int32
}

func (w *world) set(edit func(*world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	edit(w)
}

func (w *world) read(_ context.Context, iss, id string) (*fapi.Client, error) {
	w.reads.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.readErr != nil:
		return nil, w.readErr
	case w.client == nil || id != w.client.ID || iss != issuer:
		return nil, fmt.Errorf("row: %w", fapi.ErrNotFound)
	}
	return w.client, nil
}

func (w *world) fetch(ctx context.Context, url string) ([]byte, error) {
	w.fetches.Add(1)
	w.mu.Lock()
	host := w.host
	w.mu.Unlock()
	if url != uri {
		return nil, errors.New("another URL was asked for")
	}
	return host(ctx)
}

func newWorld(t *testing.T, edit ...func(*fapi.Client)) (*world, *clients.Directory) {
	t.Helper()
	c := &fapi.Client{ID: "tpp", Profile: "fapi1-advanced", AuthMethod: fapi.AuthPrivateKeyJWT, JWKSURI: uri,
		RedirectURIs: []string{"https://tpp.example.com/cb"}}
	for _, e := range edit {
		e(c)
	}
	w := &world{clock: newClock(), client: c}
	d, err := clients.New(clients.Config{Issuer: issuer, MaxEntries: 10, TTL: time.Hour},
		clients.Deps{Read: w.read, Fetch: w.fetch, Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	return w, d
}

func find(t *testing.T, d *clients.Directory) *clients.Registered {
	t.Helper()
	r, err := d.Find(context.Background(), "tpp")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// keySet makes a JWK Set with one fresh key per kid.
func keySet(t *testing.T, kids ...string) []byte {
	t.Helper()
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	doc.Keys = []json.RawMessage{}
	for _, kid := range kids {
		key, err := jose.GenerateKey(jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		jwk, err := jose.PublicJWK(kid, jose.UseSig, jose.ES256, key.(crypto.Signer).Public())
		if err != nil {
			t.Fatal(err)
		}
		doc.Keys = append(doc.Keys, jwk)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func serves(raw []byte) func(*world) {
	return func(w *world) { w.host = func(context.Context) ([]byte, error) { return raw, nil } }
}

func fails(err error) func(*world) {
	return func(w *world) { w.host = func(context.Context) ([]byte, error) { return nil, err } }
}

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
	var once sync.Once
	d, err := clients.New(clients.Config{Issuer: issuer, MaxEntries: 10, TTL: time.Hour}, clients.Deps{
		Read: func(ctx context.Context, iss, id string) (*fapi.Client, error) {
			c, err := w.read(ctx, iss, id)
			once.Do(func() { close(begun); <-release })
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

func TestInlineKeys(t *testing.T) {
	w, d := newWorld(t, func(c *fapi.Client) { c.JWKSURI, c.JWKS = "", keySet(t, "a") })
	r := find(t, d)
	for _, kid := range []string{"", "a", "unknown"} {
		keys, err := r.Keys(context.Background(), kid)
		if err != nil || !keys.HasKID("a") {
			t.Errorf("%q: %v", kid, err)
		}
	}
	if _, err := r.FreshKeys(context.Background()); err != nil || w.fetches.Load() != 0 {
		t.Errorf("%d fetches, %v", w.fetches.Load(), err)
	}
}

func TestNoKeys(t *testing.T) {
	_, d := newWorld(t, func(c *fapi.Client) { c.JWKSURI = "" })
	if _, err := find(t, d).Keys(context.Background(), ""); !errors.Is(err, clients.ErrNoKeys) {
		t.Errorf("error %v", err)
	}
}

// CA-08, attack 26: whatever kid is asked for, the client's host is asked once per
// interval.
func TestFloodOfKIDs(t *testing.T) {
	ctx := context.Background()
	w, d := newWorld(t)
	w.set(serves(keySet(t, "a")))
	r := find(t, d)
	for minute := range 3 {
		for i := range 200 {
			if _, err := r.Keys(ctx, fmt.Sprintf("flood-%d-%d", minute, i)); err != nil {
				t.Fatal(err)
			}
			if _, err := r.FreshKeys(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.fetches.Load(); got != int32(minute+1) {
			t.Fatalf("%d fetches in minute %d", got, minute)
		}
		w.Advance(time.Minute)
	}
}

// A client changes its keys: the new one is found at once, the old one dies.
func TestKeyRotation(t *testing.T) {
	ctx := context.Background()
	w, d := newWorld(t)
	w.set(serves(keySet(t, "old")))
	r := find(t, d)
	if _, err := r.Keys(ctx, "old"); err != nil {
		t.Fatal(err)
	}
	w.set(serves(keySet(t, "new")))
	w.Advance(2 * time.Minute)
	if keys, err := r.Keys(ctx, "old"); err != nil || !keys.HasKID("old") || w.fetches.Load() != 1 {
		t.Errorf("a known kid: %v, %d fetches", err, w.fetches.Load())
	}
	if keys, err := r.Keys(ctx, "new"); err != nil || !keys.HasKID("new") || w.fetches.Load() != 2 {
		t.Errorf("the new kid: %v, %d fetches", err, w.fetches.Load())
	}
	w.set(serves(keySet(t, "newest")))
	w.Advance(5 * time.Minute)
	if keys, err := r.Keys(ctx, "new"); err != nil || keys.HasKID("new") {
		t.Errorf("a withdrawn key after five minutes: %v", err)
	}
}

// The last good set serves while the host fails, for a day, and the host is asked
// once a minute.
func TestLastGoodKeysStay(t *testing.T) {
	ctx := context.Background()
	for name, failing := range map[string]func(*world){
		"no answer":   fails(errors.New("connection refused")),
		"refused":     fails(fmt.Errorf("a redirect: %w", fetch.ErrRefused)),
		"not a set":   serves([]byte(`<html>`)),
		"private key": serves([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`)),
	} {
		t.Run(name, func(t *testing.T) {
			w, d := newWorld(t)
			w.set(serves(keySet(t, "a")))
			r := find(t, d)
			if _, err := r.Keys(ctx, "a"); err != nil {
				t.Fatal(err)
			}
			w.set(failing)
			w.Advance(10 * time.Minute)
			for range 50 {
				if keys, err := r.Keys(ctx, "a"); err != nil || !keys.HasKID("a") {
					t.Fatalf("while the host fails: %v", err)
				}
			}
			if got := w.fetches.Load(); got != 2 {
				t.Errorf("%d fetches", got)
			}
			w.Advance(24 * time.Hour)
			if _, err := r.Keys(ctx, "a"); err == nil {
				t.Error("a set that nobody has confirmed for a day")
			}
			w.set(serves(keySet(t, "a")))
			w.Advance(time.Minute)
			if _, err := r.Keys(ctx, "a"); err != nil {
				t.Errorf("when the host is back: %v", err)
			}
		})
	}
}

// Attack 66: the client's own fault is no outage of ours, and the reverse.
func TestFirstFetchFails(t *testing.T) {
	ctx := context.Background()
	for name, tc := range map[string]struct {
		failing func(*world)
		want    error
	}{
		"no answer": {fails(errors.New("connection refused")), fapi.ErrUnavailable},
		"refused":   {fails(fmt.Errorf("not public: %w", fetch.ErrRefused)), clients.ErrNoKeys},
		"not a set": {serves([]byte(`[]`)), clients.ErrNoKeys},
		"too large": {serves(make([]byte, 100<<10)), clients.ErrNoKeys},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := newWorld(t)
			w.set(tc.failing)
			r := find(t, d)
			for range 10 {
				keys, err := r.Keys(ctx, "a")
				if keys != nil || !errors.Is(err, tc.want) {
					t.Fatalf("%v, %v", keys, err)
				}
				for _, other := range []error{fapi.ErrUnavailable, clients.ErrNoKeys} {
					if other != tc.want && errors.Is(err, other) {
						t.Fatalf("%v is also %v", err, other)
					}
				}
			}
			if got := w.fetches.Load(); got != 1 {
				t.Errorf("%d fetches", got)
			}
			w.set(serves(keySet(t, "a")))
			w.Advance(5 * time.Second)
			if _, err := r.Keys(ctx, "a"); err != nil {
				t.Errorf("five seconds later: %v", err)
			}
		})
	}
}

// Callers who come while the first fetch is under way wait for it; none sees half a
// result, and one of them leaving ends nothing.
func TestCallersShareOneFetch(t *testing.T) {
	w, d := newWorld(t)
	begun, release := make(chan struct{}), make(chan struct{})
	raw := keySet(t, "a")
	w.set(func(w *world) {
		w.host = func(ctx context.Context) ([]byte, error) {
			close(begun)
			<-release
			return raw, ctx.Err()
		}
	})
	r := find(t, d)
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan error, 1)
	go func() {
		_, err := r.Keys(ctx, "a")
		first <- err
	}()
	<-begun
	cancel()
	if err := <-first; !errors.Is(err, fapi.ErrUnavailable) {
		t.Errorf("the one who left: %v", err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			keys, err := r.Keys(context.Background(), "a")
			if err != nil || !keys.HasKID("a") {
				t.Errorf("one who waited: %v", err)
			}
		})
	}
	close(release)
	wg.Wait()
	if got := w.fetches.Load(); got != 1 {
		t.Errorf("%d fetches", got)
	}
}

// Keys outlive the record that they were fetched for, unless the URI changes.
func TestKeysOutliveTheRecord(t *testing.T) {
	ctx := context.Background()
	w, d := newWorld(t)
	w.set(serves(keySet(t, "a")))
	if _, err := find(t, d).Keys(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	w.set(func(w *world) { changed := *w.client; changed.Name = "renamed"; w.client = &changed })
	d.Forget("tpp")
	r := find(t, d)
	if _, err := r.Keys(ctx, "a"); err != nil || r.Name != "renamed" || w.fetches.Load() != 1 {
		t.Errorf("%q, %d fetches, %v", r.Name, w.fetches.Load(), err)
	}
	w.set(func(w *world) {
		changed := *w.client
		changed.JWKSURI, changed.JWKS = "", keySet(t, "b")
		w.client = &changed
	})
	d.Forget("tpp")
	if keys, err := find(t, d).Keys(ctx, "a"); err != nil || keys.HasKID("a") {
		t.Errorf("keys of a withdrawn jwks_uri: %v", err)
	}
}
