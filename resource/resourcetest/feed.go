package resourcetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// FeedMode is how the feed behaves.
type FeedMode int

// Modes of the feed.
const (
	Streams  FeedMode = iota // as it should be
	NoStream                 // answers polls alone: a stream is asked for in vain
	HoldsAll                 // like a proxy that buffers: nothing arrives until the end
	Frozen                   // alive, but knows nothing newer
	Down                     // 503
	Unsynced                 // heartbeats, but never the mark that all was told
)

// heartbeat is quicker than the real one: tests wait for it.
const heartbeat = 20 * time.Millisecond

// Feed serves GET /revocations. Its clock is a counter that moves with every
// heartbeat: readers compare its times only with each other.
type Feed struct {
	Streams, Polls atomic.Int64 // requests seen
	Beats          atomic.Int64 // heartbeats sent

	mu      sync.Mutex
	mode    FeedMode
	entries []json.RawMessage
	changed chan struct{}
	clock   int64
	drop    chan struct{}
	done    chan struct{}
	close   sync.Once
}

func newFeed() *Feed {
	return &Feed{changed: make(chan struct{}), drop: make(chan struct{}), done: make(chan struct{}), clock: 1_000_000}
}

// Close ends every stream for good.
func (f *Feed) Close() { f.close.Do(func() { close(f.done) }) }

// Set changes the mode, for streams that run too.
func (f *Feed) Set(mode FeedMode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mode = mode
}

// Drop ends the streams that run.
func (f *Feed) Drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.drop)
	f.drop = make(chan struct{})
}

// Revoke adds an entry that lives until exp and returns its id.
func (f *Feed) Revoke(kind, value string, exp time.Time) string {
	f.mu.Lock()
	id := fmt.Sprintf("entry-%d", len(f.entries)+1)
	f.mu.Unlock()
	f.Add(fmt.Sprintf(`{"id":%q,"kind":%q,"value":%q,"revoked":true,"at":1,"exp":%d}`, id, kind, value, exp.Unix()))
	return id
}

// Add adds a line as it is.
func (f *Feed) Add(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries = append(f.entries, json.RawMessage(line))
	close(f.changed)
	f.changed = make(chan struct{})
}

// ServeHTTP implements http.Handler.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	streams := strings.Contains(r.Header.Get("Accept"), "application/x-ndjson")
	if streams {
		f.Streams.Add(1)
	} else {
		f.Polls.Add(1)
	}
	_, _, mode := f.state(0)
	switch {
	case r.URL.Query().Get("client_id") != ServerID || len(r.TLS.PeerCertificates) == 0:
		http.Error(w, "who is this", http.StatusUnauthorized)
	case mode == Down:
		http.Error(w, "down", http.StatusServiceUnavailable)
	case streams && mode != NoStream:
		f.stream(w, r)
	default:
		f.poll(w, r)
	}
}

// state returns the entries from n on, what to wait for, and the mode.
func (f *Feed) state(n int) ([]json.RawMessage, chan struct{}, FeedMode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.entries[min(n, len(f.entries)):], f.changed, f.mode
}

func (f *Feed) tick() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mode != Frozen {
		f.clock++
	}
	return f.clock
}

func (f *Feed) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := http.NewResponseController(w)
	f.mu.Lock()
	drop := f.drop
	f.mu.Unlock()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	_, _, mode := f.state(0)
	for sent, tail := 0, fmt.Sprintf(`{"synced":%t,"at":%d}`, mode != Unsynced, f.tick()); ; tail = fmt.Sprintf(`{"at":%d}`, f.tick()) {
		fresh, changed, mode := f.state(sent)
		for _, line := range fresh {
			fmt.Fprintf(w, "%s\n", line)
		}
		sent += len(fresh)
		fmt.Fprintf(w, "%s\n", tail)
		if mode != HoldsAll && out.Flush() != nil {
			return
		}
		f.Beats.Add(1)
		select {
		case <-beat.C:
		case <-changed:
		case <-drop:
			return
		case <-f.done:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (f *Feed) poll(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	wait, _ := strconv.Atoi(r.URL.Query().Get("wait"))
	fresh, changed, _ := f.state(from)
	if len(fresh) == 0 && r.URL.Query().Has("cursor") {
		select {
		case <-changed:
		case <-f.done:
		case <-r.Context().Done():
		case <-time.After(time.Duration(wait) * time.Second):
		}
		fresh, _, _ = f.state(from)
	}
	writeJSON(w, map[string]any{"changes": append([]json.RawMessage{}, fresh...),
		"cursor": strconv.Itoa(from + len(fresh)), "at": f.tick()})
}
