package clients

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/fetch"
	"github.com/procura/procura/internal/jose"
)

// Times of the jwks_uri cache: ours.
const (
	// keysAge is after how long a key set is fetched again though it holds the
	// key: a key that the client has withdrawn dies then.
	keysAge = 5 * time.Minute
	// keysInterval is how often a client can make us fetch at most (CA-08,
	// attack 26).
	keysInterval = time.Minute
	// keysRetry is the interval while there is no key set at all.
	keysRetry = 5 * time.Second
	// keysStale is for how long the last good set serves while its host does not.
	keysStale = 24 * time.Hour
	// fetchTimeout ends a fetch whose own bound is longer.
	fetchTimeout = 10 * time.Second
)

// remoteKeys is the key set at one client's jwks_uri.
type remoteKeys struct {
	url    string
	fetch  func(ctx context.Context, url string) ([]byte, error)
	now    func() time.Time
	flight singleflight.Group

	mu        sync.Mutex
	set       *jose.KeySet // the last good one
	fetched   time.Time    // when set was
	attempted time.Time    // when the last fetch began
	loading   bool         // a fetch is under way
	failure   error        // of the last fetch; nil when it went well
}

// demand is what a caller needs of the set.
type demand struct {
	kid   string // "" for none in particular
	fresh bool
}

func (k *remoteKeys) keys(ctx context.Context, want demand) (*jose.KeySet, error) {
	k.mu.Lock()
	due := k.due(want)
	set, err := k.state()
	k.mu.Unlock()
	if !due {
		return set, err
	}
	shared := context.WithoutCancel(ctx)
	flight := k.flight.DoChan("", func() (any, error) {
		k.refresh(shared, want)
		return nil, nil
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for keys: %w: %w", fapi.ErrUnavailable, ctx.Err())
	case <-flight:
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state()
}

// due says whether to fetch, or to wait for the fetch under way. k.mu is held.
func (k *remoteKeys) due(want demand) bool {
	sinceAttempt := k.now().Sub(k.attempted)
	switch {
	case k.satisfies(want):
		return false
	case k.loading, sinceAttempt < 0: // the clock was set back
		return true
	case k.set == nil:
		return sinceAttempt >= keysRetry
	}
	return sinceAttempt >= keysInterval
}

func (k *remoteKeys) satisfies(want demand) bool {
	return k.set != nil && !want.fresh && k.now().Sub(k.fetched) < keysAge &&
		(want.kid == "" || k.set.HasKID(want.kid))
}

// state is the answer as things stand. k.mu is held.
func (k *remoteKeys) state() (*jose.KeySet, error) {
	if k.set != nil && (k.failure == nil || k.now().Sub(k.fetched) < keysStale) {
		return k.set, nil
	}
	return nil, k.failure
}

// refresh fetches once and keeps the outcome. It asks again whether to: between a
// caller's look and its flight another one may have landed.
func (k *remoteKeys) refresh(ctx context.Context, want demand) {
	k.mu.Lock()
	due := k.due(want)
	if due {
		k.attempted, k.loading = k.now(), true
	}
	k.mu.Unlock()
	if !due {
		return
	}
	set, err := k.load(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failure, k.loading = err, false
	if err == nil {
		k.set, k.fetched = set, k.now()
	}
}

// load gets and reads the set. The client's fault and its host's bad hour are told
// apart: the first is answered with invalid_client, the second with 503.
func (k *remoteKeys) load(ctx context.Context) (*jose.KeySet, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	raw, err := k.fetch(ctx, k.url)
	switch {
	case errors.Is(err, fetch.ErrRefused):
		return nil, fmt.Errorf("fetching jwks_uri: %w: %w", ErrNoKeys, err)
	case err != nil:
		return nil, fmt.Errorf("fetching jwks_uri: %w: %w", fapi.ErrUnavailable, err)
	}
	set, err := jose.ParseKeySet(raw)
	if err != nil {
		return nil, fmt.Errorf("reading jwks_uri: %w: %w", ErrNoKeys, err)
	}
	return set, nil
}
