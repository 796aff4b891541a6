package blackbox_test

import (
	"testing"
	"time"

	"github.com/procura/procura/internal/sandbox/browser"
)

// asks wants a claim of the id token in the way of OIDC Core §5.5.
func asks(name string, how map[string]any) map[string]any {
	return map[string]any{"claims": map[string]any{"id_token": map[string]any{name: how}}}
}

// bob is the bank's second customer.
var bob = customer{psu: 1, decision: "submit_button"}

func TestAttack74AnotherLogin(t *testing.T) {
	a := attack(t, 74, "what the signed request demands of the login is compared with the login: access_denied for an unmet acr, login_required for another customer or prompt=none; max_age and prompt=login ask again")
	subject := viaValue.request(t, a.victim).flow(t).id.Subject
	other := viaValue.request(t, a.mallory)
	leavesGranted(t, a.mallory, func() {
		want(t, other.set(asks("sub", map[string]any{"value": subject, "essential": true})).sendTo(t, bob), "fragment login_required")
		for _, p := range []plan{viaValue, viaPush, viaJARM} {
			want(t, p.request(t, a.mallory).set(asks("acr", map[string]any{"value": "urn:unknown", "essential": true})).send(t), p.front("access_denied"))
			want(t, p.request(t, a.mallory).set(map[string]any{"prompt": "none"}).send(t), p.front("login_required"))
		}
		r := viaValue.request(t, a.mallory).set(asks("acr", map[string]any{"values": []string{"urn:a", "urn:b"}, "essential": true}))
		r.outer.Set("claims", `{"id_token":{}}`) // tampering outside of the object changes nothing
		want(t, r.send(t), "fragment access_denied")
	})
	for _, demand := range []map[string]any{{"prompt": "login"}, {"max_age": 0}, {"max_age": "0"}} {
		v := house.visitor(t, 0)
		known := viaValue.request(t, a.victim)
		want(t, known.walk(t, v, first(known.entry(t)), agree), viaValue.success()) // the bank knows the browser from here on
		began := time.Now().Truncate(time.Second)
		r := viaValue.request(t, a.victim).set(demand)
		page, err := v.Open(t.Context(), first(r.entry(t)))
		if err != nil {
			t.Fatal(err)
		}
		if !page.Has("password") {
			t.Fatalf("%v: a known customer is not asked again", demand)
		}
		o := r.finish(t, v, page)
		if c := r.detached(t, o); c.AuthTime.Time().Before(began) {
			t.Errorf("%v: auth_time is %s, before %s", demand, c.AuthTime.Time(), began)
		}
		house.release(v)
	}
}

// finish takes a visitor from a login page to the client.
func (r *request) finish(t testing.TB, v *visitor, page *browser.Page) *outcome {
	t.Helper()
	login(t, page, v.psu)
	for range 2 {
		var err error
		if page, err = v.Submit(t.Context(), page, "submit_button"); err != nil {
			t.Fatal(err)
		}
	}
	return r.read(t, page.URL)
}

func first[A, B any](a A, _ B) A { return a }

// leavesGranted checks that nothing was granted or issued; interactions and pushed
// requests come and go.
func leavesGranted(t *testing.T, p *party, do func()) {
	t.Helper()
	before := left(t, p)
	do()
	nothingLeft(t, p, before, "interactions", "pushed_requests")
}

func TestAttack75Hints(t *testing.T) {
	a := attack(t, 75, "login_required for an id_token_hint or sub of another customer; invalid_request for a hint that is unsigned, forged or another client's")
	k := viaValue.request(t, a.victim).flow(t)
	hint := k.text("id_token")
	head, payload, signature := pieces(t, hint)
	foreign := viaValue.request(t, a.mallory).flow(t).text("id_token")
	for _, p := range bothWays {
		want(t, p.request(t, a.victim).set(map[string]any{"id_token_hint": hint}).send(t), p.success())
	}
	leavesGranted(t, a.victim, func() {
		for _, p := range bothWays {
			want(t, p.request(t, a.victim).set(map[string]any{"id_token_hint": hint}).sendTo(t, bob), p.front("login_required"))
			want(t, p.request(t, a.victim).set(asks("sub", map[string]any{"value": k.id.Subject})).sendTo(t, bob), p.front("login_required"))
			want(t, p.request(t, a.victim).set(asks("sub", map[string]any{"value": "nobody"})).send(t), p.front("login_required"))
			for _, bad := range []string{
				jws(t, with(head, map[string]any{"alg": "none"}), payload, unsigned), jws(t, head, payload, a.victim.signer.SignBytes),
				part(t, head) + "." + part(t, with(payload, map[string]any{"sub": "other"})) + "." + signature, foreign, "x", k.access,
			} {
				want(t, p.request(t, a.victim).set(map[string]any{"id_token_hint": bad}).send(t), p.refused("invalid_request"))
			}
		}
	})
}

func TestAttack78ForeignConsent(t *testing.T) {
	a := attack(t, 78, "access_denied for a consent that is another client's, unknown, rejected or deleted; the push itself is accepted; the tokens see the consented accounts alone")
	theirs := lodge(t, a.victim)
	own := viaValue.request(t, a.mallory)
	rejected := consented(t, own)
	want(t, own.sendTo(t, refuse), "fragment access_denied")
	leavesGranted(t, a.mallory, func() {
		for _, id := range []string{theirs, rejected, "unknown", "' OR 1=1--", "../" + theirs} {
			for _, p := range []plan{viaValue, viaPush, viaJARM} {
				r := p.request(t, a.mallory).set(asks("openbanking_intent_id", map[string]any{"value": id, "essential": true}))
				want(t, r.sendTo(t, glance), p.front("access_denied")) // no page is shown of it
			}
		}
	})
	r := viaValue.request(t, a.victim)
	id := consented(t, r)
	k := r.flow(t)
	_, claims, _ := pieces(t, k.access)
	if claims["consent_id"] != id {
		t.Errorf("the access token names %v", claims["consent_id"])
	}
	again := viaValue.request(t, a.victim).set(asks("openbanking_intent_id", map[string]any{"value": id, "essential": true}))
	leavesGranted(t, a.victim, func() { // what one customer agreed to is not another's to renew
		want(t, again.sendTo(t, bob), "fragment access_denied")
	})
	if g := accounts(t, a.victim.back, k.access); g.status != 200 {
		t.Errorf("the gateway answers %d", g.status)
	}
	want(t, again.send(t), viaValue.success())
}
