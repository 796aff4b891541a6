package keys_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/keys"
)

const (
	issuer      = "https://bank.example"
	retireAfter = time.Hour
)

// memory is the store by the rules of the real one: one key per slot in next and
// current, an insert of several is all or nothing.
type memory struct {
	mu      sync.Mutex
	rows    []fapi.SigningKey
	secrets map[string][]byte
	fail    error
}

func (m *memory) ReadKeys(_ context.Context, issuer string) ([]fapi.SigningKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []fapi.SigningKey
	for _, k := range m.rows {
		if k.Issuer == issuer {
			out = append(out, k)
		}
	}
	return out, m.fail
}

func (m *memory) InsertKeys(_ context.Context, _ string, add []fapi.SigningKey, _ string, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.insert(add)
}

func (m *memory) insert(add []fapi.SigningKey) error {
	for _, k := range add {
		if slices.ContainsFunc(m.rows, func(o fapi.SigningKey) bool {
			return o.State != fapi.KeyRetired && o.Issuer == k.Issuer && o.Use == k.Use && o.Alg == k.Alg && o.State == k.State
		}) {
			return fapi.ErrConflict
		}
	}
	m.rows = append(m.rows, add...)
	return m.fail
}

func (m *memory) RotateKeys(_ context.Context, issuer string, add []fapi.SigningKey, retireAt, _ time.Time, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.rows {
		switch k := &m.rows[i]; {
		case k.Issuer != issuer:
		case k.State == fapi.KeyCurrent:
			k.State, k.RetireAt = fapi.KeyRetired, retireAt
		case k.State == fapi.KeyNext:
			k.State = fapi.KeyCurrent
		}
	}
	return m.insert(add)
}

func (m *memory) EnsureIssuer(_ context.Context, issuer string, sealed []byte, _ time.Time) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.secrets[issuer] == nil {
		m.secrets[issuer] = sealed
	}
	return bytes.Clone(m.secrets[issuer]), m.fail
}

// filled is a store that a ring has opened: making RSA keys is slow, so tests
// work on copies.
var filled = sync.OnceValue(func() *memory {
	m := &memory{secrets: map[string][]byte{}}
	ring, err := keys.New(config(), keys.Deps{Store: m, Now: newClock().now, Rand: rand.Reader})
	if err == nil {
		err = ring.Open(context.Background(), "test")
	}
	if err != nil {
		panic(err)
	}
	return m
})

func copyStore() *memory {
	m := filled()
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{rows: slices.Clone(m.rows), secrets: map[string][]byte{issuer: m.secrets[issuer]}}
}

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Unix(1_800_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func config() keys.Config {
	return keys.Config{Issuer: issuer, KEK: bytes.Repeat([]byte{0xA7}, 32), RetireAfter: retireAfter}
}

func newRing(t testing.TB, store keys.Store, c *clock) *keys.Ring {
	t.Helper()
	ring, err := keys.New(config(), keys.Deps{Store: store, Now: c.now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func openRing(t testing.TB, store keys.Store, c *clock) *keys.Ring {
	t.Helper()
	ring := newRing(t, store, c)
	if err := ring.Open(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	return ring
}
