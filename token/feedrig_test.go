package token_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/token"
)

// feedRig serves the feed of a hub that looks every few milliseconds.
type feedRig struct {
	*rig
	hub     *token.Hub
	stopHub context.CancelFunc
}

func newFeedRig(t *testing.T, edit func(*token.FeedConfig)) *feedRig {
	t.Helper()
	r := &feedRig{rig: newRig(t)}
	var err error
	r.hub, err = token.NewHub(token.HubConfig{Issuer: issuer.URL, Interval: 5 * time.Millisecond, Overlap: overlap},
		token.HubDeps{Store: r.store, Now: r.clock.Now, Rand: rand.Reader, Failed: func(error) {}})
	must(t, err)
	cfg := token.DefaultFeedConfig()
	cfg.Heartbeat = 10 * time.Millisecond
	if edit != nil {
		edit(&cfg)
	}
	feed, err := token.NewFeed(cfg, token.FeedDeps{Clients: r.auth, Hub: r.hub, Now: r.clock.Now})
	must(t, err)
	r.serve(feed)
	return r
}

// run starts the hub and waits until it knows everything.
func (r *feedRig) run() {
	r.t.Helper()
	first := r.store.commit(fapi.ChangeKeys, issuer.URL, false, r.clock.Now())
	ctx, stop := context.WithCancel(r.t.Context())
	r.stopHub = stop
	var done sync.WaitGroup
	done.Go(func() { r.hub.Run(ctx) })
	r.t.Cleanup(func() { stop(); done.Wait() })
	known, enough := context.WithTimeout(ctx, patient)
	defer enough()
	r.hub.Subscribe(known, func(_ context.Context, c fapi.Change) {
		if c.ID == first.ID {
			enough()
		}
	})
}

// line is one line of the stream.
type line struct {
	ID, Kind, Value string
	Revoked, Synced bool
	At, Exp         int64
}

// stream is an open stream.
type stream struct {
	t    *testing.T
	body io.Closer
	in   *bufio.Scanner
}

func (r *feedRig) open() *stream {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patient)
	r.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.mtls.URL+"/revocations?client_id="+bank, nil)
	must(r.t, err)
	req.Header.Set("Accept", "application/x-ndjson")
	res, err := r.as(bank).Do(req)
	must(r.t, err)
	r.t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/x-ndjson" {
		r.t.Fatalf("got %d, %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	return &stream{t: r.t, body: res.Body, in: bufio.NewScanner(res.Body)}
}

// until reads up to the first line that satisfies want and returns all of them.
func (s *stream) until(want func(line) bool) []line {
	s.t.Helper()
	var read []line
	for s.in.Scan() {
		var l line
		must(s.t, json.Unmarshal(s.in.Bytes(), &l))
		if read = append(read, l); want(l) {
			return read
		}
	}
	s.t.Fatalf("the stream ended with %v after %v", s.in.Err(), read)
	return nil
}

func isSynced(l line) bool    { return l.Synced }
func isHeartbeat(l line) bool { return !l.Synced && l.ID == "" }

// values are what the entries among lines speak of.
func values(lines []line) []string {
	var out []string
	for _, l := range lines {
		if l.ID != "" {
			out = append(out, l.Kind+" "+l.Value)
		}
	}
	return out
}
