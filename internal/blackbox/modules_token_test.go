package blackbox_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
)

// tokenModules are the rows about codes, refresh tokens and what they are bound to.
func tokenModules() []module {
	const ig = "400 invalid_grant"
	return []module{
		{prefix + "-ensure-client-id-in-token-endpoint", "401 invalid_client: client_id of the other client beside own credentials", nil, foreignClientID},
		{prefix + "-ensure-mtls-holder-of-key-required", "no certificate, no token: 400 invalid_request for private_key_jwt, 401 invalid_client for tls_client_auth", nil, holderOfKey},
		{prefix + "-ensure-authorization-code-is-bound-to-client", ig + "; the code stays good for its own client", nil, boundCode},
		{prefix + "-attempt-reuse-authorisation-code-after-one-second", ig + "; the first access token and refresh token are dead", nil, reusedCode},
		{prefix + "-ensure-pkce-code-verifier-required", ig, pushed, func(t *testing.T, p plan) { p.verifier(t, nil) }},
		{prefix + "-incorrect-pkce-code-verifier-rejected", ig, pushed, func(t *testing.T, p plan) { p.verifier(t, []string{rand.Text() + rand.Text()}) }},
		{prefix + "-refresh-token", "new tokens for both clients; no certificate and another client's token are refused", nil, refreshing},
	}
}

func foreignClientID(t *testing.T, p plan) {
	one, two := p.parties(t)
	r := p.request(t, one)
	o := r.code(t)
	want(t, p.redeem(t, one, merged(r.redemption(o), url.Values{"client_id": {two.id}})), "401 invalid_client")
	r.tokens(t, o)
}

// noCertificate is the refusal of a token request that comes without one.
func (p plan) noCertificate() string {
	if p.mtls {
		return "401 invalid_client"
	}
	return "400 invalid_request"
}

func holderOfKey(t *testing.T, p plan) {
	r := p.first(t)
	o := r.code(t)
	for _, address := range []string{house.meta.Aliases.Token, house.meta.Token} {
		form := merged(url.Values{"grant_type": {"authorization_code"}}, r.by.identify(t, address), r.redemption(o))
		want(t, post(t, house.front, address, form), p.noCertificate())
	}
	r.tokens(t, o)
	for _, address := range []string{house.meta.Aliases.Token, house.meta.Aliases.Userinfo, house.meta.Authorize} {
		checkTLS(t, address)
	}
}

func boundCode(t *testing.T, p plan) {
	one, two := p.parties(t)
	r := p.request(t, one)
	o := r.code(t)
	want(t, p.redeem(t, two, r.redemption(o)), "400 invalid_grant")
	r.tokens(t, o)
}

func reusedCode(t *testing.T, p plan) {
	r := p.first(t)
	o := r.code(t)
	k := r.tokens(t, o)
	want(t, userinfo(t, r.by.back, k.access), "200")
	want(t, p.redeem(t, r.by, r.redemption(o)), "400 invalid_grant")
	want(t, userinfo(t, r.by.back, k.access), "401 invalid_token")
	want(t, p.refresh(t, r.by, k.refresh, nil), "400 invalid_grant")
}

func (p plan) verifier(t *testing.T, wrong []string) {
	t.Helper()
	r := p.first(t)
	o := r.code(t)
	want(t, p.redeem(t, r.by, merged(r.redemption(o), url.Values{"code_verifier": wrong})), "400 invalid_grant")
	r.tokens(t, o)
}

// refresh asks for new tokens as by.
func (p plan) refresh(t testing.TB, by *party, token string, more url.Values) *reply {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	auth := by.identify(t, house.meta.Aliases.Token)
	return post(t, by.back, house.meta.Aliases.Token, merged(form, auth, more))
}

func refreshing(t *testing.T, p plan) {
	a, b := p.first(t), p.second(t)
	first, second := a.flow(t), b.flow(t)
	fresh := a.renewed(t, first, nil)
	fresher := b.renewed(t, second, url.Values{"scope": {allScopes}})
	want(t, userinfo(t, a.by.back, fresher.access), "401 invalid_token")
	want(t, p.refresh(t, a.by, fresher.refresh, nil), "400 invalid_grant")
	form := merged(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {fresh.refresh}}, a.by.identify(t, house.meta.Aliases.Token))
	want(t, post(t, house.front, house.meta.Aliases.Token, form), p.noCertificate())
}

// renewed refreshes and compares with what was before (OIDC Core §12.2).
func (r *request) renewed(t *testing.T, before tokens, more url.Values) tokens {
	t.Helper()
	if before.refresh == "" {
		t.Fatal("there is no refresh token")
	}
	after := r.checkTokens(t, r.plan.refresh(t, r.by, before.refresh, more))
	want(t, userinfo(t, r.by.back, after.access), "200")
	if after.access == before.access || after.refresh != before.refresh {
		t.Error("the access token must change, the refresh token must not")
	}
	if after.id.Subject != before.id.Subject || after.id.AuthTime != before.id.AuthTime || after.id.IssuedAt < before.id.IssuedAt {
		t.Errorf("the new id token says %+v, the old one %+v", after.id, before.id)
	}
	if !strings.Contains(after.header.Get("Cache-Control"), "no-store") {
		t.Error("the answer may be cached")
	}
	return after
}
