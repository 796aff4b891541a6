package blackbox_test

import (
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
)

func TestAttack60RefreshTokens(t *testing.T) {
	a := attack(t, 60, "invalid_grant for another client and after revocation, invalid_client without authentication, invalid_scope for more than was granted")
	r := viaValue.request(t, a.victim).set(map[string]any{"scope": "openid offline_access"})
	k := r.flow(t)
	before := left(t, a.victim)
	leavesNothing(t, a.mallory)
	want(t, viaValue.refresh(t, a.mallory, k.refresh, nil), invalidGrant)
	want(t, viaValue.refresh(t, a.mallory, k.refresh, url.Values{"client_id": {a.victim.id}}), invalidClient)
	bare := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {k.refresh}}
	want(t, post(t, a.victim.back, house.meta.Aliases.Token, bare), invalidClient)
	want(t, post(t, a.victim.back, house.meta.Aliases.Token, merged(bare, url.Values{"client_id": {a.victim.id}})), invalidClient)
	for _, scope := range []string{"openid offline_access accounts", "admin", "openid admin"} {
		want(t, viaValue.refresh(t, a.victim, k.refresh, url.Values{"scope": {scope}}), "400 invalid_scope")
	}
	for _, wrong := range []string{k.refresh + "x", k.refresh[:len(k.refresh)-1], strings.ToUpper(k.refresh), k.access, "x"} {
		want(t, viaValue.refresh(t, a.victim, wrong, nil), invalidGrant)
	}
	narrow := viaValue.refresh(t, a.victim, k.refresh, url.Values{"scope": {"openid"}})
	if want(t, narrow, "200"); narrow.text("scope") != "openid" {
		t.Errorf("scope is %q", narrow.text("scope"))
	}
	nothingLeft(t, a.victim, before)
	want(t, revoke(t, a.victim, k.refresh), "200")
	want(t, viaValue.refresh(t, a.victim, k.refresh, nil), invalidGrant)
	want(t, userinfo(t, a.victim.back, k.access), invalidToken)
	want(t, userinfo(t, a.victim.back, narrow.text("access_token")), invalidToken)
}

// revoke revokes a token as its client, or as somebody else.
func revoke(t testing.TB, p *party, token string) *reply {
	t.Helper()
	return post(t, p.back, house.meta.Aliases.Revoke, merged(url.Values{"token": {token}}, p.identify(t, house.Issuer)))
}

// introspect asks about a token as a client.
func introspect(t testing.TB, p *party, token string) *reply {
	t.Helper()
	return post(t, p.back, house.meta.Aliases.Introspect, merged(url.Values{"token": {token}}, p.identify(t, house.Issuer)))
}

func TestAttack62Races(t *testing.T) {
	a := attack(t, 62, "a hundred refreshes at once agree; no token of a refresh in flight outlives a revocation; a client that was disabled is 401 invalid_client soon")
	r := viaValue.request(t, a.victim)
	k := r.flow(t)
	before := left(t, a.victim)
	for _, answer := range parallel(100, func() *reply { return viaValue.refresh(t, a.victim, k.refresh, nil) }) {
		if want(t, answer, "200"); answer.text("refresh_token") != k.refresh {
			t.Error("there is a second lineage")
		}
	}
	nothingLeft(t, a.victim, before)

	answers := make(chan []*reply)
	go func() {
		answers <- parallel(40, func() *reply { return viaValue.refresh(t, a.victim, k.refresh, nil) })
	}()
	want(t, revoke(t, a.victim, k.refresh), "200")
	want(t, viaValue.refresh(t, a.victim, k.refresh, nil), invalidGrant)
	for _, answer := range <-answers {
		if answer.status != http.StatusOK {
			want(t, answer, invalidGrant)
			continue
		}
		want(t, userinfo(t, a.victim.back, answer.text("access_token")), invalidToken)
	}
	disabled(t)
}

// disabled: a client that the operator disables while it pushes.
func disabled(t *testing.T) {
	t.Helper()
	p := who(t, special(62, "gone"))
	r := viaValue.request(t, p)
	k := r.flow(t)
	code := r.code(t)
	push := viaPush.request(t, p)
	uri := push.pushedURI(t)
	out, err := exec.CommandContext(t.Context(), house.procura, "clients", "disable", "--config", house.Path(house.ConfigFile), p.id).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "a disabled client cannot push", func() bool { return viaPush.request(t, p).pushIt(t).String() == invalidClient })
	want(t, viaValue.redeem(t, p, r.redemption(code)), invalidClient)
	want(t, viaValue.refresh(t, p, k.refresh, nil), invalidClient)
	want(t, push.open(t, at(p, uri), agree), "page 400 invalid_request")
	want(t, userinfo(t, p.back, k.access), invalidToken)
}

func TestAttack63Introspection(t *testing.T) {
	a := attack(t, 63, "401 without authentication; {\"active\":false} and nothing more about other people's tokens")
	r := viaValue.request(t, a.victim)
	k := r.flow(t)
	elsewhere := who(t, special(63, "api"))
	for _, p := range []*party{a.mallory, elsewhere} {
		for _, token := range []string{k.access, k.refresh, k.text("id_token"), "x", k.access + "x"} {
			if got := introspect(t, p, token); got.String() != "200" || len(got.body) != 1 || got.body["active"] != false {
				t.Errorf("%s: %s %v", p.spec.name, got, got.body)
			}
		}
	}
	for _, token := range []string{k.access, k.refresh} {
		if got := introspect(t, a.victim, token); got.body["active"] != true || got.text("client_id") != a.victim.id {
			t.Errorf("the owner is told %v", got.body)
		}
	}
	want(t, post(t, house.front, house.meta.Introspect, url.Values{"token": {k.access}}), invalidClient)
	want(t, post(t, house.front, house.meta.Introspect, url.Values{"token": {k.access}, "client_id": {a.victim.id}}), invalidClient)
	if got := introspect(t, a.victim, k.access); got.text("customer") != "" || got.body["accounts"] != nil {
		t.Error("a client is told who its customer is at the bank")
	}
}

func TestAttack64Revocation(t *testing.T) {
	a := attack(t, 64, "invalid_grant for another client's token, which stays alive; 200 for what does not exist; 401 without authentication")
	r := viaValue.request(t, a.victim)
	k := r.flow(t)
	before := left(t, a.victim)
	leavesNothing(t, a.mallory)
	for _, token := range []string{k.access, k.refresh} {
		want(t, revoke(t, a.mallory, token), invalidGrant)
		want(t, post(t, house.front, house.meta.Revoke, url.Values{"token": {token}}), invalidClient)
		want(t, post(t, house.front, house.meta.Revoke, url.Values{"token": {token}, "client_id": {a.victim.id}}), invalidClient)
	}
	for _, token := range []string{"x", strings.Repeat("A", 43), k.access + "x"} {
		want(t, revoke(t, a.mallory, token), "200")
	}
	nothingLeft(t, a.victim, before)
	want(t, userinfo(t, a.victim.back, k.access), "200")
	r.renewed(t, k, nil)
	want(t, revoke(t, a.victim, k.access), "200")
	want(t, userinfo(t, a.victim.back, k.access), invalidToken)
	want(t, viaValue.refresh(t, a.victim, k.refresh, nil), "200") // the grant goes on
}

func TestAttack66FetchElsewhere(t *testing.T) {
	attack(t, 66, "401 invalid_client when jwks_uri leads to a private address in any spelling, or redirects; not one packet gets there")
	for _, name := range house.ssrf() {
		p := who(t, name)
		before := left(t, p)
		want(t, credentialsWith(t, p.back, p.identify(t, house.Issuer)), invalidClient)
		r := viaPush.request(t, p)
		want(t, r.pushIt(t), invalidClient)
		want(t, viaValue.request(t, p).send(t), "fragment invalid_request_object without state")
		nothingLeft(t, p, before)
	}
	if n := house.trap.hits.Load(); n > 0 {
		t.Errorf("the server called the trap %d times", n)
	}
}
