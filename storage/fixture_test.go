package storage_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/pgtest"
	"github.com/procura/procura/storage"
)

const (
	issuer = "https://bank.example"
	other  = "https://other.example"
)

// start is the tests' clock: storage has none.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a database with two clients, and what the tests make in it.
type world struct {
	*storage.DB
	dsn string
	// few is how many may fight for one row and all win: at the strictest isolation
	// each round has one winner, and a statement is tried five times.
	few int
}

// each runs a test at the default isolation and at the strictest, where races end
// in serialization failures instead of empty results.
func each(t *testing.T, run func(t *testing.T, w *world)) {
	for _, level := range []string{"read committed", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			dsn := pgtest.NewDSN(t) + "&default_transaction_isolation=" + strings.ReplaceAll(level, " ", "%20") +
				"&lock_timeout=30000&statement_timeout=60000" // a loaded machine is no finding
			w := newWorld(t, pgtest.Open(t, dsn, 24), dsn)
			if level == "serializable" {
				w.few = 4
			}
			run(t, w)
		})
	}
}

func newWorld(t testing.TB, db *storage.DB, dsn string) *world {
	t.Helper()
	w := &world{DB: db, dsn: dsn, few: racers}
	ok(t, db.PutClients(t.Context(), issuer, []*fapi.Client{client("tpp"), client("rival")}, "test", start))
	return w
}

func client(id string) *fapi.Client {
	return &fapi.Client{ID: id, Profile: "fapi2-security", Name: "TPP " + id, RedirectURIs: []string{"https://tpp.example/cb"},
		AuthMethod: fapi.AuthPrivateKeyJWT, JWKS: json.RawMessage(`{"keys": []}`)}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want checks that err is exactly the sentinel and no other of them.
func want(t testing.TB, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Fatalf("got %v, want %v", err, sentinel)
	}
	for _, e := range []error{fapi.ErrSpent, fapi.ErrReplayed, fapi.ErrConflict, fapi.ErrNotFound, fapi.ErrUnavailable} {
		if !errors.Is(e, sentinel) && errors.Is(err, e) {
			t.Fatalf("got %v, want only %v", err, sentinel)
		}
	}
}

func digest(parts ...any) fapi.Digest { return sha256.Sum256([]byte(fmt.Sprint(parts...))) }

func once(jti string) fapi.Once {
	return fapi.Once{Issuer: issuer, Namespace: "tpp", Digest: digest("jti", jti), ExpiresAt: start.Add(time.Hour).Unix()}
}

func (w *world) push(t testing.TB, name string) fapi.PushedRequest {
	t.Helper()
	p := pushed(name)
	ok(t, w.InsertPushed(t.Context(), p, fapi.Once{}))
	return p
}

func pushed(name string) fapi.PushedRequest {
	return fapi.PushedRequest{Digest: digest("push", name), Issuer: issuer, ClientID: "tpp", Request: request(),
		CreatedAt: start, ExpiresAt: start.Add(90 * time.Second)}
}

func request() fapi.AuthorizationRequest {
	maxAge := int64(60)
	return fapi.AuthorizationRequest{ClientID: "tpp", RedirectURI: "https://tpp.example/cb", ResponseType: "code",
		ResponseMode: "query", Scope: []string{"openid", "accounts"}, State: "s", MaxAge: &maxAge,
		Claims: fapi.ClaimsRequest{IDToken: map[string]*fapi.ClaimRequest{"acr": {Essential: true}, "name": nil}}}
}

func login() fapi.Login {
	return fapi.Login{Customer: "anna", ACR: "urn:sca", AMR: []string{"pwd", "otp"}, AuthTime: start,
		Accounts: []fapi.Account{{ID: "a1", Name: "Giro"}}, Claims: map[string]string{"name": "Anna"}}
}

// entry is a login of the fixture's browser, whose cookie stays what it is.
func entry(id string, at time.Time) fapi.LoginRecord {
	return fapi.LoginRecord{Issuer: issuer, Interaction: id, Login: login(), OldCookie: digest("cookie"),
		NewCookie: digest("cookie"), Now: at}
}

// open makes an interaction; a nil pushed digest is a request by value.
func (w *world) open(t testing.TB, pushed *fapi.Digest) fapi.Interaction {
	t.Helper()
	i := fapi.Interaction{ID: uuid.NewString(), Issuer: issuer, ClientID: "tpp", Request: request(), PushedDigest: pushed,
		CookieDigest: digest("cookie"), State: fapi.InteractionOpened, CreatedAt: start, ExpiresAt: start.Add(fapi.InteractionLife)}
	ok(t, w.InsertInteraction(t.Context(), i))
	return i
}

func (w *world) loggedIn(t testing.TB, pushed *fapi.Digest) fapi.Interaction {
	t.Helper()
	i := w.open(t, pushed)
	ok(t, w.RecordLogin(t.Context(), entry(i.ID, start)))
	return i
}

func (w *world) consent(t testing.TB, id string) fapi.Consent {
	t.Helper()
	c := fapi.Consent{ID: id, Issuer: issuer, ClientID: "tpp", Kind: "account-access", Permissions: []string{"ReadBalances"},
		Status: fapi.ConsentAwaiting, CreatedAt: start, UpdatedAt: start, ExpiresAt: start.AddDate(0, 3, 0)}
	ok(t, w.InsertConsent(t.Context(), c))
	return c
}

// completion is a valid one; the code's name keeps several apart.
func completion(i fapi.Interaction, code, consentID string) fapi.Completion {
	now := start.Add(time.Minute)
	g := fapi.Grant{ID: uuid.NewString(), Issuer: issuer, ClientID: "tpp", ConsentID: consentID, Customer: "anna",
		Subject: "pairwise", Scope: []string{"openid", "accounts"}, Claims: request().Claims, ACR: "urn:sca",
		AMR: []string{"pwd", "otp"}, AuthTime: start, Accounts: []string{"a1"}, Profile: map[string]string{"name": "Anna"},
		CreatedAt: now, ExpiresAt: now.AddDate(0, 3, 0)}
	return fapi.Completion{Interaction: i.ID, PushedDigest: i.PushedDigest, Grant: g, Now: now, Code: fapi.Code{
		Digest: digest("code", code), GrantID: g.ID, Issuer: issuer, ClientID: "tpp", RedirectURI: "https://tpp.example/cb",
		Nonce: "n", CodeChallenge: strings.Repeat("c", 43), Scope: g.Scope,
		CreatedAt: now, ExpiresAt: now.Add(time.Minute), KeepUntil: now.Add(time.Hour)}}
}

// code completes an authorization and returns what was stored.
func (w *world) code(t testing.TB, name, consentID string) fapi.Completion {
	t.Helper()
	c := completion(w.loggedIn(t, nil), name, consentID)
	ok(t, w.CompleteAuthorization(t.Context(), c))
	return c
}

func redemption(c fapi.Completion, o fapi.Once) fapi.Redemption {
	return fapi.Redemption{Code: c.Code.Digest, Issuer: issuer, ClientID: "tpp", Once: o, Now: c.Now.Add(time.Second),
		Refresh: &fapi.RefreshToken{Digest: digest("refresh", c.Grant.ID), GrantID: c.Grant.ID, Issuer: issuer, ClientID: "tpp",
			Scope: []string{"accounts"}}}
}

// refresh goes through a whole flow up to a refresh token.
func (w *world) refresh(t testing.TB, name, consentID string) (fapi.Completion, fapi.Digest) {
	t.Helper()
	c := w.code(t, name, consentID)
	r := redemption(c, fapi.Once{})
	ok(t, w.SpendCode(t.Context(), r))
	return c, r.Refresh.Digest
}

func revocation(c fapi.Completion, o fapi.Once) fapi.GrantRevocation {
	return fapi.GrantRevocation{Issuer: issuer, GrantID: c.Grant.ID, ClientID: "tpp", Reason: "revoked_by_client", Once: o,
		Now: c.Now.Add(time.Minute), FeedUntil: c.Now.Add(time.Hour)}
}

func (w *world) changes(t testing.TB, kind string) []fapi.Change {
	t.Helper()
	all, err := w.ChangesSince(t.Context(), issuer, start.Add(-time.Hour), start)
	ok(t, err)
	var list []fapi.Change
	for _, c := range all {
		if c.Kind == kind {
			list = append(list, c)
		}
	}
	return list
}

// acts returns the audited acts, oldest first and without the import of fixtures.
func (w *world) acts(t testing.TB) []string {
	t.Helper()
	rows, err := w.ListAudit(t.Context(), issuer, 1000)
	ok(t, err)
	var acts []string
	for i := len(rows) - 1; i >= 0; i-- {
		if rows[i].Act != "client.put" {
			acts = append(acts, rows[i].Act)
		}
	}
	return acts
}

// race lets n goroutines do the same thing at once and returns how often it
// succeeded; every loser must have got the sentinel.
func race(t *testing.T, n int, loses error, act func(i int) error) int {
	t.Helper()
	var wins atomic.Int64
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-gate
			err := act(i)
			switch {
			case err == nil:
				wins.Add(1)
			case loses == nil || !errors.Is(err, loses):
				t.Errorf("racer %d: %v, want %v", i, err, loses)
			}
		})
	}
	close(gate)
	wg.Wait()
	return int(wins.Load())
}
