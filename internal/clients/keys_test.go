package clients_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/fetch"
)

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
					if !errors.Is(other, tc.want) && errors.Is(err, other) {
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
