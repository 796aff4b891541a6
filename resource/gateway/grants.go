package gateway

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/procura/procura/resource"
)

// grant is what the authorization server tells about a grant; the token itself
// holds none of it.
type grant struct {
	Customer    string
	Accounts    []string
	Permissions []string
	until       time.Time
}

// grants remembers the answers about live grants, by grant id. What a grant gives
// does not change while it lives, so an answer is good until the token that it
// was asked for expires or the consent does. Revocations need no care here: every
// request passes the Verifier first, which refuses a token whose grant, consent
// or client has ended. Refusals are not remembered.
type grants struct {
	ask    func(ctx context.Context, t *resource.Token) (grant, error)
	now    func() time.Time
	limit  int
	flight singleflight.Group

	mu    sync.Mutex
	byID  map[string]*list.Element
	order *list.List // of *known, least recently used in front
}

type known struct {
	id    string
	grant grant
}

func newGrants(limit int, now func() time.Time, ask func(context.Context, *resource.Token) (grant, error)) *grants {
	return &grants{ask: ask, now: now, limit: limit, byID: map[string]*list.Element{}, order: list.New()}
}

// of returns the grant of a verified token that speaks for a customer. Parallel
// questions about one token are asked once.
func (g *grants) of(ctx context.Context, t *resource.Token) (grant, error) {
	if found, ok := g.recall(t.GrantID); ok {
		return found, nil
	}
	// The answer serves others as well: it is not given up with this request.
	detached := context.WithoutCancel(ctx)
	answer := g.flight.DoChan(t.ID, func() (any, error) {
		fresh, err := g.ask(detached, t)
		if err == nil {
			g.remember(t.GrantID, fresh)
		}
		return fresh, err
	})
	select {
	case r := <-answer:
		if r.Err != nil {
			return grant{}, r.Err
		}
		return r.Val.(grant), nil
	case <-ctx.Done():
		return grant{}, resource.Unavailable(fmt.Errorf("waiting for the authorization server: %w", ctx.Err()))
	}
}

func (g *grants) recall(id string) (grant, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e, ok := g.byID[id]
	if !ok {
		return grant{}, false
	}
	k := e.Value.(*known)
	if !g.now().Before(k.grant.until) {
		g.drop(e)
		return grant{}, false
	}
	g.order.MoveToBack(e)
	return k.grant, true
}

func (g *grants) remember(id string, fresh grant) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e, ok := g.byID[id]; ok {
		g.drop(e)
	}
	if g.order.Len() >= g.limit {
		g.drop(g.order.Front())
	}
	g.byID[id] = g.order.PushBack(&known{id: id, grant: fresh})
}

func (g *grants) drop(e *list.Element) {
	delete(g.byID, e.Value.(*known).id)
	g.order.Remove(e)
}
