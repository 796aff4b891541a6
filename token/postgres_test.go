package token_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/pgtest"
	"github.com/procura/procura/storage"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// onPostgres is a revocationRig over a real database with all clients in it.
func onPostgres(t *testing.T) (*rig, *storage.DB, *pgtest.Counter) {
	t.Helper()
	r := newRig(t)
	db, trips := pgtest.NewCounted(t)
	r.db = db
	all := make([]*fapi.Client, 0, len(r.records))
	for _, c := range r.records {
		all = append(all, c)
	}
	must(t, db.PutClients(t.Context(), issuer.URL, all, "test", r.clock.Now()))
	mux := http.NewServeMux()
	mux.Handle("/revoke", newRevocation(t, r))
	mux.Handle("/introspect", newIntrospection(t, r))
	r.serve(mux)
	return r, db, trips
}

// granted goes the whole way to a grant with a consent and a refresh token.
func (r *rig) granted(db *storage.DB, clientID string) (*fapi.Grant, string) {
	r.t.Helper()
	ctx, now := r.t.Context(), r.clock.Now()
	g := r.grant(clientID)
	g.CreatedAt = now
	must(r.t, db.InsertConsent(ctx, fapi.Consent{ID: g.ConsentID, Issuer: issuer.URL, ClientID: clientID,
		Kind: "account-access", Permissions: []string{"ReadAccountsBasic"}, Status: fapi.ConsentAwaiting,
		CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(24 * time.Hour)}))
	id := uuid.NewString()
	must(r.t, db.InsertInteraction(ctx, fapi.Interaction{ID: id, Issuer: issuer.URL, ClientID: clientID,
		State: fapi.InteractionOpened, CreatedAt: now, ExpiresAt: now.Add(fapi.InteractionLife)}))
	must(r.t, db.RecordLogin(ctx, fapi.LoginRecord{Issuer: issuer.URL, Interaction: id,
		Login: fapi.Login{Customer: g.Customer, AuthTime: g.AuthTime}, Now: now}))
	code, refresh := r.secret(), r.secret()
	must(r.t, db.CompleteAuthorization(ctx, fapi.Completion{Interaction: id, Grant: *g, Now: now,
		Code: fapi.Code{Digest: code.Digest(), GrantID: g.ID, Issuer: issuer.URL, ClientID: clientID, Scope: g.Scope,
			RedirectURI: "https://tpp.example/cb", CreatedAt: now, ExpiresAt: now.Add(time.Minute), KeepUntil: now.Add(time.Hour)}}))
	must(r.t, db.SpendCode(ctx, fapi.Redemption{Code: code.Digest(), Issuer: issuer.URL, ClientID: clientID, Now: now,
		Refresh: &fapi.RefreshToken{Digest: refresh.Digest(), GrantID: g.ID, Issuer: issuer.URL, ClientID: clientID,
			Scope: g.Scope, CreatedAt: now}}))
	return g, refresh.Reveal()
}

func (r *rig) secret() fapi.Secret {
	r.t.Helper()
	s, err := fapi.NewSecret(rand.Reader, 32)
	must(r.t, err)
	return s
}

// once asks with a fresh assertion and then again with the same: the second time
// must fail. The first must have cost so many round trips.
func (r *rig) once(trips *pgtest.Counter, cost int, path, raw string) reply {
	r.t.Helper()
	form := merge(url.Values{"token": {raw}}, r.assertion(keyed, uuid.NewString()))
	trips.Reset()
	got := r.post("", path, form)
	if n := trips.RoundTrips(); n != cost {
		r.t.Errorf("%s: %d round trips, want %d", path, n, cost)
	}
	if again := r.post("", path, form); again.status != http.StatusUnauthorized {
		r.t.Errorf("%s: a replayed assertion answers %d %s", path, again.status, again.raw)
	}
	return got
}

// Design 1.5, 1.6, REV-03: the life of tokens on the real statements.
func TestTokensOnPostgres(t *testing.T) {
	r, db, trips := onPostgres(t)
	g, refresh := r.granted(db, keyed)
	access, sibling := r.userToken(g, nil), r.userToken(g, nil)
	foreign := r.userToken(r.grant(tpp), nil)
	for _, raw := range []string{access, refresh, foreign, "a.b.c", "opaque"} { // prepares the statements
		r.introspect(keyed, raw)
	}
	for _, raw := range []string{foreign, "opaque"} {
		r.revoke(keyed, raw)
	}
	for _, raw := range []string{access, refresh} {
		if got := r.once(trips, 1, "/introspect", raw); got.body["active"] != true || got.body["grant_id"] != g.ID {
			t.Fatalf("alive, and introspected as %s", got.raw)
		}
	}
	for _, raw := range []string{foreign, "a.b.c", "opaque"} {
		r.inactive(r.once(trips, 1, "/introspect", raw))
	}
	if got := r.introspect(bank, access); got.body["customer"] != g.Customer || got.body["consent_status"] != "authorised" {
		t.Errorf("the bank's API sees %s", got.raw)
	}
	if got := r.once(trips, 1, "/revoke", foreign); got.body["error"] != "invalid_grant" {
		t.Errorf("another's token: %s", got.raw)
	}
	_, spare := r.granted(db, keyed)
	r.done(r.revoke(keyed, r.userToken(g, nil)))
	r.done(r.revoke(keyed, spare))
	r.done(r.once(trips, 1, "/revoke", access))
	r.inactive(r.introspect(bank, access))
	if got := r.introspect(bank, sibling); got.body["active"] != true {
		t.Errorf("its sibling: %s", got.raw)
	}
	r.done(r.once(trips, 2, "/revoke", refresh))
	r.inactive(r.introspect(bank, sibling))
	r.inactive(r.introspect(keyed, refresh))
}

// A consent that its TPP deletes, and a client that the operator disables, end
// what names them.
func TestEndsFromElsewhereOnPostgres(t *testing.T) {
	r, db, _ := onPostgres(t)
	now := r.clock.Now()
	g, refresh := r.granted(db, keyed)
	access := r.userToken(g, nil)
	must(t, db.DeleteConsent(t.Context(), issuer.URL, keyed, g.ConsentID, now, now.Add(time.Hour)))
	r.inactive(r.introspect(bank, access))
	r.inactive(r.introspect(keyed, refresh))
	app := r.appToken(tpp)
	if got := r.introspect(bank, app); got.body["active"] != true {
		t.Fatalf("alive, and introspected as %s", got.raw)
	}
	must(t, db.DisableClient(t.Context(), issuer.URL, tpp, "test", now, now.Add(time.Hour)))
	r.inactive(r.introspect(bank, app))
}

// CA-06: of 64 requests with one assertion one is served, whatever they ask.
func TestOneAssertionServesOnce(t *testing.T) {
	r := newRig(t)
	db := pgtest.New(t)
	r.db = db
	must(t, db.PutClients(t.Context(), issuer.URL, []*fapi.Client{r.records[keyed]}, "test", r.clock.Now()))
	mux := http.NewServeMux()
	mux.Handle("/revoke", newRevocation(t, r))
	mux.Handle("/introspect", newIntrospection(t, r))
	r.serve(mux)
	for _, path := range []string{"/introspect", "/revoke"} {
		for _, raw := range []string{r.userToken(r.grant(keyed), nil), "opaque", "a.b.c"} {
			form := merge(url.Values{"token": {raw}}, r.assertion(keyed, uuid.NewString()))
			var served, refused atomic.Int64
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					switch got := r.post("", path, form); got.status {
					case http.StatusOK:
						served.Add(1)
					case http.StatusUnauthorized:
						refused.Add(1)
					default:
						t.Errorf("%s: %d %s", path, got.status, got.raw)
					}
				})
			}
			all.Wait()
			if served.Load() != 1 || refused.Load() != 63 {
				t.Errorf("%s about %.8s: %d served, %d refused", path, raw, served.Load(), refused.Load())
			}
		}
	}
}

// Design 1.6: two processes, and a commit that comes later than its time says.
func TestHubsOnPostgres(t *testing.T) {
	dsn := pgtest.NewDSN(t)
	here, there := pgtest.Open(t, dsn, 2), pgtest.Open(t, dsn, 2)
	clock := &hands{now: time.Now()}
	one, two := newWatch(t, here, clock.Now), newWatch(t, there, clock.Now)
	commit := func(db *storage.DB, jti string, at time.Time) {
		t.Helper()
		must(t, db.RevokeToken(t.Context(), fapi.TokenRevocation{Issuer: issuer.URL, ClientID: tpp, JTI: jti,
			Now: at, ExpiresAt: clock.Now().Add(10 * time.Minute)}))
		for _, w := range []*watch{one, two} {
			w.hub.Wake()
			select {
			case got := <-w.told:
				if got.Kind != fapi.ChangeToken || got.Value != jti || !got.Revoked {
					t.Errorf("told %+v, want %s", got, jti)
				}
			case <-time.After(patient):
				t.Fatalf("%s was never told", jti)
			}
		}
	}
	start := clock.Now()
	commit(here, "first", start)
	clock.Advance(14 * time.Second)
	commit(there, "second", clock.Now())
	commit(there, "late", start.Add(time.Second))
	clock.Advance(time.Second)
	commit(here, "third", clock.Now())
}
