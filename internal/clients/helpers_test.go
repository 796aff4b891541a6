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
		jwk, err := jose.PublicJWK(kid, jose.UseSig, jose.ES256, key.Public())
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
