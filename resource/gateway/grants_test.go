package gateway_test

import (
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/resource/gateway"
	"github.com/procura/procura/resource/resourcetest"
)

func TestGrantIsAskedForOnce(t *testing.T) {
	w := newWorld(t, nil)
	token := w.userToken(t, nil)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if res, body := w.send(t, request{path: v3 + "/accounts", token: token}); res.StatusCode != 200 {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		})
	}
	all.Wait()
	if n := w.issuer.Calls.Introspections.Load(); n != 1 {
		t.Errorf("64 parallel requests asked %d times, want once", n)
	}
	for range 2 { // another token of the grant needs no question, also one with less scope
		w.send(t, request{path: v3 + "/accounts", token: w.userToken(t, nil)})
	}
	w.send(t, request{path: v3 + "/account-access-consents/c-1", token: w.appToken(t, nil)})
	if n := w.issuer.Calls.Introspections.Load(); n != 1 {
		t.Errorf("asked %d times, want once per grant", n)
	}
}

// A scope is the token's own: what is remembered of the grant does not widen it.
func TestRememberedGrantDoesNotWidenScope(t *testing.T) {
	w := newWorld(t, nil)
	w.send(t, request{path: v3 + "/accounts", token: w.userToken(t, nil)})
	res, _ := w.send(t, request{path: v3 + "/accounts", token: w.userToken(t, map[string]any{"scope": "openid"})})
	if res.StatusCode != 403 {
		t.Errorf("a token without the scope: %d, want 403", res.StatusCode)
	}
}

func TestRememberedGrantsEnd(t *testing.T) {
	t.Run("with the revocation", func(t *testing.T) {
		w := newWorld(t, nil)
		token := w.userToken(t, nil)
		w.send(t, request{path: v3 + "/accounts", token: token})
		w.issuer.Feed.Revoke("consent", resourcetest.ConsentID, time.Now().Add(time.Hour))
		eventually(t, time.Second, "refused", func() bool {
			res, _ := w.send(t, request{path: v3 + "/accounts", token: token})
			return res.StatusCode == 401
		})
	})
	t.Run("with the consent", func(t *testing.T) {
		w := newWorld(t, nil)
		g := fullGrant()
		g["consent_exp"] = time.Now().Add(-time.Second).Unix()
		w.issuer.Describe(resourcetest.GrantID, g)
		for range 3 {
			w.send(t, request{path: v3 + "/accounts", token: w.userToken(t, nil)})
		}
		if n := w.issuer.Calls.Introspections.Load(); n != 3 {
			t.Errorf("asked %d times about an expired consent, want every time", n)
		}
	})
	t.Run("when there are too many", func(t *testing.T) {
		w := newWorld(t, func(c *gateway.Config) { c.MaxGrants = 2 })
		for _, id := range []string{"g-1", "g-2", "g-1", "g-3", "g-1", "g-2"} {
			g := fullGrant()
			g["grant_id"] = id
			w.issuer.Describe(id, g)
			w.send(t, request{path: v3 + "/accounts", token: w.userToken(t, map[string]any{"grant_id": id})})
		}
		if n := w.issuer.Calls.Introspections.Load(); n != 4 { // g-1, g-2, g-3 in place of g-2, g-2
			t.Errorf("asked %d times, want 4", n)
		}
	})
}

// An answer that does not fit the token is not believed, and never a reason to
// let through.
func TestIntrospectionThatIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		edit   map[string]any
		status int
	}{
		"inactive":         {map[string]any{"active": false}, 401},
		"another client":   {map[string]any{"client_id": "other"}, 503},
		"another grant":    {map[string]any{"grant_id": "other"}, 503},
		"another consent":  {map[string]any{"consent_id": "other"}, 503},
		"no customer":      {map[string]any{"customer": ""}, 503},
		"of another shape": {map[string]any{"accounts": "acc-1"}, 503},
	} {
		w := newWorld(t, nil)
		g := fullGrant()
		for k, v := range c.edit {
			g[k] = v
		}
		w.issuer.Describe(resourcetest.GrantID, g)
		for range 2 {
			res, body := w.send(t, request{path: v3 + "/accounts", token: w.userToken(t, nil)})
			if res.StatusCode != c.status {
				t.Errorf("%s: %d %s, want %d", name, res.StatusCode, body, c.status)
			}
			if c.status == 503 && res.Header.Get("Retry-After") == "" {
				t.Errorf("%s: 503 without Retry-After", name)
			}
		}
		if n := w.issuer.Calls.Introspections.Load(); n != 2 {
			t.Errorf("%s: asked %d times, want twice: refusals are not remembered", name, n)
		}
	}
	w := newWorld(t, nil)
	w.issuer.Break(true)
	if res, _ := w.send(t, request{path: v3 + "/accounts", token: w.userToken(t, nil)}); res.StatusCode != 503 {
		t.Errorf("introspection broken: %d, want 503", res.StatusCode)
	}
}
