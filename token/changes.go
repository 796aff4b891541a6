package token

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/wire"
)

// FeedConfig bounds the feed. Heartbeat is how often a stream says that it is
// alive; StreamLife how long it lasts before the reader has to authenticate
// again; MaxReaders how many streams and polls one client may have open; MaxWait
// how long a poll may ask to wait; MaxAge how old the hub's knowledge may be.
type FeedConfig struct {
	Heartbeat  time.Duration
	StreamLife time.Duration
	MaxWait    time.Duration
	MaxAge     time.Duration
	MaxReaders int
}

// DefaultFeedConfig is what a deployment uses unless it has reasons; the figures
// are ours.
func DefaultFeedConfig() FeedConfig {
	return FeedConfig{Heartbeat: time.Second, StreamLife: 30 * time.Minute, MaxWait: 25 * time.Second,
		MaxAge: 3 * time.Second, MaxReaders: 16}
}

// FeedDeps are what the feed needs of others.
type FeedDeps struct {
	Clients Authenticator
	Hub     *Hub
	Now     func() time.Time
}

// Feed tells resource servers which tokens, grants, consents and clients are
// dead: as a stream of JSON lines, or by long poll. It is for resource servers
// that authenticate by their certificate; it refuses everybody else, and answers
// 503 or falls silent while the hub itself is not up to date, so that readers
// fail closed.
//
// The stream begins with every entry that is alive, then comes
// {"synced":true,"at":T}, then entries as they arrive and {"at":T} every
// heartbeat; T, like at and exp of an entry, is in Unix seconds, and says as of
// when everything was told. A poll answers {"changes":[...],"cursor":"..","at":T}
// at once without cursor or with one of another process, else as soon as there is
// an entry or after wait seconds. Readers drop ids that they know.
type Feed struct {
	cfg  FeedConfig
	deps FeedDeps

	mu      sync.Mutex
	readers map[string]int // open streams and polls by client id
}

// NewFeed refuses missing parts.
func NewFeed(cfg FeedConfig, deps FeedDeps) (*Feed, error) {
	if deps.Clients == nil || deps.Hub == nil || deps.Now == nil {
		return nil, errors.New("change feed: Clients, Hub and Now are all needed")
	}
	if cfg.Heartbeat <= 0 || cfg.StreamLife <= 0 || cfg.MaxWait <= 0 || cfg.MaxAge <= 0 || cfg.MaxReaders <= 0 {
		return nil, errors.New("change feed: Heartbeat, StreamLife, MaxWait, MaxAge and MaxReaders must be positive")
	}
	return &Feed{cfg: cfg, deps: deps, readers: map[string]int{}}, nil
}

// entry is one line of the feed.
type entry struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Value   string `json:"value"`
	Revoked bool   `json:"revoked"`
	At      int64  `json:"at"`
	Expires int64  `json:"exp"`
}

// tick says as of when the reader knows everything.
type tick struct {
	Synced bool  `json:"synced,omitempty"`
	At     int64 `json:"at"`
}

// ServeHTTP answers GET /revocations.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	params, caller, err := f.caller(r)
	if err != nil {
		wire.WriteError(w, r, err)
		return
	}
	leave, err := f.enter(caller.Client.ID)
	if err != nil {
		wire.WriteError(w, r, err)
		return
	}
	defer leave()
	if strings.Contains(r.Header.Get("Accept"), ndjson) {
		err = f.stream(w, r, caller.Client.ID)
	} else {
		err = f.poll(w, r, params)
	}
	if err != nil {
		wire.WriteError(w, r, err)
	}
}

// caller authenticates a resource server by its certificate (RFC 8705 §2.1.2).
// Of the query only client_id is handed on: credentials in a URI are refused
// (RFC 6749 §2.3.1).
func (f *Feed) caller(r *http.Request) (wire.Params, clientauth.Result, error) {
	params, err := wire.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, clientauth.Result{}, err
	}
	for _, name := range []string{"client_assertion", "client_assertion_type", "client_secret"} {
		if params.Has(name) {
			return nil, clientauth.Result{}, fapi.InvalidRequest("credentials do not belong into the query")
		}
	}
	caller, err := authenticate(r, f.deps.Clients, wire.Params{"client_id": params.Get("client_id")})
	switch {
	case err != nil:
		return nil, clientauth.Result{}, err
	case caller.Client.AuthMethod != fapi.AuthTLSClient || !caller.Once.IsZero():
		return nil, clientauth.Result{}, fapi.InvalidClient("the feed takes a certificate and nothing else")
	case !caller.Client.IsResourceServer():
		return nil, clientauth.Result{}, fapi.UnauthorizedClient("the feed is for resource servers")
	}
	return params, caller, nil
}

// enter counts a reader in, and returns what counts it out again.
func (f *Feed) enter(clientID string) (leave func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers[clientID] >= f.cfg.MaxReaders {
		return nil, &fapi.Error{Code: "temporarily_unavailable", Status: http.StatusTooManyRequests,
			Description: "too many readers of this client"}
	}
	f.readers[clientID]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.readers[clientID]--; f.readers[clientID] == 0 {
			delete(f.readers, clientID)
		}
	}, nil
}

// current reports whether the hub knew everything a moment ago.
func (f *Feed) current(asOf time.Time) bool {
	return !asOf.IsZero() && f.deps.Now().Sub(asOf) <= f.cfg.MaxAge
}

// errBehind is the answer while the hub cannot read the database.
var errBehind = errors.New("the change hub is not up to date")

// public picks what resource servers are told: what is revoked, and never what
// only our own processes have to read again.
func public(changes []fapi.Change) []entry {
	out := make([]entry, 0, len(changes))
	for _, c := range changes {
		if !c.Revoked || c.Kind == fapi.ChangeKeys {
			continue
		}
		out = append(out, entry{ID: c.ID, Kind: c.Kind, Value: c.Value, Revoked: true,
			At: c.CreatedAt.Unix(), Expires: roundUp(c.ExpiresAt)})
	}
	return out
}

// roundUp keeps a fraction of a second: an entry must not end before the token.
func roundUp(t time.Time) int64 { return t.Add(time.Second - time.Nanosecond).Unix() }
