package consent_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/pgtest"
	"github.com/procura/procura/internal/profile"
	"github.com/procura/procura/storage"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// onPostgres is a desk over a real database that knows the two TPPs.
func onPostgres(t *testing.T) (*desk, *storage.DB, *pgtest.Counter) {
	t.Helper()
	db, trips := pgtest.NewCounted(t)
	d := newDeskOver(t, db, nil)
	var records []*fapi.Client
	for _, id := range []string{tpp, rival} {
		records = append(records, &fapi.Client{ID: id, Profile: profile.FAPI1Advanced, AuthMethod: fapi.AuthTLSClient,
			TLSSubjectDN: "CN=" + id, CertificateBound: true, Scope: "accounts"})
	}
	must(t, db.PutClients(t.Context(), issuer.URL, records, "test", d.now))
	return d, db, trips
}

// customer opens an interaction about a consent and logs its customer in.
func (d *desk) customer(db *storage.DB) string {
	d.t.Helper()
	id := uuid.NewString()
	must(d.t, db.InsertInteraction(d.t.Context(), fapi.Interaction{ID: id, Issuer: issuer.URL, ClientID: tpp,
		State: fapi.InteractionOpened, CreatedAt: d.now, ExpiresAt: d.now.Add(fapi.InteractionLife)}))
	must(d.t, db.RecordLogin(d.t.Context(), fapi.LoginRecord{Issuer: issuer.URL, Interaction: id,
		Login: fapi.Login{Customer: "c7", AuthTime: d.now}, Now: d.now}))
	return id
}

func (d *desk) authorise(db *storage.DB, consentID string) error {
	d.t.Helper()
	code, err := fapi.NewSecret(rand.Reader, 32)
	must(d.t, err)
	g := fapi.Grant{ID: uuid.NewString(), Issuer: issuer.URL, ClientID: tpp, ConsentID: consentID, Customer: "c7",
		Subject: "s7", Scope: []string{"accounts"}, AuthTime: d.now, CreatedAt: d.now}
	return db.CompleteAuthorization(d.t.Context(), fapi.Completion{Interaction: d.customer(db), Grant: g, Now: d.now,
		Code: fapi.Code{Digest: code.Digest(), GrantID: g.ID, Issuer: issuer.URL, ClientID: tpp, Scope: g.Scope,
			RedirectURI: "https://tpp.example/cb", CreatedAt: d.now, ExpiresAt: d.now.Add(time.Minute), KeepUntil: d.now.Add(time.Hour)}})
}

func (d *desk) reject(db *storage.DB, consentID string) error {
	d.t.Helper()
	return db.RefuseInteraction(d.t.Context(), fapi.Refusal{Issuer: issuer.URL, Interaction: d.customer(db),
		ConsentID: consentID, ClientID: tpp, Reason: "test", Now: d.now})
}

func (d *desk) remove(db *storage.DB, consentID string) error {
	return db.DeleteConsent(d.t.Context(), issuer.URL, tpp, consentID, d.now, d.now.Add(time.Hour))
}

// The statements that move a consent keep to the one transition table: from every
// state, each act moves it exactly when ConsentMayMove says so.
func TestStatementsKeepToTheStateMachine(t *testing.T) {
	d, db, _ := onPostgres(t)
	type act = func(*storage.DB, string) error
	acts := map[fapi.ConsentStatus]act{
		fapi.ConsentAuthorised: d.authorise, fapi.ConsentRejected: d.reject, fapi.ConsentDeleted: d.remove}
	for _, from := range []fapi.ConsentStatus{fapi.ConsentAwaiting, fapi.ConsentAuthorised, fapi.ConsentRejected, fapi.ConsentDeleted} {
		for to, move := range acts {
			_, id := d.lodge("v3.1")
			if from != fapi.ConsentAwaiting {
				must(t, acts[from](db, id))
			}
			err := move(db, id)
			c, readErr := db.ReadConsent(t.Context(), issuer.URL, id)
			must(t, readErr)
			want := from
			if fapi.ConsentMayMove(from, to) {
				want = to
			}
			if c.Status != want {
				t.Errorf("from %s to %s: it is %s, want %s (%v)", from, to, c.Status, want, err)
			}
			if err != nil && !errors.Is(err, fapi.ErrConflict) {
				t.Errorf("from %s to %s: %v", from, to, err)
			}
		}
	}
}

// What was lodged is read back the same, each act costs one round trip, and what
// another client tries changes nothing.
func TestConsentsOnPostgres(t *testing.T) {
	d, db, trips := onPostgres(t)
	path, id := d.lodge("v4.0")
	must(t, d.authorise(db, id))
	d.call(http.MethodGet, path, "", nil)
	warm, _ := d.lodge("v4.0")
	d.call(http.MethodDelete, warm, "", nil)

	trips.Reset()
	lodged := d.call(http.MethodPost, collection("v4.0"), good, nil)
	if n := trips.RoundTrips(); n != 1 || lodged.status != http.StatusCreated {
		t.Errorf("POST: %d, %d round trips", lodged.status, n)
	}
	own, _ := lodged.data("ConsentId").(string)
	trips.Reset()
	read := d.call(http.MethodGet, collection("v4.0")+"/"+own, "", nil)
	if n := trips.RoundTrips(); n != 1 || read.raw != lodged.raw {
		t.Errorf("GET: %s, want %s; %d round trips", read.raw, lodged.raw, n)
	}
	stranger := d.call(http.MethodDelete, path, "", func(r *http.Request) { r.Header.Set("X-Procura-Client", rival) })
	if stranger.code() != "U011" {
		t.Errorf("DELETE by another client: %d %s", stranger.status, stranger.raw)
	}
	if got := d.call(http.MethodGet, path, "", nil); got.data("Status") != "AUTH" {
		t.Errorf("after that: %s", got.raw)
	}
	trips.Reset()
	gone := d.call(http.MethodDelete, path, "", nil)
	if n := trips.RoundTrips(); n != 1 || gone.status != http.StatusNoContent {
		t.Errorf("DELETE: %d, %d round trips", gone.status, n)
	}
	if got := d.call(http.MethodGet, path, "", nil); got.status != http.StatusBadRequest {
		t.Errorf("after that: %d %s", got.status, got.raw)
	}
	changes, err := db.ChangesSince(t.Context(), issuer.URL, d.now.Add(-time.Minute), d.now)
	must(t, err)
	found := false
	for _, c := range changes {
		found = found || c.Kind == fapi.ChangeConsent && c.Value == id && c.Revoked
	}
	if !found {
		t.Errorf("the feed does not know: %v", changes)
	}
}
