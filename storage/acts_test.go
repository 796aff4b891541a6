package storage_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/pgtest"
	"github.com/procura/procura/storage"
)

const minute = time.Minute

// same compares records as stored: an empty list is no list.
func same(t *testing.T, got, wanted any) {
	t.Helper()
	if diff := cmp.Diff(wanted, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("stored (-) and read (+) differ:\n%s", diff)
	}
}

func refusal(i fapi.Interaction, consentID string) fapi.Refusal {
	return fapi.Refusal{Issuer: issuer, Interaction: i.ID, PushedDigest: i.PushedDigest, ConsentID: consentID,
		ClientID: "tpp", Reason: "access_denied", Now: start.Add(minute)}
}

func openSame(t testing.TB, w *world) *storage.DB { return pgtest.Open(t, w.dsn, 4) }

func TestPushed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := pushed("p")
		ok(t, w.InsertPushed(t.Context(), p, once("a")))
		got, err := w.ReadPushed(t.Context(), issuer, p.Digest)
		ok(t, err)
		same(t, *got, p)
		_, err = w.ReadPushed(t.Context(), other, p.Digest)
		want(t, err, fapi.ErrNotFound)
		want(t, w.InsertPushed(t.Context(), pushed("q"), once("a")), fapi.ErrReplayed)
		_, err = w.ReadPushed(t.Context(), issuer, digest("push", "q"))
		want(t, err, fapi.ErrNotFound)
		want(t, w.InsertPushed(t.Context(), p, fapi.Once{}), fapi.ErrConflict)
	})
}

// A jti is kept apart by who sent it and to which issuer.
func TestOnceNamespaces(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ok(t, w.SpendOnce(t.Context(), fapi.Once{}))
		ok(t, w.SpendOnce(t.Context(), fapi.Once{}))
		a, b, c := once("a"), once("a"), once("a")
		b.Namespace, c.Issuer = "rival", other
		for _, o := range []fapi.Once{a, b, c} {
			ok(t, w.SpendOnce(t.Context(), o))
			want(t, w.SpendOnce(t.Context(), o), fapi.ErrReplayed)
		}
	})
}

func TestInteraction(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.push(t, "p")
		i := w.open(t, &p.Digest)
		got, err := w.ReadInteraction(t.Context(), issuer, i.ID)
		ok(t, err)
		same(t, *got, i)
		for _, id := range []string{"", "x", uuid.NewString(), "{" + i.ID + "}", i.ID + "' OR true --"} {
			_, err := w.ReadInteraction(t.Context(), issuer, id)
			want(t, err, fapi.ErrNotFound)
			want(t, w.RecordLogin(t.Context(), entry(id, start)), fapi.ErrConflict)
		}
		_, err = w.ReadInteraction(t.Context(), other, i.ID)
		want(t, err, fapi.ErrNotFound)

		want(t, w.RecordLogin(t.Context(), entry(i.ID, i.ExpiresAt)), fapi.ErrConflict)
		ok(t, w.RecordLogin(t.Context(), entry(i.ID, start)))
		want(t, w.RecordLogin(t.Context(), entry(i.ID, start)), fapi.ErrConflict)
		got, err = w.ReadInteraction(t.Context(), issuer, i.ID)
		ok(t, err)
		l := login()
		i.State, i.Login = fapi.InteractionLoggedIn, &l
		same(t, *got, i)
		want(t, w.InsertInteraction(t.Context(), i), fapi.ErrConflict)
	})
}

// The whole of a code: what completion stores is what redemption reads.
func TestCompletion(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.push(t, "p")
		consent := w.consent(t, "c")
		c := completion(w.loggedIn(t, &p.Digest), "k", "c")
		ok(t, w.CompleteAuthorization(t.Context(), c))
		got, err := w.ReadCode(t.Context(), issuer, c.Code.Digest)
		ok(t, err)
		consent.Status, consent.Customer, consent.UpdatedAt = fapi.ConsentAuthorised, "anna", c.Now
		same(t, *got, fapi.CodeState{Code: c.Code, Grant: c.Grant, Consent: &consent})
		spent, err := w.ReadPushed(t.Context(), issuer, p.Digest)
		ok(t, err)
		i, err := w.ReadInteraction(t.Context(), issuer, c.Interaction)
		ok(t, err)
		if !spent.Spent || i.State != fapi.InteractionCompleted {
			t.Errorf("pushed spent: %v, interaction %s", spent.Spent, i.State)
		}
		acts := w.acts(t)
		slices.Sort(acts)
		same(t, acts, []string{"consent.authorised", "consent.created", "grant.created"})
		_, err = w.ReadCode(t.Context(), other, c.Code.Digest)
		want(t, err, fapi.ErrNotFound)
	})
}

// What a completion refuses, and that it then changes nothing at all.
func TestCompletionRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p, q := w.push(t, "p"), w.push(t, "q")
		spent := w.push(t, "spent")
		ok(t, w.CompleteAuthorization(t.Context(), completion(w.loggedIn(t, &spent.Digest), "first", "")))
		for _, id := range []string{"c", "deleted", "rejected", "theirs", "his"} {
			w.consent(t, id)
		}
		ok(t, w.DeleteConsent(t.Context(), issuer, "tpp", "deleted", start, start))
		ok(t, w.RefuseInteraction(t.Context(), refusal(w.open(t, nil), "rejected")))
		foreign := fapi.Consent{ID: "foreign", Issuer: issuer, ClientID: "rival", Kind: "account-access",
			Status: fapi.ConsentAwaiting, CreatedAt: start, UpdatedAt: start}
		ok(t, w.InsertConsent(t.Context(), foreign))
		his := completion(w.loggedIn(t, nil), "his", "his")
		his.Grant.Customer = "bruno"
		ok(t, w.CompleteAuthorization(t.Context(), his))

		for name, c := range map[string]struct {
			break_ func(c *fapi.Completion)
			want   error
		}{
			"not logged in":          {func(c *fapi.Completion) { c.Interaction = w.open(t, &p.Digest).ID }, fapi.ErrSpent},
			"unknown interaction":    {func(c *fapi.Completion) { c.Interaction = uuid.NewString() }, fapi.ErrSpent},
			"expired interaction":    {func(c *fapi.Completion) { c.Now = start.Add(fapi.InteractionLife) }, fapi.ErrSpent},
			"another pushed request": {func(c *fapi.Completion) { c.PushedDigest = &q.Digest }, fapi.ErrSpent},
			"no pushed request":      {func(c *fapi.Completion) { c.PushedDigest = nil }, fapi.ErrSpent},
			"spent pushed request": {func(c *fapi.Completion) {
				c.Interaction, c.PushedDigest = w.loggedIn(t, &spent.Digest).ID, &spent.Digest
			}, fapi.ErrSpent},
			"another client's interaction": {func(c *fapi.Completion) { c.Grant.ClientID, c.Code.ClientID = "rival", "rival" }, fapi.ErrSpent},
			"another issuer's interaction": {func(c *fapi.Completion) { c.Grant.Issuer, c.Code.Issuer = other, other }, fapi.ErrSpent},
			"deleted consent":              {func(c *fapi.Completion) { c.Grant.ConsentID = "deleted" }, fapi.ErrConflict},
			"rejected consent":             {func(c *fapi.Completion) { c.Grant.ConsentID = "rejected" }, fapi.ErrConflict},
			"another client's consent":     {func(c *fapi.Completion) { c.Grant.ConsentID = "foreign" }, fapi.ErrConflict},
			"another customer's consent":   {func(c *fapi.Completion) { c.Grant.ConsentID = "his" }, fapi.ErrConflict},
			"unknown consent":              {func(c *fapi.Completion) { c.Grant.ConsentID = "none" }, fapi.ErrConflict},
		} {
			t.Run(name, func(t *testing.T) {
				i := w.loggedIn(t, &p.Digest)
				broken := completion(i, name, "c")
				c.break_(&broken)
				before := len(w.acts(t))
				want(t, w.CompleteAuthorization(t.Context(), broken), c.want)
				_, err := w.ReadCode(t.Context(), issuer, broken.Code.Digest)
				want(t, err, fapi.ErrNotFound)
				left, err := w.ReadInteraction(t.Context(), issuer, i.ID)
				ok(t, err)
				push, err := w.ReadPushed(t.Context(), issuer, p.Digest)
				ok(t, err)
				consent, err := w.ReadConsent(t.Context(), issuer, "c")
				ok(t, err)
				if left.State != fapi.InteractionLoggedIn || push.Spent || consent.Status != fapi.ConsentAwaiting || len(w.acts(t)) != before {
					t.Errorf("left behind: %s, pushed spent %v, consent %s", left.State, push.Spent, consent.Status)
				}
			})
		}
	})
}

func TestCompletionOfExpiredConsent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		consent := w.consent(t, "c")
		i := w.loggedIn(t, nil)
		c := completion(i, "k", "c")
		c.Now = consent.ExpiresAt
		want(t, w.CompleteAuthorization(t.Context(), c), fapi.ErrSpent) // the interaction is older still
		brief := fapi.Consent{ID: "brief", Issuer: issuer, ClientID: "tpp", Kind: "account-access",
			Status: fapi.ConsentAwaiting, CreatedAt: start, UpdatedAt: start, ExpiresAt: start.Add(minute)}
		ok(t, w.InsertConsent(t.Context(), brief))
		want(t, w.CompleteAuthorization(t.Context(), completion(i, "k", "brief")), fapi.ErrConflict)
	})
}

func TestRefuse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.push(t, "p")
		w.consent(t, "c")
		i := w.open(t, &p.Digest)
		foreign := refusal(i, "c")
		foreign.ClientID = "rival"
		want(t, w.RefuseInteraction(t.Context(), foreign), fapi.ErrSpent)
		ok(t, w.RefuseInteraction(t.Context(), refusal(i, "c")))
		want(t, w.RefuseInteraction(t.Context(), refusal(i, "c")), fapi.ErrSpent)
		want(t, w.RefuseInteraction(t.Context(), refusal(fapi.Interaction{ID: "x"}, "")), fapi.ErrSpent)
		push, err := w.ReadPushed(t.Context(), issuer, p.Digest)
		ok(t, err)
		c, err := w.ReadConsent(t.Context(), issuer, "c")
		ok(t, err)
		if !push.Spent || c.Status != fapi.ConsentRejected {
			t.Errorf("pushed spent %v, consent %s", push.Spent, c.Status)
		}
		same(t, w.acts(t), []string{"consent.created", "consent.rejected"})
		// An authorised consent survives a later refusal.
		w.consent(t, "d")
		w.code(t, "k", "d")
		ok(t, w.RefuseInteraction(t.Context(), refusal(w.loggedIn(t, nil), "d")))
		d, err := w.ReadConsent(t.Context(), issuer, "d")
		ok(t, err)
		if d.Status != fapi.ConsentAuthorised {
			t.Errorf("consent %s", d.Status)
		}
	})
}

func TestConsent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c := w.consent(t, "c")
		got, err := w.ReadConsent(t.Context(), issuer, "c")
		ok(t, err)
		same(t, *got, c)
		_, err = w.ReadConsent(t.Context(), other, "c")
		want(t, err, fapi.ErrNotFound)
		want(t, w.InsertConsent(t.Context(), c), fapi.ErrConflict)
		c.Status = fapi.ConsentAuthorised
		want(t, w.InsertConsent(t.Context(), c), fapi.ErrConflict)

		k := w.code(t, "k", "c")
		want(t, w.DeleteConsent(t.Context(), issuer, "rival", "c", k.Now, k.Now), fapi.ErrNotFound)
		want(t, w.DeleteConsent(t.Context(), issuer, "tpp", "d", k.Now, k.Now), fapi.ErrNotFound)
		ok(t, w.DeleteConsent(t.Context(), issuer, "tpp", "c", k.Now, k.Now.Add(time.Hour)))
		want(t, w.DeleteConsent(t.Context(), issuer, "tpp", "c", k.Now, k.Now), fapi.ErrConflict)
		s, err := w.ReadCode(t.Context(), issuer, k.Code.Digest)
		ok(t, err)
		if s.Grant.RevokedAt.IsZero() || s.Consent.Status != fapi.ConsentDeleted {
			t.Errorf("grant revoked at %v, consent %s", s.Grant.RevokedAt, s.Consent.Status)
		}
		if n := w.changes(t, fapi.ChangeConsent); len(n) != 1 || n[0].Value != "c" || !n[0].Revoked {
			t.Errorf("changes %v", n)
		}
	})
}

// Attack 72: a login gives the browser a new cookie, and what it has open moves
// along; decided interactions and other browsers stay as they are.
func TestLoginMovesTheBrowser(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first, second := w.open(t, nil), w.open(t, nil)
		foreign := entry(first.ID, start)
		foreign.OldCookie = digest("another browser")
		want(t, w.RecordLogin(t.Context(), foreign), fapi.ErrConflict)

		moved := entry(first.ID, start)
		moved.NewCookie = digest("new cookie")
		ok(t, w.RecordLogin(t.Context(), moved))
		for id, state := range map[string]string{first.ID: fapi.InteractionLoggedIn, second.ID: fapi.InteractionOpened} {
			got, err := w.ReadInteraction(t.Context(), issuer, id)
			ok(t, err)
			same(t, got.CookieDigest, digest("new cookie"))
			same(t, got.State, state)
		}
		want(t, w.RecordLogin(t.Context(), entry(second.ID, start)), fapi.ErrConflict) // the old cookie is dead
	})
}
