package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/procura/procura/internal/jose"
)

// discoveryPath is appended to the issuer (OIDC Discovery §4).
const discoveryPath = "/.well-known/openid-configuration"

// fetchTimeout bounds one read of discovery and keys together.
const fetchTimeout = 10 * time.Second

// keySource keeps the issuer's public keys. One fetch is in flight at a time;
// the last good set serves while a new one cannot be had, until it is too old.
type keySource struct {
	cfg    Config
	deps   Deps
	flight singleflight.Group

	mu      sync.Mutex
	set     *jose.KeySet
	fetched time.Time // when set was read
	tried   time.Time // when the last read began
	lastErr error
}

func newKeySource(cfg Config, deps Deps) *keySource { return &keySource{cfg: cfg, deps: deps} }

// find returns a set that is fit to verify with. When the set lacks kid ("" asks
// for none) it is read again first, unless that was just done: a stranger who
// invents key ids causes at most one fetch per KeyRetry.
func (s *keySource) find(ctx context.Context, kid string) (*jose.KeySet, error) {
	set, need := s.current(kid)
	switch {
	case need == nothing:
		return set, nil
	case need == refresh:
		s.start(ctx)
		return set, nil
	}
	select {
	case <-s.start(ctx):
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the issuer's keys: %w", ctx.Err())
	}
	return s.settled()
}

type need int

const (
	nothing need = iota
	refresh      // serve from the set, read again behind it
	wait         // the set is absent, too old, or lacks the key
)

func (s *keySource) current(kid string) (*jose.KeySet, need) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.deps.Now()
	rested := s.tried.IsZero() || now.Sub(s.tried) >= s.cfg.KeyRetry
	age := now.Sub(s.fetched)
	switch {
	case s.set == nil || age > s.cfg.MaxKeyAge:
		return nil, wait
	case kid != "" && !s.set.HasKID(kid) && rested:
		return s.set, wait
	case age >= s.cfg.KeyRefresh && rested:
		return s.set, refresh
	}
	return s.set, nothing
}

// settled answers after a fetch, good or bad, with what there is.
func (s *keySource) settled() (*jose.KeySet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil || s.deps.Now().Sub(s.fetched) > s.cfg.MaxKeyAge {
		return nil, fmt.Errorf("no keys of the issuer: %w", s.lastErr)
	}
	return s.set, nil
}

// start joins or begins the one fetch. It does not end with the request that
// happened to begin it: others wait for it too.
func (s *keySource) start(ctx context.Context) <-chan singleflight.Result {
	ctx = context.WithoutCancel(ctx)
	return s.flight.DoChan("keys", func() (any, error) {
		s.load(ctx)
		return nil, nil
	})
}

// load reads the keys unless somebody has just done so or just failed to.
func (s *keySource) load(ctx context.Context) {
	if !s.begin() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	set, err := s.fetch(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lastErr = err; err == nil {
		s.set, s.fetched = set, s.deps.Now()
	}
}

// failurePause is how soon a failed first read is tried again, where there is no
// set that could serve meanwhile.
const failurePause = time.Second

func (s *keySource) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, pause := s.deps.Now(), s.cfg.KeyRetry
	if s.set == nil {
		pause = min(pause, failurePause)
	}
	if !s.tried.IsZero() && now.Sub(s.tried) < pause {
		return false
	}
	s.tried = now
	return true
}

func (s *keySource) fetch(ctx context.Context) (*jose.KeySet, error) {
	uri := s.cfg.JWKSURI
	if uri == "" {
		var err error
		if uri, err = s.discover(ctx); err != nil {
			return nil, err
		}
	}
	raw, err := s.deps.Fetch(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("fetching the issuer's keys: %w", err)
	}
	set, err := jose.ParseKeySet(raw)
	if err != nil {
		return nil, fmt.Errorf("parsing the issuer's keys: %w", err)
	}
	return set, nil
}

// discover reads jwks_uri from the issuer's metadata; the document must name the
// very issuer that was asked (OIDC Discovery §4.3).
func (s *keySource) discover(ctx context.Context) (string, error) {
	raw, err := s.deps.Fetch(ctx, s.cfg.Issuer+discoveryPath)
	if err != nil {
		return "", fmt.Errorf("fetching the issuer's metadata: %w", err)
	}
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return "", fmt.Errorf("parsing the issuer's metadata: %w", err)
	}
	if doc.Issuer != s.cfg.Issuer {
		return "", errors.New("the metadata is that of another issuer")
	}
	if !isHTTPS(doc.JWKSURI) {
		return "", errors.New("the metadata names no https jwks_uri")
	}
	return doc.JWKSURI, nil
}
