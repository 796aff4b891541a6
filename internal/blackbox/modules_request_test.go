package blackbox_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"crypto/rand"
)

// requestModules are the rows in which the request is good and everything that it
// says counts, exactly.
func requestModules() []module {
	return []module{
		{prefix, "both clients get through; the redirect URI's own query comes back intact; a stolen access token is refused with 401", nil, wholeFlow},
		{prefix + "-user-rejects-authentication", "access_denied with state, for both clients", nil, userRejects},
		{prefix + "-ensure-request-object-with-multiple-aud-succeeds", "an aud array that holds the issuer is accepted", nil,
			func(t *testing.T, p plan) {
				r := p.first(t).set(map[string]any{"aud": []string{house.Issuer, "https://other1.example.com", "https://invalid.example.com"}})
				r.bare().flow(t)
			}},
		{prefix + "-ensure-authorization-request-without-state-success", "no state in the answer, no s_hash in the id token", nil,
			func(t *testing.T, p plan) { p.first(t).set(map[string]any{"state": nil}).flow(t) }},
		{prefix + "-ensure-valid-pkce-succeeds", "an optional S256 challenge is accepted and enforced", byValue, optionalPKCE},
		{prefix + "-ensure-other-scope-order-succeeds", "the order of scopes does not matter", nil, otherScopeOrder},
		{prefix + "-access-token-type-header-case-sensitivity", "the scheme of Authorization is compared without case", nil, schemeCase},
		{prefix + "-ensure-different-nonce-inside-and-outside-request-object", "the nonce of the object counts", nil, outerNonce},
		{prefix + "-state-only-outside-request-object-not-used", "success without state and s_hash", nil, outerState},
		{prefix + "-ensure-request-object-with-long-nonce", "384 characters come back exactly", nil,
			func(t *testing.T, p plan) { p.echoes(t, "nonce", 384) }},
		{prefix + "-ensure-request-object-with-64-char-nonce-success", "64 characters come back exactly", nil,
			func(t *testing.T, p plan) { p.echoes(t, "nonce", 64) }},
		{prefix + "-ensure-request-object-with-long-state", "1000 characters come back exactly", nil,
			func(t *testing.T, p plan) { p.echoes(t, "state", 1000) }},
		{prefix + "-par-without-duplicate-parameters", "client_id and request_uri are all that /authorize needs", pushed,
			func(t *testing.T, p plan) { p.first(t).bare().flow(t) }},
	}
}

// first is a good request of the plan's first client.
func (p plan) first(t testing.TB) *request {
	t.Helper()
	one, _ := p.parties(t)
	return p.request(t, one)
}

// second is a good request of the plan's second client.
func (p plan) second(t testing.TB) *request {
	t.Helper()
	_, two := p.parties(t)
	return p.request(t, two)
}

// bare repeats nothing of the object outside of it.
func (r *request) bare() *request {
	r.outer = url.Values{}
	return r
}

func wholeFlow(t *testing.T, p plan) {
	one, two := p.parties(t)
	a, b := p.request(t, one).flow(t), p.request(t, two).flow(t)
	want(t, userinfo(t, one.back, a.access), "200")
	want(t, userinfo(t, two.back, b.access), "200")
	want(t, userinfo(t, one.back, b.access), "401 invalid_token")
	inQuery := house.meta.Aliases.Userinfo + "?access_token=" + url.QueryEscape(a.access)
	want(t, resource(t, one.back, inQuery), "400 invalid_request")
	for _, accept := range []string{"application/json;charset=UTF-8", "application/json, application/*+json, */*"} {
		want(t, userinfo(t, one.back, a.access, "Accept", accept, "Accept-Charset", "UTF-8"), "200")
	}
	for _, address := range []string{"198.51.100.119", "2001:db8::1893:25c8:1946"} {
		want(t, userinfo(t, one.back, a.access, "X-Fapi-Customer-Ip-Address", address,
			"X-Fapi-Auth-Date", "Tue, 11 Sep 2012 19:43:31 GMT", "X-Fapi-Interaction-Id", "c770aef3-6784-41f7-8e0e-ff5f97bddb3a"), "200")
	}
	checkTLS(t, house.meta.Aliases.Userinfo)
}

func userRejects(t *testing.T, p plan) {
	for _, r := range []*request{p.first(t), p.second(t)} {
		if r.by.spec.query && len(r.text("state")) != 128 {
			t.Fatalf("the second client's state has %d characters", len(r.text("state")))
		}
		want(t, r.sendTo(t, refuse), p.front("access_denied"))
	}
}

func optionalPKCE(t *testing.T, p plan) {
	r := p.first(t)
	r.pkce()
	o := r.code(t)
	wrong := r.redemption(o)
	wrong.Set("code_verifier", rand.Text()+rand.Text())
	want(t, p.redeem(t, r.by, wrong), "400 invalid_grant")
	r.tokens(t, o)
}

func otherScopeOrder(t *testing.T, p plan) {
	words := strings.Fields(allScopes)
	slices.Reverse(words)
	r := p.first(t).set(map[string]any{"scope": strings.Join(words, " ")})
	granted := strings.Fields(r.flow(t).text("scope"))
	slices.Sort(words)
	slices.Sort(granted)
	if !slices.Equal(words, granted) {
		t.Errorf("granted %v", granted)
	}
}

func schemeCase(t *testing.T, p plan) {
	r := p.first(t)
	access := r.flow(t).access
	for _, scheme := range []string{"bEARER", "bearer", "BEARER", "Bearer"} {
		want(t, resource(t, r.by.back, house.meta.Aliases.Userinfo, "Authorization", scheme+" "+access), "200")
	}
}

func outerNonce(t *testing.T, p plan) {
	r := p.first(t)
	r.outer.Set("nonce", rand.Text())
	k := r.flow(t)
	if k.id.Nonce != "" && k.id.Nonce != r.text("nonce") {
		t.Errorf("nonce is %q", k.id.Nonce)
	}
}

func outerState(t *testing.T, p plan) {
	r := p.first(t).set(map[string]any{"state": nil})
	r.outer.Set("state", rand.Text())
	o := r.code(t) // compares with the state of the object, which is none
	if o.params.Has("state") {
		t.Error("the state from outside came back")
	}
}

// echoes: a long value comes back as it was sent.
func (p plan) echoes(t *testing.T, name string, length int) {
	t.Helper()
	value := strings.Repeat(rand.Text(), length/26+1)[:length]
	o := p.first(t).set(map[string]any{name: value}).code(t)
	if name == "state" && o.params.Get("state") != value {
		t.Errorf("state came back with %d characters", len(o.params.Get("state")))
	}
}
