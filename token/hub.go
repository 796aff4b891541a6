package token

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/procura/procura/internal/fapi"
)

// ChangeStore reads the feed's table: entries created at since or later that have
// not expired at now, oldest first.
type ChangeStore interface {
	ChangesSince(ctx context.Context, issuer string, since, now time.Time) ([]fapi.Change, error)
}

// HubConfig says whose changes are watched, and how. Interval is how often the
// database is asked. Overlap is how far each look reaches back behind the one
// before: how late a commit, and how wrong another server's clock, may be.
type HubConfig struct {
	Issuer   string
	Interval time.Duration
	Overlap  time.Duration
}

// HubDeps are what a hub needs of others. Failed is told about each look at the
// database that failed.
type HubDeps struct {
	Store  ChangeStore
	Now    func() time.Time
	Rand   io.Reader
	Failed func(error)
}

// Hub learns what ended, in this process and in others, and passes it on: to
// resource servers through Feed, to this process through Subscribe.
//
// Entries are stamped by the clock of whoever commits them, and a commit may
// come late, so a number or a time alone would let one slip through. Each look
// therefore reaches back by the overlap, and ids that are known are dropped. What
// is known is kept until it expires, when no look returns it any more: memory is
// bounded by the changes of one access token life. Within the process each entry
// gets a number in the order of its arrival; readers hold a number and nothing
// else, so that a slow one holds up nobody. Every few overlaps the hub looks at
// everything again: what came later than the overlap allows is late, not lost.
type Hub struct {
	cfg  HubConfig
	deps HubDeps
	name string // of this hub in cursors
	wake chan struct{}
	done chan struct{} // closed when Run ends

	mu    sync.Mutex
	log   []arrival           // ascending by number, replaced when pruned, never changed
	known map[string]struct{} // ids in log
	last  uint64              // number of the latest arrival
	asOf  time.Time           // start of the latest look that succeeded; zero before
	looks uint64              // how many succeeded
	next  chan struct{}       // closed at the next arrival, and at the first look
	whole time.Time           // start of the latest look at everything
}

// arrival is a change with its number.
type arrival struct {
	number uint64
	change fapi.Change
}

// batch is what a reader gets: everything after its number, the number it has
// then, as of when and after how many looks that is everything, and what closes
// when there is more.
type batch struct {
	changes []fapi.Change
	last    uint64
	asOf    time.Time
	looks   uint64
	more    <-chan struct{}
}

// NewHub refuses missing parts and an overlap that is not longer than the interval.
func NewHub(cfg HubConfig, deps HubDeps) (*Hub, error) {
	switch {
	case cfg.Issuer == "" || deps.Store == nil || deps.Now == nil || deps.Rand == nil || deps.Failed == nil:
		return nil, errors.New("change hub: Issuer, Store, Now, Rand and Failed are all needed")
	case cfg.Interval <= 0 || cfg.Overlap <= cfg.Interval:
		return nil, errors.New("change hub: Overlap must be longer than Interval, and both positive")
	}
	name, err := fapi.NewSecret(deps.Rand, 12)
	if err != nil {
		return nil, fmt.Errorf("naming a change hub: %w", err)
	}
	return &Hub{cfg: cfg, deps: deps, name: name.Reveal(), wake: make(chan struct{}, 1),
		done: make(chan struct{}), known: map[string]struct{}{}, next: make(chan struct{})}, nil
}

// Run watches until ctx ends; then the streams of Feed end too. It runs once.
func (h *Hub) Run(ctx context.Context) {
	defer close(h.done)
	ticker := time.NewTicker(h.cfg.Interval)
	defer ticker.Stop()
	for {
		if err := h.look(ctx); err != nil && ctx.Err() == nil {
			h.deps.Failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-h.wake:
		}
	}
}

// Wake makes the hub look at once: something was committed in this process. It
// never blocks.
func (h *Hub) Wake() {
	select {
	case h.wake <- struct{}{}:
	default: // a look is due anyway
	}
}

// Subscribe calls act with every change of any kind, one after the other, until
// ctx ends; it begins with those that have not expired. It blocks: give it a
// goroutine. A slow act delays nobody else.
func (h *Hub) Subscribe(ctx context.Context, act func(context.Context, fapi.Change)) {
	var number uint64
	for {
		b := h.after(number)
		for _, c := range b.changes {
			if ctx.Err() != nil {
				return
			}
			act(ctx, c)
		}
		number = b.last
		select {
		case <-ctx.Done():
			return
		case <-b.more:
		}
	}
}

// wholeEvery is how many overlaps lie between two looks at everything.
const wholeEvery = 4

// look asks the database once. It reaches back behind the last look that
// succeeded, not behind the last: an outage loses nothing.
func (h *Hub) look(ctx context.Context) error {
	now := h.deps.Now()
	since := h.since(now)
	changes, err := h.deps.Store.ChangesSince(ctx, h.cfg.Issuer, since, now)
	if err != nil {
		return fmt.Errorf("reading changes: %w", err)
	}
	h.take(changes, since.IsZero(), now)
	return nil
}

// since is where the next look begins; zero is at everything.
func (h *Hub) since(now time.Time) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asOf.IsZero() || now.Sub(h.whole) >= wholeEvery*h.cfg.Overlap {
		return time.Time{}
	}
	return h.asOf.Add(-h.cfg.Overlap)
}

func (h *Hub) take(changes []fapi.Change, whole bool, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if whole {
		h.prune(now)
	}
	news := h.asOf.IsZero()
	for _, c := range changes {
		if _, seen := h.known[c.ID]; seen {
			continue
		}
		h.last++
		h.known[c.ID] = struct{}{}
		h.log = append(h.log, arrival{h.last, c})
		news = true
	}
	h.asOf = now
	h.looks++
	if news {
		close(h.next)
		h.next = make(chan struct{})
	}
}

// prune forgets what has expired. Readers may hold the old slice: it stays as it is.
func (h *Hub) prune(now time.Time) {
	kept := make([]arrival, 0, len(h.log))
	for _, a := range h.log {
		if now.Before(a.change.ExpiresAt) {
			kept = append(kept, a)
		} else {
			delete(h.known, a.change.ID)
		}
	}
	h.log, h.whole = kept, now
}

// after returns what arrived after number.
func (h *Hub) after(number uint64) batch {
	h.mu.Lock()
	defer h.mu.Unlock()
	from, _ := slices.BinarySearchFunc(h.log, number+1, func(a arrival, n uint64) int {
		return cmp.Compare(a.number, n)
	})
	b := batch{last: h.last, asOf: h.asOf, looks: h.looks, more: h.next}
	for _, a := range h.log[from:] {
		b.changes = append(b.changes, a.change)
	}
	return b
}
