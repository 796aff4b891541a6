package resource

import (
	"errors"
	"sync"
	"time"

	"github.com/procura/procura/internal/jose"
)

// Kinds of things that end; every token names up to four of them.
const (
	kindToken   = "token"
	kindGrant   = "grant"
	kindConsent = "consent"
	kindClient  = "client"
)

// entryGrace is how long an entry outlives its exp: verifiers tolerate some skew
// on the exp of the tokens that it speaks of.
const entryGrace = 2 * time.Minute

// entry is one line of the feed.
type entry struct {
	ID      string           `json:"id"`
	Kind    string           `json:"kind"`
	Value   string           `json:"value"`
	Revoked bool             `json:"revoked"`
	Expires jose.NumericDate `json:"exp"`
}

// target is what an entry ends.
type target struct{ kind, value string }

// errFull closes the feed: an entry that cannot be kept would be a hole.
var errFull = errors.New("too many revocations to keep")

// revocationSet is what is known to have ended. Its size is bounded by limit.
type revocationSet struct {
	limit int

	mu    sync.RWMutex
	known map[string]time.Time // by entry id, until when
	ended map[target]time.Time
}

func newRevocationSet(limit int) *revocationSet {
	return &revocationSet{limit: limit, known: map[string]time.Time{}, ended: map[target]time.Time{}}
}

// errEntry closes the feed too: half an entry may be a revocation.
var errEntry = errors.New("an entry of the feed is malformed")

// maxMember bounds id and value of an entry. Ours.
const maxMember = 512

// add keeps an entry unless it is known, revokes nothing or is of a kind that a
// newer server has made up. It returns errFull rather than forget another one.
func (s *revocationSet) add(e entry, now time.Time) error {
	if !e.Revoked || !isKind(e.Kind) {
		return nil
	}
	if e.ID == "" || e.Value == "" || e.Expires == 0 || len(e.ID) > maxMember || len(e.Value) > maxMember {
		return errEntry
	}
	until := e.Expires.Time().Add(entryGrace)
	if !now.Before(until) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.known[e.ID]; ok {
		return nil
	}
	if len(s.known) >= s.limit {
		if s.sweep(now); len(s.known) >= s.limit {
			return errFull
		}
	}
	s.known[e.ID] = until
	key := target{e.Kind, e.Value}
	if until.After(s.ended[key]) {
		s.ended[key] = until
	}
	return nil
}

func isKind(kind string) bool {
	switch kind {
	case kindToken, kindGrant, kindConsent, kindClient:
		return true
	}
	return false
}

// sweep forgets what speaks of no living token any more; the lock is held.
func (s *revocationSet) sweep(now time.Time) {
	for id, until := range s.known {
		if !now.Before(until) {
			delete(s.known, id)
		}
	}
	for key, until := range s.ended {
		if !now.Before(until) {
			delete(s.ended, key)
		}
	}
}

func (s *revocationSet) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
}

func (s *revocationSet) size() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.known)
}

// ends reports whether anything that the token names has ended.
func (s *revocationSet) ends(t *Token) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, key := range [...]target{
		{kindToken, t.ID}, {kindGrant, t.GrantID}, {kindConsent, t.ConsentID}, {kindClient, t.ClientID},
	} {
		if _, ok := s.ended[key]; ok && key.value != "" {
			return true
		}
	}
	return false
}
