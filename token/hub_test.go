package token_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/token"
)

const (
	overlap = 15 * time.Second
	patient = 10 * time.Second // how long a test waits for what must come
)

// watch is a hub that looks only when it is woken, and what it told.
type watch struct {
	t      *testing.T
	hub    *token.Hub
	told   chan fapi.Change
	failed chan error
	stop   context.CancelFunc
}

func newWatch(t *testing.T, store token.ChangeStore, now func() time.Time) *watch {
	t.Helper()
	w := &watch{t: t, told: make(chan fapi.Change, 1000), failed: make(chan error, 1000)}
	var err error
	w.hub, err = token.NewHub(token.HubConfig{Issuer: issuer.URL, Interval: overlap - 1, Overlap: overlap},
		token.HubDeps{Store: store, Now: now, Rand: rand.Reader, Failed: func(err error) { w.failed <- err }})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	var done sync.WaitGroup
	done.Go(func() { w.hub.Run(ctx) })
	done.Go(func() { w.hub.Subscribe(ctx, func(_ context.Context, c fapi.Change) { w.told <- c }) })
	t.Cleanup(func() { stop(); done.Wait() })
	return w
}

// next fails unless the hub tells exactly these next, in this order.
func (w *watch) next(want ...fapi.Change) {
	w.t.Helper()
	for _, c := range want {
		select {
		case got := <-w.told:
			if got.ID != c.ID {
				w.t.Fatalf("told %s %s, want %s", got.Kind, got.Value, c.Value)
			}
		case <-time.After(patient):
			w.t.Fatalf("%s was never told", c.Value)
		}
	}
}

// after wakes the hub once something was committed, and waits for it.
func (w *watch) after(c fapi.Change) fapi.Change {
	w.t.Helper()
	w.hub.Wake()
	w.next(c)
	return c
}

// Design 1.6: a commit that comes late, within the overlap, is told, and once.
func TestHubTellsLateCommitsOnce(t *testing.T) {
	clock, store := &hands{now: time.Now()}, newLedger()
	start := clock.Now()
	w := newWatch(t, store, clock.Now)
	w.after(store.commit(fapi.ChangeGrant, "in time", true, start))
	clock.Advance(10 * time.Second)
	w.after(store.commit(fapi.ChangeGrant, "now", true, clock.Now()))
	clock.Advance(4 * time.Second)
	w.after(store.commit(fapi.ChangeGrant, "late", true, start.Add(time.Second)))
	w.after(store.commit(fapi.ChangeGrant, "from a fast clock", true, clock.Now().Add(time.Minute)))
	// Every look since has read some of them again: were one told twice, it would
	// stand before the next one.
	for i := range 5 {
		clock.Advance(time.Second)
		w.after(store.commit(fapi.ChangeGrant, fmt.Sprint("more ", i), true, clock.Now()))
	}
}

// What is later than the overlap allows is found by the next look at everything.
func TestHubFindsWhatIsTooLate(t *testing.T) {
	clock, store := &hands{now: time.Now()}, newLedger()
	w := newWatch(t, store, clock.Now)
	w.after(store.commit(fapi.ChangeGrant, "first", true, clock.Now()))
	clock.Advance(40 * time.Second)
	w.after(store.commit(fapi.ChangeGrant, "second", true, clock.Now()))
	lost := store.commit(fapi.ChangeGrant, "very late", true, clock.Now().Add(-35*time.Second))
	w.after(store.commit(fapi.ChangeGrant, "third", true, clock.Now()))
	clock.Advance(30 * time.Second)
	w.after(lost)
}

func TestHubLosesNothingInAnOutage(t *testing.T) {
	clock, store := &hands{now: time.Now()}, newLedger()
	w := newWatch(t, store, clock.Now)
	w.after(store.commit(fapi.ChangeGrant, "before", true, clock.Now()))
	store.cut(true)
	var during []fapi.Change
	for i := range 3 {
		during = append(during, store.commit(fapi.ChangeConsent, fmt.Sprint("during ", i), true, clock.Now()))
		clock.Advance(20 * time.Second)
		w.hub.Wake()
		select {
		case <-w.failed:
		case <-time.After(patient):
			t.Fatal("nobody was told of the outage")
		}
	}
	store.cut(false)
	w.hub.Wake()
	w.next(during...)
}

func TestTwoHubsTellTheSame(t *testing.T) {
	clock, store := &hands{now: time.Now()}, newLedger()
	one, two := newWatch(t, store, clock.Now), newWatch(t, store, clock.Now)
	for i := range 5 {
		c := store.commit(fapi.ChangeToken, fmt.Sprint(i), true, clock.Now())
		one.after(c)
		two.after(c)
	}
}

// Subscribers hear of every kind, from the beginning; what has expired is gone.
func TestHubSubscribersHearEverythingAlive(t *testing.T) {
	clock, store := &hands{now: time.Now()}, newLedger()
	w := newWatch(t, store, clock.Now)
	w.after(store.commit(fapi.ChangeClient, "changed", false, clock.Now()))
	w.after(store.commit(fapi.ChangeKeys, issuer.URL, false, clock.Now()))
	clock.Advance(10*time.Minute + time.Second)
	keys := w.after(store.commit(fapi.ChangeKeys, issuer.URL, false, clock.Now()))

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	late := make(chan fapi.Change, 10)
	go w.hub.Subscribe(ctx, func(_ context.Context, c fapi.Change) { late <- c })
	select {
	case got := <-late:
		if got.ID != keys.ID {
			t.Errorf("a new subscriber hears of %s first, which has expired", got.Value)
		}
	case <-time.After(patient):
		t.Fatal("a new subscriber hears nothing")
	}
}

// 8 writers, 8 readers that come at any time: each reader hears each change once.
func TestHubUnderLoad(t *testing.T) {
	store := newLedger()
	w := newWatch(t, store, time.Now)
	const writers, each, readers = 8, 25, 8
	ctx, stop := context.WithTimeout(t.Context(), patient)
	defer stop()
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			heard, mine := map[string]int{}, ctx
			mine, enough := context.WithCancel(mine)
			defer enough()
			w.hub.Subscribe(mine, func(_ context.Context, c fapi.Change) {
				if heard[c.ID]++; heard[c.ID] > 1 {
					t.Errorf("%s was told twice", c.Value)
				}
				if len(heard) == writers*each {
					enough()
				}
			})
			if len(heard) != writers*each {
				t.Errorf("a reader heard %d of %d", len(heard), writers*each)
			}
		})
	}
	for n := range writers {
		all.Go(func() {
			for i := range each {
				store.commit(fapi.ChangeToken, fmt.Sprint(n, i), true, time.Now())
				w.hub.Wake()
			}
		})
	}
	all.Wait()
}

func TestNewHubRefuses(t *testing.T) {
	good := token.HubDeps{Store: newLedger(), Now: time.Now, Rand: rand.Reader, Failed: func(error) {}}
	for name, c := range map[string]struct {
		cfg  token.HubConfig
		deps token.HubDeps
	}{
		"missing parts":     {token.HubConfig{Issuer: "x", Interval: 1, Overlap: 2}, token.HubDeps{}},
		"no issuer":         {token.HubConfig{Interval: 1, Overlap: 2}, good},
		"no interval":       {token.HubConfig{Issuer: "x", Overlap: 2}, good},
		"too short overlap": {token.HubConfig{Issuer: "x", Interval: 2, Overlap: 2}, good},
	} {
		if _, err := token.NewHub(c.cfg, c.deps); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}
