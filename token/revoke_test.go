package token_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/token"
)

func revocationRig(t *testing.T) *rig {
	r := newRig(t)
	mux := http.NewServeMux()
	mux.Handle("/revoke", newRevocation(t, r))
	mux.Handle("/introspect", newIntrospection(t, r))
	r.serve(mux)
	return r
}

func (r *rig) revoke(as, raw string) reply {
	r.t.Helper()
	return r.form(as, "/revoke", url.Values{"token": {raw}})
}

// done fails unless the answer is an empty 200 (RFC 7009 §2.2; foreign clients,
// item 14: exactly 200).
func (r *rig) done(got reply) {
	r.t.Helper()
	if got.status != http.StatusOK || got.raw != "" || got.header.Get("Cache-Control") != "no-store" {
		r.t.Errorf("got %d %q, want an empty 200", got.status, got.raw)
	}
}

// REV-03: an access token goes alone.
func TestRevokingAnAccessToken(t *testing.T) {
	r := revocationRig(t)
	g := r.grant(tpp)
	raw, sibling := r.userToken(g, nil), r.userToken(g, nil)
	r.done(r.revoke(tpp, raw))
	r.inactive(r.introspect(bank, raw))
	if got := r.introspect(bank, sibling); got.body["active"] != true {
		t.Errorf("another token of the grant died too: %s", got.raw)
	}
	act, ok := r.store.acts[0].(fapi.TokenRevocation)
	if !ok || act.ClientID != tpp || !act.ExpiresAt.Equal(r.clock.Now().Add(10*time.Minute+fapi.ClockSkew)) {
		t.Errorf("the act is %+v", r.store.acts[0])
	}
	if n := r.woken.Load(); n != 1 {
		t.Errorf("the feed was woken %d times", n)
	}
	app := r.appToken(tpp)
	r.done(r.revoke(tpp, app))
	r.inactive(r.introspect(tpp, app))
}

// REV-03: a refresh token takes the whole grant with it, whatever its own state.
func TestRevokingARefreshToken(t *testing.T) {
	for _, name := range []string{"live", "expired", "replaced"} {
		t.Run(name, func(t *testing.T) {
			r := revocationRig(t)
			g := r.grant(tpp)
			refresh, row := r.refreshToken(g)
			access := r.userToken(g, nil)
			switch name {
			case "expired":
				row.ExpiresAt = r.clock.Now()
			case "replaced":
				row.RevokedAt = r.clock.Now()
			}
			r.done(r.revoke(tpp, refresh))
			r.inactive(r.introspect(bank, access))
			act, ok := r.store.acts[0].(fapi.GrantRevocation)
			if !ok || act.GrantID != g.ID || act.ClientID != tpp || act.Reason == "" {
				t.Fatalf("the act is %+v", r.store.acts[0])
			}
			if !act.FeedUntil.After(r.clock.Now().Add(10 * time.Minute)) {
				t.Errorf("the feed forgets at %s, while access tokens may live", act.FeedUntil)
			}
			if n := r.woken.Load(); n != 1 {
				t.Errorf("the feed was woken %d times", n)
			}
			r.done(r.revoke(tpp, refresh)) // and again
		})
	}
}

// REV-02: what does not exist is as good as revoked.
func TestRevokingNothing(t *testing.T) {
	r := revocationRig(t)
	expired := r.userToken(r.grant(tpp), nil)
	r.clock.Advance(time.Hour)
	for name, raw := range map[string]string{"unknown": "never-issued", "malformed": "a.b.c", "expired": expired, "id token": r.idToken(r.grant(tpp))} {
		t.Run(name, func(t *testing.T) { r.t = t; r.done(r.revoke(tpp, raw)) })
	}
	if len(r.store.acts) != 0 || r.woken.Load() != 0 {
		t.Errorf("acts: %v", r.store.acts)
	}
}

// REV-01, attack 64: another client's token is refused and stays alive.
func TestRevokingAnothersToken(t *testing.T) {
	r := revocationRig(t)
	g := r.grant(tpp)
	refresh, _ := r.refreshToken(g)
	for name, raw := range map[string]string{"access": r.userToken(g, nil), "refresh": refresh, "application": r.appToken(tpp)} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			for _, thief := range []string{stranger, keyed} {
				if got := r.revoke(thief, raw); got.status != http.StatusBadRequest || got.body["error"] != "invalid_grant" {
					t.Errorf("%s gets %d %s", thief, got.status, got.raw)
				}
			}
			if got := r.introspect(tpp, raw); got.body["active"] != true {
				t.Errorf("the token died: %s", got.raw)
			}
		})
	}
	if len(r.store.acts) != 0 {
		t.Errorf("acts: %v", r.store.acts)
	}
}

func TestRevocationRefuses(t *testing.T) {
	r := revocationRig(t)
	raw := r.userToken(r.grant(keyed), nil)
	refresh, _ := r.refreshToken(r.grant(keyed))
	spent := r.assertion(keyed, "twice")
	r.done(r.post("", "/revoke", merge(spent, url.Values{"token": {"x"}})))
	for _, c := range []struct {
		name   string
		got    reply
		status int
		code   string
	}{
		{"nobody", r.post("", "/revoke", url.Values{"token": {raw}}), 401, "invalid_client"},
		{"a replayed assertion (CA-06), access token", r.post("", "/revoke", merge(spent, url.Values{"token": {raw}})), 401, "invalid_client"},
		{"a replayed assertion, refresh token", r.post("", "/revoke", merge(spent, url.Values{"token": {refresh}})), 401, "invalid_client"},
		{"a replayed assertion, nothing", r.post("", "/revoke", merge(spent, url.Values{"token": {"y"}})), 401, "invalid_client"},
		{"no token (REV-04)", r.form(tpp, "/revoke", nil), 400, "invalid_request"},
		{"a resource server (INT-07)", r.revoke(bank, raw), 400, "unauthorized_client"},
		{"a token in the query (G-09)", r.form(tpp, "/revoke?token=x", nil), 400, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got.status != c.status || c.got.body["error"] != c.code {
				t.Errorf("got %d %s, want %d %s", c.got.status, c.got.raw, c.status, c.code)
			}
		})
	}
	if len(r.store.acts) != 0 {
		t.Errorf("acts: %v", r.store.acts)
	}
}

// The statement that revokes spends the assertion; a refresh token is read before.
func TestRevocationCosts(t *testing.T) {
	r := revocationRig(t)
	refresh, _ := r.refreshToken(r.grant(keyed))
	for raw, want := range map[string]int{r.userToken(r.grant(keyed), nil): 1, "a.b.c": 1, refresh: 2} {
		assertion := merge(r.assertion(keyed, uuid.NewString()), url.Values{"token": {raw}})
		r.store.count()
		r.done(r.post("", "/revoke", assertion))
		if got := r.store.count(); got != want {
			t.Errorf("%d round trips, want %d", got, want)
		}
		if got := r.post("", "/revoke", assertion); got.status != http.StatusUnauthorized {
			t.Errorf("the assertion was not spent: %d", got.status)
		}
	}
}

// RFC 7009 §2.2.1: what could not be stored was not revoked, and must be tried again.
func TestRevocationDuringAnOutage(t *testing.T) {
	r := revocationRig(t)
	raw := r.userToken(r.grant(keyed), nil)
	refresh, _ := r.refreshToken(r.grant(keyed))
	for _, raw := range []string{raw, refresh} {
		r.store.cut(true)
		assertion := merge(r.assertion(keyed, uuid.NewString()), url.Values{"token": {raw}})
		if got := r.post("", "/revoke", assertion); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("got %d %s, want 503", got.status, got.raw)
		}
		r.store.cut(false)
		r.done(r.post("", "/revoke", assertion)) // the same assertion: nothing was spent
		r.inactive(r.introspect(keyed, raw))
	}
}

func TestNewRevocationRefusesMissingParts(t *testing.T) {
	if _, err := token.NewRevocation(token.RevocationConfig{}, token.RevocationDeps{}); err == nil {
		t.Error("nothing was missed")
	}
}
