// Package clients is how the server knows its clients: a bounded cache over the
// stored records, each with the rules of its profile and its keys at hand. A
// client that the operator disabled, or whose registration no rule covers, is
// unknown. What the package does not do is authenticate: see clientauth.
package clients

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/procura/procura/internal/fapi"
)

// Bounds of the cache: ours.
const (
	maxID       = 512 // longer identifiers are nobody's
	maxAbsent   = 4096
	absentLife  = time.Second // a client just imported is found after this at the latest
	readTimeout = 10 * time.Second
)

// Config bounds the cache of one issuer's clients; every member is required.
type Config struct {
	Issuer     string
	MaxEntries int
	TTL        time.Duration // after which a record is read again though no change was heard of
}

// Deps are a Directory's dependencies.
type Deps struct {
	// Read returns a stored client, or an error that wraps fapi.ErrNotFound.
	Read func(ctx context.Context, issuer, id string) (*fapi.Client, error)
	// Fetch gets the document at a client's jwks_uri.
	Fetch func(ctx context.Context, url string) ([]byte, error)
	Now   func() time.Time
}

// Directory finds clients. Safe for concurrent use.
type Directory struct {
	cfg     Config
	deps    Deps
	flights singleflight.Group

	mu      sync.RWMutex
	entries map[string]entry
	absent  map[string]time.Time // until when an identifier is known to be nobody's
	epoch   uint64               // counts Forget: a read begun before one is not remembered
}

type entry struct {
	client *Registered
	until  time.Time
}

// New returns a Directory, or says what is missing.
func New(cfg Config, deps Deps) (*Directory, error) {
	switch {
	case cfg.Issuer == "" || cfg.MaxEntries <= 0 || cfg.TTL <= 0:
		return nil, errors.New("a client directory needs an issuer, a size and a lifetime")
	case deps.Read == nil || deps.Fetch == nil || deps.Now == nil:
		return nil, errors.New("a client directory needs a reader, a fetcher and a clock")
	}
	return &Directory{cfg: cfg, deps: deps, entries: map[string]entry{}, absent: map[string]time.Time{}}, nil
}

// Find returns the client of that identifier. The error wraps fapi.ErrNotFound for
// one that is unknown, disabled or unusable, and fapi.ErrUnavailable when the store
// does not answer: an expired record is not used in its place.
func (d *Directory) Find(ctx context.Context, id string) (*Registered, error) {
	if id == "" || len(id) > maxID {
		return nil, fmt.Errorf("finding client: %w", fapi.ErrNotFound)
	}
	if found, err, known := d.recall(id); known {
		return found, err
	}
	// The flight serves everybody who waits: the first one's leaving ends it for
	// nobody else.
	shared := context.WithoutCancel(ctx)
	flight := d.flights.DoChan(id, func() (any, error) { return d.read(shared, id) })
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("finding client: %w: %w", fapi.ErrUnavailable, ctx.Err())
	case landed := <-flight:
		found, _ := landed.Val.(*Registered)
		return found, landed.Err
	}
}

// Forget makes the next Find read the record again: it was changed or disabled.
// Keys fetched from the client's jwks_uri stay while the URI does.
func (d *Directory) Forget(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch++
	d.flights.Forget(id)
	delete(d.absent, id)
	if e, ok := d.entries[id]; ok {
		d.entries[id] = entry{client: e.client}
	}
}

func (d *Directory) recall(id string) (*Registered, error, bool) {
	now := d.deps.Now()
	d.mu.RLock()
	defer d.mu.RUnlock()
	if e, ok := d.entries[id]; ok && now.Before(e.until) {
		return e.client, nil, true
	}
	if until, ok := d.absent[id]; ok && now.Before(until) {
		return nil, fmt.Errorf("finding client: %w", fapi.ErrNotFound), true
	}
	return nil, nil, false
}

// read asks the store and remembers the answer, unless a change was heard of
// meanwhile.
func (d *Directory) read(ctx context.Context, id string) (*Registered, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	d.mu.RLock()
	epoch, before := d.epoch, d.entries[id].client
	d.mu.RUnlock()

	found, err := d.registered(ctx, id, before)
	switch {
	case err == nil:
		d.remember(id, found, epoch)
	case errors.Is(err, fapi.ErrNotFound):
		d.rememberAbsent(id, epoch)
	}
	return found, err
}

// registered reads the record and resolves it. A registration that cannot be used
// is reported as not found, with the reason for the operator.
func (d *Directory) registered(ctx context.Context, id string, before *Registered) (*Registered, error) {
	c, err := d.deps.Read(ctx, d.cfg.Issuer, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading client: %w", err)
	case c == nil || c.ID != id || c.Disabled:
		return nil, fmt.Errorf("client disabled: %w", fapi.ErrNotFound)
	}
	r, err := d.resolve(c, before)
	if err != nil {
		return nil, fmt.Errorf("registration not usable: %w: %w", fapi.ErrNotFound, err)
	}
	return r, nil
}

func (d *Directory) remember(id string, r *Registered, epoch uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.epoch != epoch {
		return
	}
	if _, ok := d.entries[id]; !ok && len(d.entries) >= d.cfg.MaxEntries {
		for arbitrary := range d.entries {
			delete(d.entries, arbitrary)
			break
		}
	}
	d.entries[id] = entry{client: r, until: d.deps.Now().Add(d.cfg.TTL)}
}

// rememberAbsent keeps strangers' guesses apart from real clients, so that they
// push none out, and drops them all when there are too many.
func (d *Directory) rememberAbsent(id string, epoch uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.epoch != epoch {
		return
	}
	delete(d.entries, id)
	if len(d.absent) >= maxAbsent {
		clear(d.absent)
	}
	d.absent[id] = d.deps.Now().Add(absentLife)
}
