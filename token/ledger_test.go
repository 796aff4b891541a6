package token_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/fapi"
)

// ledger is the database of the tests: its acts, and how many there were.
type ledger struct {
	mu       sync.Mutex
	trips    int
	spent    map[fapi.Digest]bool
	grants   map[string]*fapi.Grant
	consents map[string]*fapi.Consent
	refresh  map[fapi.Digest]*fapi.RefreshToken
	dead     map[string]bool // jti
	changes  []fapi.Change
	acts     []any // what was revoked
	down     bool
}

func newLedger() *ledger {
	return &ledger{spent: map[fapi.Digest]bool{}, grants: map[string]*fapi.Grant{}, dead: map[string]bool{},
		consents: map[string]*fapi.Consent{}, refresh: map[fapi.Digest]*fapi.RefreshToken{}}
}

// visit is the beginning of every statement: it counts, and spends the jti.
func (l *ledger) visit(once fapi.Once) error {
	l.trips++
	if l.down {
		return fmt.Errorf("reaching the database: %w", fapi.ErrUnavailable)
	}
	if once.IsZero() {
		return nil
	}
	if l.spent[once.Digest] {
		return fapi.ErrReplayed
	}
	l.spent[once.Digest] = true
	return nil
}

func (l *ledger) SpendOnce(_ context.Context, once fapi.Once) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if once.IsZero() {
		return nil
	}
	return l.visit(once)
}

func (l *ledger) ReadTokenState(_ context.Context, q fapi.TokenQuery) (*fapi.TokenState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.visit(q.Once); err != nil {
		return nil, err
	}
	return &fapi.TokenState{Revoked: l.dead[q.JTI], Grant: l.grants[q.GrantID], Consent: l.consents[q.ConsentID]}, nil
}

func (l *ledger) ReadRefresh(_ context.Context, _ string, d fapi.Digest, once fapi.Once) (*fapi.RefreshState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.visit(once); err != nil {
		return nil, err
	}
	r, known := l.refresh[d]
	if !known {
		return nil, fapi.ErrNotFound
	}
	g := l.grants[r.GrantID]
	return &fapi.RefreshState{Refresh: *r, Grant: *g, Consent: l.consents[g.ConsentID]}, nil
}

func (l *ledger) RevokeGrant(_ context.Context, r fapi.GrantRevocation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.visit(r.Once); err != nil {
		return err
	}
	l.grants[r.GrantID].RevokedAt = r.Now
	l.acts = append(l.acts, r)
	return nil
}

func (l *ledger) RevokeToken(_ context.Context, r fapi.TokenRevocation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.visit(r.Once); err != nil {
		return err
	}
	l.dead[r.JTI] = true
	l.acts = append(l.acts, r)
	return nil
}

func (l *ledger) ChangesSince(_ context.Context, _ string, since, now time.Time) ([]fapi.Change, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.visit(fapi.Once{}); err != nil {
		return nil, err
	}
	var out []fapi.Change
	for _, c := range l.changes {
		if !c.CreatedAt.Before(since) && c.ExpiresAt.After(now) {
			out = append(out, c)
		}
	}
	return out, nil
}

// commit makes a change visible; at is the time that it carries.
func (l *ledger) commit(kind, value string, revoked bool, at time.Time) fapi.Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := fapi.Change{ID: uuid.NewString(), Issuer: issuer.URL, Kind: kind, Value: value, Revoked: revoked,
		CreatedAt: at, ExpiresAt: at.Add(10 * time.Minute)}
	l.changes = append(l.changes, c)
	return c
}

func (l *ledger) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.trips
	l.trips = 0
	return n
}
