package cert

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Bounds on what is remembered: ours. Refusals have a store of their own, since
// anybody can make certificates that nobody trusts: a flood of them pushes out no
// verdict on a good one.
const (
	maxAccepted   = 16384
	maxRefused    = 1024
	maxVerdictAge = time.Hour
	maxRefusalAge = time.Minute
)

// verdict is the outcome of all checks, and for how long it holds.
type verdict struct {
	refusal      *Refusal // nil: accepted
	taken, until time.Time
}

func (v verdict) err() error {
	if v.refusal == nil {
		return nil
	}
	return v.refusal
}

// holds is false before the verdict was taken too: a clock that is set back must
// not make a certificate valid ahead of its time.
func (v verdict) holds(now time.Time) bool {
	return !now.Before(v.taken) && !now.After(v.until)
}

// verdicts is a bounded store. When it is full an arbitrary entry goes: losing
// one costs a check, never a wrong answer.
type verdicts struct {
	mu    sync.RWMutex
	max   int
	known map[[sha256.Size]byte]verdict
}

func newVerdicts(limit int) *verdicts {
	return &verdicts{max: limit, known: make(map[[sha256.Size]byte]verdict)}
}

func (s *verdicts) recall(key [sha256.Size]byte, now time.Time) (verdict, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok := s.known[key]
	return v, ok && v.holds(now)
}

func (s *verdicts) remember(key [sha256.Size]byte, v verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.known[key]; !ok && len(s.known) >= s.max {
		for arbitrary := range s.known {
			delete(s.known, arbitrary)
			break
		}
	}
	s.known[key] = v
}
