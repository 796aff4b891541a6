package token_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/token"
)

func introspectionRig(t *testing.T) *rig {
	r := newRig(t)
	r.serve(newIntrospection(t, r))
	return r
}

func (r *rig) introspect(as, raw string) reply {
	r.t.Helper()
	return r.form(as, "/introspect", url.Values{"token": {raw}})
}

// inactive fails unless the answer is {"active":false} and no more: RFC 7662 §2.2.
func (r *rig) inactive(got reply) {
	r.t.Helper()
	if got.status != http.StatusOK || got.raw != `{"active":false}` {
		r.t.Errorf("got %d %s, want an inactive token and no more", got.status, got.raw)
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "application/json" {
		r.t.Errorf("headers are %v (RFC 7662 §2.2)", got.header)
	}
}

func members(body map[string]any) []string { return slices.Sorted(maps.Keys(body)) }

// INT-02, INT-03: who learns what of a live token.
func TestIntrospectionTellsWhoMayKnow(t *testing.T) {
	r := introspectionRig(t)
	g := r.grant(tpp)
	user, app := r.userToken(g, nil), r.appToken(tpp)
	common := []string{"acr", "active", "aud", "auth_time", "client_id", "cnf", "consent_id", "exp", "grant_id", "iat",
		"iss", "jti", "nbf", "scope", "sub", "token_for", "token_type"}
	customer := append([]string{"accounts", "consent_exp", "consent_status", "customer", "permissions"}, common...)
	slices.Sort(customer)
	application := []string{"active", "aud", "client_id", "cnf", "exp", "iat", "iss", "jti", "nbf", "scope", "sub", "token_for", "token_type"}
	r.records[branch].ResourceServerAudience = issuer.Audience // a second API of the same audience, told less
	for _, c := range []struct {
		name, caller, raw string
		want              []string
	}{
		{"its own client", tpp, user, common},
		{"the resource server that sees customers", bank, user, customer},
		{"a resource server that does not", branch, user, common},
		{"an application token", bank, app, application},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := r.introspect(c.caller, c.raw)
			if got.status != http.StatusOK || !slices.Equal(members(got.body), c.want) {
				t.Fatalf("got %d with %v, want %v", got.status, members(got.body), c.want)
			}
		})
	}
	got := r.introspect(bank, user).body
	cnf, _ := got["cnf"].(map[string]any)
	for name, pair := range map[string][2]any{
		"active": {got["active"], true}, "sub": {got["sub"], g.Subject}, "customer": {got["customer"], "customer-7"},
		"token_type": {got["token_type"], "Bearer"}, "scope": {got["scope"], "accounts openid"},
		"cnf": {cnf["x5t#S256"], r.leaves[tpp].Peer().Thumbprint}, "consent_status": {got["consent_status"], "authorised"},
		"token_for": {got["token_for"], "user"}, "grant_id": {got["grant_id"], g.ID},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
		}
	}
}

// INT-02, attacks 59 and 63: whatever is not the caller's business, or dead.
func TestIntrospectionIsSilent(t *testing.T) {
	r := introspectionRig(t)
	now := r.clock.Now()
	live := func() *fapi.Grant { return r.grant(tpp) }
	revoked := live()
	revoked.RevokedAt = now
	ended := live()
	r.store.consents[ended.ConsentID].Status = fapi.ConsentDeleted
	lapsed := live()
	r.store.consents[lapsed.ConsentID].ExpiresAt = now
	noConsent := live()
	delete(r.store.consents, noConsent.ConsentID)
	jti := uuid.NewString()
	r.store.dead[jti] = true
	refresh, _ := r.refreshToken(live())
	oldRefresh, row := r.refreshToken(live())
	row.ExpiresAt = now
	deadRefresh, _ := r.refreshToken(revoked)
	good := r.userToken(live(), nil)
	foreign, _ := newKey(t, "server")
	forged := forge(t, good, foreign)
	for _, c := range []struct{ name, caller, raw string }{
		{"another client's access token", stranger, good},
		{"another client's refresh token", stranger, refresh},
		{"another resource server's access token", branch, good},
		{"a resource server and a refresh token (INT-04)", bank, refresh},
		{"an unknown refresh token", tpp, "never-issued"},
		{"an expired refresh token", tpp, oldRefresh},
		{"a refresh token of a revoked grant", tpp, deadRefresh},
		{"a token of a revoked grant", bank, r.userToken(revoked, nil)},
		{"a token whose consent was deleted", bank, r.userToken(ended, nil)},
		{"a token whose consent has expired", tpp, r.userToken(lapsed, nil)},
		{"a token whose consent is not there", tpp, r.userToken(noConsent, nil)},
		{"a token whose jti was revoked", tpp, r.userToken(live(), func(a *fapi.AccessToken) { a.JTI = jti })},
		{"a token whose grant is another client's", tpp, r.userToken(r.grant(stranger), func(a *fapi.AccessToken) { a.ClientID = tpp })},
		{"a token whose grant is not there", tpp, r.userToken(live(), func(a *fapi.AccessToken) { a.GrantID = uuid.NewString() })},
		{"an id token", tpp, r.idToken(live())},
		{"a forged token", tpp, forged},
		{"two dots", tpp, ".."},
		{"an overlong JWT", tpp, strings.Repeat("a", fapi.MaxJWT) + ".."},
	} {
		t.Run(c.name, func(t *testing.T) { r.t = t; r.inactive(r.introspect(c.caller, c.raw)) })
	}
	r.t = t
	r.clock.Advance(10 * time.Minute)
	r.inactive(r.introspect(bank, good)) // expired
}

// forge signs the payload of a token with another key of the same name.
func forge(t *testing.T, raw string, with *ring) string {
	t.Helper()
	payload, err := jose.Payload(raw)
	must(t, err)
	forged, err := with.signer.Sign("at+jwt", payload)
	must(t, err)
	return forged
}

// INT-01, G-09: who is not told anything.
func TestIntrospectionRefuses(t *testing.T) {
	r := introspectionRig(t)
	raw := r.userToken(r.grant(tpp), nil)
	spent := r.assertion(keyed, "twice")
	if got := r.post("", "/introspect", merge(spent, url.Values{"token": {raw}})); got.status != http.StatusOK {
		t.Fatalf("the first use of the assertion answers %d %s", got.status, got.raw)
	}
	for _, c := range []struct {
		name   string
		got    reply
		status int
		code   string
	}{
		{"nobody", r.post("", "/introspect", url.Values{"token": {raw}}), 401, "invalid_client"},
		{"a client id without proof", r.post("", "/introspect", url.Values{"token": {raw}, "client_id": {tpp}}), 401, "invalid_client"},
		{"another's certificate", r.post(stranger, "/introspect", url.Values{"token": {raw}, "client_id": {tpp}}), 401, "invalid_client"},
		{"a replayed assertion (CA-06)", r.post("", "/introspect", merge(spent, url.Values{"token": {raw}})), 401, "invalid_client"},
		{"a replayed assertion, about nothing", r.post("", "/introspect", merge(spent, url.Values{"token": {"x"}})), 401, "invalid_client"},
		{"no token", r.form(tpp, "/introspect", nil), 400, "invalid_request"},
		{"a token in the query (G-09)", r.form(tpp, "/introspect?token=x", nil), 400, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got.status != c.status || c.got.body["error"] != c.code {
				t.Errorf("got %d %s, want %d %s", c.got.status, c.got.raw, c.status, c.code)
			}
			if c.got.header.Get("WWW-Authenticate") != "" {
				t.Error("a challenge hides the JSON from client libraries (foreign clients, item 14)")
			}
		})
	}
}

// An assertion counts once also where the answer was a refusal or inactive.
func TestIntrospectionSpendsTheAssertionAlways(t *testing.T) {
	r := introspectionRig(t)
	own := r.userToken(r.grant(keyed), nil)
	for name, form := range map[string]url.Values{
		"own token": {"token": {own}}, "foreign token": {"token": {r.appToken(tpp)}},
		"no token": {}, "garbage": {"token": {"a.b.c"}}, "unknown refresh token": {"token": {"opaque"}},
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			assertion := r.assertion(keyed, uuid.NewString())
			r.post("", "/introspect", merge(form, assertion))
			if got := r.post("", "/introspect", merge(form, assertion)); got.status != http.StatusUnauthorized {
				t.Errorf("the second use answers %d %s", got.status, got.raw)
			}
		})
	}
}

// Design 1.5: introspection costs one round trip, spent assertion included.
func TestIntrospectionCostsOneRoundTrip(t *testing.T) {
	r := introspectionRig(t)
	refresh, _ := r.refreshToken(r.grant(keyed))
	for name, raw := range map[string]string{
		"access token": r.userToken(r.grant(keyed), nil), "refresh token": refresh,
		"foreign access token": r.appToken(tpp), "garbage": "a.b.c", "unknown refresh token": "opaque",
	} {
		r.store.count()
		if r.introspect(keyed, raw); r.store.count() != 1 {
			t.Errorf("%s: not one round trip", name)
		}
	}
	r.store.count()
	if r.introspect(bank, "a.b.c"); r.store.count() != 0 {
		t.Error("garbage from a client with a certificate needs no round trip")
	}
}

// INT-04: token_type_hint decides nothing.
func TestIntrospectionIgnoresTheHint(t *testing.T) {
	r := introspectionRig(t)
	refresh, _ := r.refreshToken(r.grant(tpp))
	for _, raw := range []string{refresh, r.userToken(r.grant(tpp), nil)} {
		for _, hint := range []string{"", "access_token", "refresh_token", "nonsense"} {
			got := r.form(tpp, "/introspect", url.Values{"token": {raw}, "token_type_hint": {hint}})
			if got.body["active"] != true {
				t.Errorf("with hint %q: %s", hint, got.raw)
			}
		}
	}
	got := r.introspect(tpp, refresh).body
	if want := []string{"active", "client_id", "consent_id", "grant_id", "iat", "iss", "scope", "sub"}; !slices.Equal(members(got), want) {
		t.Errorf("a refresh token is described by %v, want %v", members(got), want)
	}
}

// RFC 7662 §2.2: the scope is narrowed to what a resource server is there for.
func TestIntrospectionNarrowsScope(t *testing.T) {
	r := introspectionRig(t)
	r.records[bank].Scope = "accounts payments"
	raw := r.userToken(r.grant(tpp), nil)
	if got := r.introspect(bank, raw).body["scope"]; got != "accounts" {
		t.Errorf("the resource server sees scope %v", got)
	}
	if got := r.introspect(tpp, raw).body["scope"]; got != "accounts openid" {
		t.Errorf("the client sees scope %v", got)
	}
}

func TestIntrospectionFailsClosed(t *testing.T) {
	r := introspectionRig(t)
	raw := r.userToken(r.grant(tpp), nil)
	r.store.cut(true)
	if got := r.introspect(bank, raw); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("without database: %d %s", got.status, got.raw)
	}
}

func TestNewIntrospectionRefusesMissingParts(t *testing.T) {
	if _, err := token.NewIntrospection(token.IntrospectionConfig{}, token.IntrospectionDeps{}); err == nil {
		t.Error("nothing was missed")
	}
}
