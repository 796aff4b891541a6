package blackbox_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const invalidGrant = "400 invalid_grant"

func TestAttack01MixUp(t *testing.T) {
	a := attack(t, 1, "iss on success and error in every mode; a code that leaked to a rogue server is worth nothing to another client")
	for _, p := range []plan{viaValue, viaJARM, viaPush} { // iss is compared for each answer that comes back
		want(t, p.request(t, a.victim).send(t), p.success())
		want(t, p.request(t, a.victim).sendTo(t, refuse), p.front("access_denied"))
	}
	r := viaPush.request(t, a.victim)
	o := r.code(t)
	leavesNothing(t, a.mallory)
	want(t, viaPush.redeem(t, a.mallory, r.redemption(o)), invalidGrant)
	own := merged(r.redemption(o), url.Values{"redirect_uri": {a.mallory.redirect}})
	want(t, viaPush.redeem(t, a.mallory, own), invalidGrant)
}

func TestAttack02CodeInjection(t *testing.T) {
	a := attack(t, 2, "invalid_grant: the code_verifier of the attacker's session is not that of the victim's code")
	victim, own := viaPush.request(t, a.victim), viaPush.request(t, a.victim)
	stolen := victim.code(t)
	own.code(t)
	before := left(t, a.victim)
	want(t, viaPush.redeem(t, a.victim, own.redemption(stolen)), invalidGrant)
	nothingLeft(t, a.victim, before)
}

func TestAttack03CodeOfAnotherClient(t *testing.T) {
	a := attack(t, 3, "invalid_grant; a stranger does not burn the code")
	r := viaValue.request(t, a.victim)
	o := r.code(t)
	before := left(t, a.victim)
	leavesNothing(t, a.mallory)
	want(t, viaValue.redeem(t, a.mallory, r.redemption(o)), invalidGrant)
	nothingLeft(t, a.victim, before)
	r.tokens(t, o)
}

func TestAttack04CodeReplay(t *testing.T) {
	a := attack(t, 4, "one 200 of fifty at once, invalid_grant for the rest and later; the tokens are dead at userinfo at once, at the gateway as soon as its feed says so")
	r := viaValue.request(t, a.victim)
	consented(t, r)
	o := r.code(t)
	before := left(t, a.victim)
	answers := parallel(50, func() *reply { return viaValue.redeem(t, a.victim, r.redemption(o)) })
	var won *reply
	for _, answer := range answers {
		switch {
		case answer.status == http.StatusOK && won == nil:
			won = answer
		default:
			want(t, answer, invalidGrant)
		}
	}
	if won == nil {
		t.Fatal("nobody got tokens")
	}
	nothingLeft(t, a.victim, before, "grants revoked", "codes spent", "refresh_tokens")
	after := left(t, a.victim)
	if after["codes spent"] != before["codes spent"]+1 || after["refresh_tokens"] != before["refresh_tokens"]+1 || after["grants revoked"] != before["grants revoked"]+1 {
		t.Errorf("before %v, after %v", before, after)
	}
	want(t, userinfo(t, a.victim.back, won.text("access_token")), "401 invalid_token")
	want(t, viaValue.refresh(t, a.victim, won.text("refresh_token"), nil), invalidGrant)
	eventually(t, "the gateway refuses the access token", func() bool {
		return accounts(t, a.victim.back, won.text("access_token")).status == http.StatusUnauthorized
	})
	want(t, viaValue.redeem(t, a.victim, r.redemption(o)), invalidGrant)
}

func TestAttack05CodeTooLateOrElsewhere(t *testing.T) {
	a := attack(t, 5, "invalid_grant at 61 seconds, and with another redirect_uri or none")
	r := viaValue.request(t, a.victim)
	o := r.code(t)
	before := left(t, a.victim)
	for _, uri := range [][]string{{a.mallory.redirect}, {a.victim.redirect + "/"}, nil} {
		want(t, viaValue.redeem(t, a.victim, merged(r.redemption(o), url.Values{"redirect_uri": uri})), invalidGrant)
	}
	passes(t, o.params.Get("code"), 61*time.Second)
	want(t, viaValue.redeem(t, a.victim, r.redemption(o)), invalidGrant)
	nothingLeft(t, a.victim, before)
}

func TestAttack06ChallengeDropped(t *testing.T) {
	a := attack(t, 6, "invalid_request from PAR; by value invalid_grant for a code_verifier that nothing asked for")
	push := viaPush.request(t, a.victim).set(map[string]any{"code_challenge": nil, "code_challenge_method": nil})
	want(t, push.pushIt(t), "400 invalid_request")
	r := viaValue.request(t, a.victim)
	o := r.code(t)
	before := left(t, a.victim)
	want(t, viaValue.redeem(t, a.victim, merged(r.redemption(o), url.Values{"code_verifier": {rand.Text() + rand.Text()}})), invalidGrant)
	nothingLeft(t, a.victim, before)
}

func TestAttack07WeakPKCE(t *testing.T) {
	a := attack(t, 7, "invalid_request for every method but S256; invalid_grant for verifiers of 42 or 129 characters or with forbidden ones")
	leavesNothing(t, a.mallory)
	for _, method := range []any{"plain", "s256", nil, ""} {
		for _, p := range bothWays {
			r := p.request(t, a.mallory)
			r.pkce()
			want(t, r.set(map[string]any{"code_challenge_method": method}).send(t), p.refused("invalid_request"))
		}
	}
	good := rand.Text() + rand.Text()
	for _, v := range []string{good[:42], strings.Repeat("a", 129), good[:42] + "!", good[:42] + "é", good + " "} {
		r := viaPush.request(t, a.victim)
		r.challenge(v) // of which the digest is right
		o := r.code(t)
		before := left(t, a.victim)
		want(t, viaPush.redeem(t, a.victim, r.redemption(o)), invalidGrant)
		nothingLeft(t, a.victim, before)
	}
	for _, v := range []string{good[:43], strings.Repeat("a", 128)} {
		r := viaPush.request(t, a.victim)
		r.challenge(v)
		r.flow(t)
	}
}

// parallel does the same n times at once.
func parallel[T any](n int, do func() T) []T {
	out := make([]T, n)
	var all sync.WaitGroup
	for i := range out {
		all.Go(func() { out[i] = do() })
	}
	all.Wait()
	return out
}

// soon is how long a revocation may take to reach the gateway, and on a busy
// machine a little more.
const soon = 5 * time.Second

// eventually asks until the answer is yes.
func eventually(t testing.TB, what string, ask func() bool) {
	t.Helper()
	for limit := time.Now().Add(soon); !ask(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not within %s: %s", soon, what)
		}
	}
}
