package resource

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// FeedConfig says where revocations come from and what may be spent on them.
// NewFeed refuses zero values; DefaultFeedConfig fills in the usual ones.
type FeedConfig struct {
	URL      string // {mtls_base}/revocations
	ClientID string // this resource server's own, at the issuer
	// MaxEntries bounds memory. When more are alive the feed is closed and every
	// token is refused, because a forgotten revocation would be a hole.
	MaxEntries int
	// Stall is how long the issuer may be silent before the connection is given
	// up; it says something every second.
	Stall time.Duration
	// PollWait is how long a poll waits at the issuer, where streams do not pass.
	PollWait time.Duration
	// MinBackoff and MaxBackoff bound the pause before the next connection.
	MinBackoff, MaxBackoff time.Duration
}

// DefaultFeedConfig is a FeedConfig with the usual limits. They are ours.
func DefaultFeedConfig(url, clientID string) FeedConfig {
	return FeedConfig{URL: url, ClientID: clientID, MaxEntries: 200_000, Stall: 4 * time.Second,
		PollWait: 2 * time.Second, MinBackoff: 100 * time.Millisecond, MaxBackoff: 2 * time.Second}
}

// FeedDeps are what a Feed works with; all are required.
type FeedDeps struct {
	// Client speaks to the issuer over mutual TLS; see NewClient.
	Client *http.Client
	Now    func() time.Time
	// Report hears why a connection ended, for a log.
	Report func(err error)
}

// FeedState is what an operator wants to know.
type FeedState struct {
	Synced  bool          // the picture is complete
	Age     time.Duration // since the issuer was last heard with a complete picture
	Entries int
	Polling bool // streams do not pass
}

// Feed reads the issuer's revocations for as long as Run runs. It prefers a
// stream of lines (application/x-ndjson), over which a revocation arrives as soon
// as it is committed, and polls where only whole answers pass. Entries carry ids:
// what was heard already is dropped. It is safe for concurrent use.
type Feed struct {
	cfg  FeedConfig
	deps FeedDeps
	base *url.URL
	set  *revocationSet

	mu      sync.Mutex
	heard   time.Time // zero: no complete picture
	swept   time.Time
	polling bool
}

// NewFeed returns a Feed that nobody reads yet: see Run.
func NewFeed(cfg FeedConfig, deps FeedDeps) (*Feed, error) {
	base, err := url.Parse(cfg.URL)
	switch {
	case err != nil || !isHTTPS(cfg.URL) || base.RawQuery != "":
		return nil, errors.New("configuring the revocation feed: the URL must be https and without query")
	case cfg.ClientID == "":
		return nil, errors.New("configuring the revocation feed: the client id is missing")
	case cfg.MaxEntries <= 0 || cfg.Stall <= 0 || cfg.PollWait < time.Second || cfg.MinBackoff <= 0 || cfg.MaxBackoff < cfg.MinBackoff:
		return nil, errors.New("configuring the revocation feed: limits must be positive, and PollWait a second or more")
	case deps.Client == nil || deps.Now == nil || deps.Report == nil:
		return nil, errors.New("the revocation feed needs Client, Now and Report")
	}
	return &Feed{cfg: cfg, deps: deps, base: base, set: newRevocationSet(cfg.MaxEntries)}, nil
}

// Age implements Revocations.
func (f *Feed) Age() (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.heard.IsZero() {
		return 0, false
	}
	return f.deps.Now().Sub(f.heard), true
}

// Revoked implements Revocations.
func (f *Feed) Revoked(t *Token) bool { return f.set.ends(t) }

// State describes the feed.
func (f *Feed) State() FeedState {
	age, synced := f.Age()
	f.mu.Lock()
	defer f.mu.Unlock()
	return FeedState{Synced: synced, Age: age, Entries: f.set.size(), Polling: f.polling}
}

// Run reads until ctx ends and returns its error. Connections that end are
// reported and made again after a pause that grows, with jitter, so that a
// restarted issuer is not stormed.
func (f *Feed) Run(ctx context.Context) error {
	stalls, failures := 0, 0
	for ctx.Err() == nil {
		progress, err := f.session(ctx)
		if ctx.Err() != nil {
			break
		}
		f.deps.Report(err)
		if stalls++; progress || !errors.Is(err, errStalled) {
			stalls = 0
		}
		if failures++; progress {
			failures = 0
		}
		f.choose(err, stalls)
		if err := pause(ctx, f.backoff(failures)); err != nil {
			break
		}
	}
	return fmt.Errorf("reading revocations: %w", ctx.Err())
}

// stallsToPoll is after how many streams in a row on which nothing arrived the
// feed takes it that something between holds streams back.
const stallsToPoll = 2

// choose decides between stream and poll for the next session. A poll that fails
// goes back to streaming: what was in the way may be gone.
func (f *Feed) choose(err error, stalls int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.polling = !f.polling && (errors.Is(err, errNoStream) || stalls >= stallsToPoll)
	if errors.Is(err, errFull) {
		f.heard = time.Time{}
	}
}

func (f *Feed) backoff(failures int) time.Duration {
	limit := f.cfg.MinBackoff << min(failures, 10)
	limit = min(limit, f.cfg.MaxBackoff)
	return limit/2 + rand.N(limit/2+1)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// session reads over one connection, or a row of polls, until something fails;
// progress tells whether the picture was complete at any time in between.
func (f *Feed) session(ctx context.Context) (progress bool, err error) {
	f.mu.Lock()
	polling := f.polling
	f.mu.Unlock()
	if polling {
		return f.poll(ctx)
	}
	return f.stream(ctx)
}

// sweepEvery is how often expired entries are looked for.
const sweepEvery = time.Minute

// hear notes that the picture is complete as of now.
func (f *Feed) hear() {
	now := f.deps.Now()
	f.mu.Lock()
	f.heard = now
	due := now.Sub(f.swept) >= sweepEvery
	if due {
		f.swept = now
	}
	f.mu.Unlock()
	if due {
		f.set.expire(now)
	}
}
