package token_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/engine"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/pgtest"
	"github.com/procura/procura/storage"
	"github.com/procura/procura/token"
)

const (
	callback = "https://tpp.example/cb"
	verifier = "verifier-verifier-verifier-verifier-verifier"
)

// till is a rig with the token endpoint on a real database.
type till struct {
	*rig
	store *storage.DB
	trips *pgtest.Counter
	codes *engine.Engine
}

func newTill(t *testing.T) *till {
	t.Helper()
	r := newRig(t)
	db, trips := pgtest.NewCounted(t)
	all := []*fapi.Client{}
	for _, id := range []string{tpp, stranger, keyed} {
		c := r.records[id]
		c.GrantTypes = []string{fapi.GrantAuthorizationCode, fapi.GrantRefreshToken, fapi.GrantClientCredentials}
		c.ResponseTypes, c.Scope = []string{"code id_token"}, "openid accounts offline_access"
		all = append(all, c)
	}
	must(t, db.PutClients(t.Context(), issuer.URL, all, "test", r.clock.Now()))
	codes, err := engine.New(engine.Config{Secret: bytes.Repeat([]byte{1}, 32)}, engine.Deps{Mint: r.mint, Now: r.clock.Now})
	must(t, err)
	service, err := token.New(token.Config{Issuer: issuer}, token.Deps{Store: db, Clients: r.auth, Engine: codes,
		Revoked: r.wake, Now: r.clock.Now, Rand: rand.Reader})
	must(t, err)
	mux := http.NewServeMux()
	mux.Handle("POST /token", service)
	r.serve(mux)
	return &till{rig: r, store: db, trips: trips, codes: codes}
}

// code takes a customer to a code; edit may change the request before.
func (r *till) code(clientID string, edit func(*fapi.AuthorizationRequest)) (fapi.Secret, string) {
	r.t.Helper()
	ctx, now := r.t.Context(), r.clock.Now()
	sum := sha256.Sum256([]byte(verifier))
	request := &fapi.AuthorizationRequest{ClientID: clientID, RedirectURI: callback, ResponseType: "code id_token",
		ResponseMode: "fragment", Scope: []string{"offline_access", "openid"}, Nonce: "n",
		CodeChallenge: base64.RawURLEncoding.EncodeToString(sum[:])}
	if edit != nil {
		edit(request)
	}
	grant := fapi.Grant{ID: uuid.NewString(), Issuer: issuer.URL, ClientID: clientID, Customer: "c7", Subject: "pairwise",
		Scope: request.Scope, AuthTime: now, CreatedAt: now}
	issued, err := r.codes.IssueCode(ctx, engine.CodeIssue{Client: r.records[clientID], Request: request, Grant: grant,
		IDToken: engine.IDTokenFor(&grant, "n", now, time.Minute, false), Life: time.Minute, Keep: 10 * time.Minute})
	must(r.t, err)
	id := uuid.NewString()
	must(r.t, r.store.InsertInteraction(ctx, fapi.Interaction{ID: id, Issuer: issuer.URL, ClientID: clientID,
		State: fapi.InteractionOpened, CreatedAt: now, ExpiresAt: now.Add(fapi.InteractionLife)}))
	must(r.t, r.store.RecordLogin(ctx, fapi.LoginRecord{Issuer: issuer.URL, Interaction: id,
		Login: fapi.Login{Customer: "c7", AuthTime: now}, Now: now}))
	must(r.t, r.store.CompleteAuthorization(ctx, fapi.Completion{Interaction: id, Grant: grant, Code: issued.Row, Now: now}))
	return issued.Code, grant.ID
}

// ask posts to the token endpoint with the client's certificate and, where it has
// a key, an assertion.
func (r *till) ask(clientID string, form url.Values) reply {
	r.t.Helper()
	if r.keys[clientID] != nil {
		return r.post(clientID, "/token", merge(form, r.assertion(clientID, uuid.NewString())))
	}
	return r.post(clientID, "/token", merge(form, url.Values{"client_id": {clientID}}))
}

func redeeming(code fapi.Secret) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code.Reveal()}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

func refreshing(raw any) url.Values {
	text, _ := raw.(string)
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text}}
}

var asApplication = url.Values{"grant_type": {"client_credentials"}, "scope": {"accounts"}}

// Design 1.5: what an operation may cost, once statements are prepared.
func TestRoundTripsOfTheTokenEndpoint(t *testing.T) {
	r := newTill(t)
	for _, id := range []string{keyed, tpp} { // prepares the statements
		code, _ := r.code(id, nil)
		r.ask(id, refreshing(r.ask(id, redeeming(code)).body["refresh_token"]))
		r.ask(id, asApplication)
	}
	for _, c := range []struct {
		id                       string
		application, code, fresh int
	}{
		{keyed, 1, 2, 1},
		{tpp, 0, 2, 1},
	} {
		count := func(what string, want int, form url.Values) reply {
			r.trips.Reset()
			got := r.ask(c.id, form)
			if n := r.trips.RoundTrips(); n != want || got.status != http.StatusOK {
				t.Errorf("%s of %s: %d round trips and %d %s, want %d", what, c.id, n, got.status, got.raw, want)
			}
			return got
		}
		count("client credentials", c.application, asApplication)
		code, _ := r.code(c.id, nil)
		got := count("code exchange", c.code, redeeming(code))
		count("refresh", c.fresh, refreshing(got.body["refresh_token"]))
	}
}

// tally asks 64 times at once and counts answers by error code, "" for success.
func (r *till) tally(ask func() reply) map[string]int {
	out, mu, all := map[string]int{}, sync.Mutex{}, sync.WaitGroup{}
	for range 64 {
		all.Go(func() {
			got := ask()
			code, _ := got.body["error"].(string)
			mu.Lock()
			defer mu.Unlock()
			out[code]++
		})
	}
	all.Wait()
	return out
}

// Attack 4: one code, 64 redemptions at once: one winner, and the replay that the
// others are revokes what it won.
func TestOneCodeOneWinner(t *testing.T) {
	r := newTill(t)
	for _, id := range []string{keyed, tpp} {
		code, grant := r.code(id, nil)
		got := r.tally(func() reply { return r.ask(id, redeeming(code)) })
		if got[""] != 1 || got["invalid_grant"] != 63 {
			t.Errorf("%s: %v", id, got)
		}
		state, err := r.store.ReadTokenState(t.Context(), fapi.TokenQuery{Issuer: issuer.URL, ClientID: id, JTI: "x", GrantID: grant, Now: r.clock.Now()})
		if err != nil || !state.Revoked {
			t.Errorf("%s: the grant of a replayed code lives: %+v %v", id, state, err)
		}
	}
}

// 64 refreshes of one token at once all succeed; none after a revocation has
// committed.
func TestRefreshesAllSucceedUntilRevoked(t *testing.T) {
	r := newTill(t)
	code, grant := r.code(tpp, nil)
	refresh := r.ask(tpp, redeeming(code)).body["refresh_token"]
	if got := r.tally(func() reply { return r.ask(tpp, refreshing(refresh)) }); got[""] != 64 {
		t.Errorf("before: %v", got)
	}
	must(t, r.store.RevokeGrant(t.Context(), fapi.GrantRevocation{Issuer: issuer.URL, GrantID: grant, Reason: "test",
		Now: r.clock.Now(), FeedUntil: r.clock.Now().Add(time.Hour)}))
	if got := r.tally(func() reply { return r.ask(tpp, refreshing(refresh)) }); got["invalid_grant"] != 64 {
		t.Errorf("after: %v", got)
	}
}

// Attack 41: one assertion, 64 requests at once.
func TestOneAssertionOneToken(t *testing.T) {
	r := newTill(t)
	form := merge(asApplication, r.assertion(keyed, uuid.NewString()))
	if got := r.tally(func() reply { return r.post(keyed, "/token", form) }); got[""] != 1 || got["invalid_client"] != 63 {
		t.Errorf("%v", got)
	}
}

// What is wrong with a redemption, by clause; the code is good afterwards unless
// it was replayed.
func TestRedemptionRefusals(t *testing.T) {
	set := func(name, value string) func(url.Values) { return func(f url.Values) { f.Set(name, value) } }
	for _, c := range []struct {
		name, as string
		edit     func(url.Values)
		want     string
	}{
		{"no code, RFC 6749 4.1.3", tpp, set("code", ""), "invalid_request"},
		{"unknown code", tpp, set("code", "nonsense"), "invalid_grant"},
		{"another client, attack 3", stranger, func(url.Values) {}, "invalid_grant"},
		{"other redirect_uri, OIDC Core 3.1.3.2", tpp, set("redirect_uri", callback+"/"), "invalid_grant"},
		{"no redirect_uri", tpp, set("redirect_uri", ""), "invalid_grant"},
		{"no verifier, RFC 7636 4.6", tpp, set("code_verifier", ""), "invalid_grant"},
		{"wrong verifier", tpp, set("code_verifier", strings.Repeat("x", 43)), "invalid_grant"},
		{"verifier of 42, attack 7", tpp, set("code_verifier", strings.Repeat("x", 42)), "invalid_grant"},
		{"verifier of 129", tpp, set("code_verifier", strings.Repeat("x", 129)), "invalid_grant"},
		{"verifier with a space", tpp, set("code_verifier", strings.Repeat("x ", 22)), "invalid_grant"},
		{"unknown grant, RFC 6749 5.2", tpp, set("grant_type", "password"), "unsupported_grant_type"},
		{"no grant", tpp, set("grant_type", ""), "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newTill(t)
			code, _ := r.code(tpp, nil)
			form := redeeming(code)
			c.edit(form)
			if got := r.ask(c.as, form); got.body["error"] != c.want || got.status != http.StatusBadRequest {
				t.Errorf("%d %s, want %s", got.status, got.raw, c.want)
			}
			if got := r.ask(tpp, redeeming(code)); got.status != http.StatusOK {
				t.Errorf("the code is burnt: %s", got.raw)
			}
		})
	}
}

// Attack 5 and FAPI 2 §5.3.2.1-11: a code lives 60 s, without grace. Attack 6: a
// verifier where the request had no challenge.
func TestLateAndDowngradedCodes(t *testing.T) {
	r := newTill(t)
	plain, _ := r.code(tpp, func(q *fapi.AuthorizationRequest) { q.CodeChallenge = "" })
	if got := r.ask(tpp, redeeming(plain)); got.body["error"] != "invalid_grant" {
		t.Errorf("downgrade: %s", got.raw)
	}
	code, _ := r.code(tpp, nil)
	r.clock.Advance(time.Minute)
	if got := r.ask(tpp, redeeming(code)); got.body["error"] != "invalid_grant" {
		t.Errorf("late: %s", got.raw)
	}
}

// F1A-04, RT-05, RT-08: no certificate no token; refresh tokens are their client's;
// scope never grows.
func TestBindingAndNarrowing(t *testing.T) {
	r := newTill(t)
	if got := r.post("", "/token", merge(asApplication, r.assertion(keyed, uuid.NewString()))); got.body["error"] != "invalid_request" {
		t.Errorf("without a certificate: %s", got.raw)
	}
	code, _ := r.code(tpp, nil)
	refresh := r.ask(tpp, redeeming(code)).body["refresh_token"]
	if got := r.ask(stranger, refreshing(refresh)); got.body["error"] != "invalid_grant" {
		t.Errorf("another's refresh token: %s", got.raw)
	}
	if got := r.ask(tpp, merge(refreshing(refresh), url.Values{"scope": {"openid accounts"}})); got.body["error"] != "invalid_scope" {
		t.Errorf("wider: %s", got.raw)
	}
	got := r.ask(tpp, merge(refreshing(refresh), url.Values{"scope": {"offline_access"}}))
	if got.body["scope"] != "offline_access" || got.body["id_token"] != nil || got.body["refresh_token"] != refresh {
		t.Errorf("narrower: %s", got.raw)
	}
	if got := r.ask(tpp, merge(asApplication, url.Values{"scope": {"openid"}})); got.body["error"] != "invalid_scope" {
		t.Errorf("a customer's scope for an application: %s", got.raw)
	}
}
