package storage_test

import (
	"encoding/json"
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
			want(t, w.RecordLogin(t.Context(), issuer, id, login(), start), fapi.ErrConflict)
		}
		_, err = w.ReadInteraction(t.Context(), other, i.ID)
		want(t, err, fapi.ErrNotFound)

		want(t, w.RecordLogin(t.Context(), issuer, i.ID, login(), i.ExpiresAt), fapi.ErrConflict)
		ok(t, w.RecordLogin(t.Context(), issuer, i.ID, login(), start))
		want(t, w.RecordLogin(t.Context(), issuer, i.ID, login(), start), fapi.ErrConflict)
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

func TestSpendCode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c := w.code(t, "k", "")
		r := redemption(c, once("foreign"))
		r.ClientID = "rival"
		want(t, w.SpendCode(t.Context(), r), fapi.ErrSpent)
		r.ClientID, r.Issuer, r.Once = "tpp", other, fapi.Once{}
		want(t, w.SpendCode(t.Context(), r), fapi.ErrSpent)
		r.Issuer, r.Now = issuer, c.Code.ExpiresAt
		want(t, w.SpendCode(t.Context(), r), fapi.ErrSpent)
		// A jti that was seen leaves the code as it was.
		ok(t, w.SpendOnce(t.Context(), once("seen")))
		r = redemption(c, once("seen"))
		want(t, w.SpendCode(t.Context(), r), fapi.ErrReplayed)
		s, err := w.ReadCode(t.Context(), issuer, c.Code.Digest)
		ok(t, err)
		same(t, s.Code, c.Code)
		_, err = w.ReadRefresh(t.Context(), issuer, r.Refresh.Digest, fapi.Once{})
		want(t, err, fapi.ErrNotFound)

		r.Once = once("fresh")
		ok(t, w.SpendCode(t.Context(), r))
		want(t, w.SpendOnce(t.Context(), once("fresh")), fapi.ErrReplayed)
		s, err = w.ReadCode(t.Context(), issuer, c.Code.Digest)
		ok(t, err)
		if !s.Code.SpentAt.Equal(r.Now) {
			t.Errorf("spent at %v", s.Code.SpentAt)
		}
		r.Once = once("again")
		want(t, w.SpendCode(t.Context(), r), fapi.ErrSpent)
		want(t, w.SpendOnce(t.Context(), once("again")), fapi.ErrReplayed)

		refresh, err := w.ReadRefresh(t.Context(), issuer, r.Refresh.Digest, fapi.Once{})
		ok(t, err)
		r.Refresh.CreatedAt = r.Now
		same(t, *refresh, fapi.RefreshState{Refresh: *r.Refresh, Grant: c.Grant})
	})
}

// A revoked or expired grant has no codes.
func TestSpendCodeOfDeadGrant(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c := w.code(t, "k", "")
		ok(t, w.RevokeGrant(t.Context(), revocation(c, fapi.Once{})))
		want(t, w.SpendCode(t.Context(), redemption(c, fapi.Once{})), fapi.ErrSpent)
		d := completion(w.loggedIn(t, nil), "d", "")
		d.Grant.ExpiresAt = d.Now.Add(time.Second)
		ok(t, w.CompleteAuthorization(t.Context(), d))
		want(t, w.SpendCode(t.Context(), redemption(d, fapi.Once{})), fapi.ErrSpent)
	})
}

func TestReadRefresh(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.consent(t, "c")
		_, d := w.refresh(t, "k", "c")
		s, err := w.ReadRefresh(t.Context(), issuer, d, once("a"))
		ok(t, err)
		if s.Consent == nil || s.Consent.Status != fapi.ConsentAuthorised {
			t.Errorf("consent %v", s.Consent)
		}
		s, err = w.ReadRefresh(t.Context(), issuer, d, once("a"))
		want(t, err, fapi.ErrReplayed)
		if s != nil {
			t.Error("a replay learned something")
		}
		_, err = w.ReadRefresh(t.Context(), other, d, fapi.Once{})
		want(t, err, fapi.ErrNotFound)
		_, err = w.ReadRefresh(t.Context(), issuer, digest("none"), once("b"))
		want(t, err, fapi.ErrNotFound)
		want(t, w.SpendOnce(t.Context(), once("b")), fapi.ErrReplayed)
	})
}

func TestRevokeGrant(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c, d := w.refresh(t, "k", "")
		r := revocation(c, once("a"))
		r.ClientID = "rival"
		want(t, w.RevokeGrant(t.Context(), r), fapi.ErrNotFound)
		want(t, w.RevokeGrant(t.Context(), revocation(c, once("a"))), fapi.ErrReplayed)
		if s, err := w.ReadRefresh(t.Context(), issuer, d, fapi.Once{}); err != nil || !s.Grant.RevokedAt.IsZero() {
			t.Fatalf("revoked by a stranger or a replay: %v, %v", s, err)
		}
		ok(t, w.RevokeGrant(t.Context(), revocation(c, once("b"))))
		ok(t, w.RevokeGrant(t.Context(), revocation(c, once("c"))))
		s, err := w.ReadRefresh(t.Context(), issuer, d, fapi.Once{})
		ok(t, err)
		if s.Grant.Live(c.Now.Add(minute)) {
			t.Error("alive")
		}
		changes := w.changes(t, fapi.ChangeGrant)
		if len(changes) != 1 || changes[0].Value != c.Grant.ID || !changes[0].Revoked || !changes[0].ExpiresAt.Equal(c.Now.Add(time.Hour)) {
			t.Errorf("changes %v", changes)
		}
		same(t, w.acts(t), []string{"grant.created", "grant.revoked"})
		r.GrantID = "x"
		want(t, w.RevokeGrant(t.Context(), r), fapi.ErrNotFound)
	})
}

func TestTokenState(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.consent(t, "c")
		w.consent(t, "unused")
		c, _ := w.refresh(t, "k", "c")
		d, _ := w.refresh(t, "l", "")
		query := func(change func(q *fapi.TokenQuery)) *fapi.TokenState {
			t.Helper()
			q := fapi.TokenQuery{Issuer: issuer, ClientID: "tpp", JTI: "t1", GrantID: c.Grant.ID, ConsentID: "c", Now: c.Now}
			change(&q)
			s, err := w.ReadTokenState(t.Context(), q)
			ok(t, err)
			return s
		}
		s := query(func(*fapi.TokenQuery) {})
		if s.Revoked || s.Grant == nil || s.Consent == nil {
			t.Fatalf("state %+v", s)
		}
		same(t, *s.Grant, c.Grant)
		application := func(q *fapi.TokenQuery) { q.GrantID, q.ConsentID = "", "" }
		if s := query(application); s.Revoked || s.Grant != nil || s.Consent != nil {
			t.Errorf("application token: %+v", s)
		}
		for name, change := range map[string]func(q *fapi.TokenQuery){
			"unknown grant":           func(q *fapi.TokenQuery) { q.GrantID = uuid.NewString() },
			"malformed grant":         func(q *fapi.TokenQuery) { q.GrantID = "x" },
			"another client":          func(q *fapi.TokenQuery) { q.ClientID = "rival" },
			"unknown client":          func(q *fapi.TokenQuery) { q.ClientID = "nobody" },
			"another issuer":          func(q *fapi.TokenQuery) { q.Issuer = other },
			"unknown consent":         func(q *fapi.TokenQuery) { q.GrantID, q.ConsentID = "", "none" },
			"undecided consent":       func(q *fapi.TokenQuery) { q.GrantID, q.ConsentID = "", "unused" },
			"consent not the grant's": func(q *fapi.TokenQuery) { q.GrantID = d.Grant.ID },
			"expired grant":           func(q *fapi.TokenQuery) { q.Now = c.Grant.ExpiresAt },
		} {
			if s := query(change); !s.Revoked {
				t.Errorf("%s: alive", name)
			}
		}
		ok(t, w.RevokeToken(t.Context(), fapi.TokenRevocation{Issuer: issuer, ClientID: "tpp", JTI: "t1", Once: once("r"), Now: c.Now, ExpiresAt: c.Now.Add(minute)}))
		if !query(func(*fapi.TokenQuery) {}).Revoked || query(func(q *fapi.TokenQuery) { q.JTI = "t2" }).Revoked {
			t.Error("revocation by jti")
		}
		ok(t, w.DeleteConsent(t.Context(), issuer, "tpp", "c", c.Now, c.Now.Add(time.Hour)))
		if !query(func(q *fapi.TokenQuery) { q.JTI, q.ConsentID = "t2", "" }).Revoked {
			t.Error("alive on a deleted consent")
		}
		ok(t, w.DisableClient(t.Context(), issuer, "tpp", "op", c.Now, c.Now.Add(time.Hour)))
		if s := query(func(q *fapi.TokenQuery) { application(q); q.JTI = "t3" }); !s.Revoked {
			t.Error("alive for a disabled client")
		}
	})
}

func TestTokenStateSpendsJTI(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		q := fapi.TokenQuery{Issuer: issuer, ClientID: "tpp", JTI: "t", Once: once("a"), Now: start}
		_, err := w.ReadTokenState(t.Context(), q)
		ok(t, err)
		_, err = w.ReadTokenState(t.Context(), q)
		want(t, err, fapi.ErrReplayed)
		r := fapi.TokenRevocation{Issuer: issuer, JTI: "t", Once: once("a"), Now: start, ExpiresAt: start.Add(minute)}
		want(t, w.RevokeToken(t.Context(), r), fapi.ErrReplayed)
		r.Once = once("b")
		ok(t, w.RevokeToken(t.Context(), r))
		r.Once = once("c")
		ok(t, w.RevokeToken(t.Context(), r))
		if n := len(w.changes(t, fapi.ChangeToken)); n != 1 {
			t.Errorf("%d entries", n)
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

func TestClients(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		got, err := w.ReadClient(t.Context(), issuer, "tpp")
		ok(t, err)
		wanted := client("tpp")
		wanted.Issuer = issuer
		if diff := cmp.Diff(wanted, got, cmp.Transformer("json", func(m json.RawMessage) any {
			var v any
			_ = json.Unmarshal(m, &v)
			return v
		})); diff != "" {
			t.Error(diff)
		}
		_, err = w.ReadClient(t.Context(), other, "tpp")
		want(t, err, fapi.ErrNotFound)
		// The same again is no change; a new name is one.
		news := len(w.changes(t, fapi.ChangeClient))
		ok(t, w.PutClients(t.Context(), issuer, []*fapi.Client{client("tpp")}, "op", start))
		if n := len(w.changes(t, fapi.ChangeClient)); n != news {
			t.Errorf("%d entries for nothing", n-news)
		}
		renamed := client("tpp")
		renamed.Name = "New"
		ok(t, w.PutClients(t.Context(), issuer, []*fapi.Client{renamed}, "op", start))
		if n := len(w.changes(t, fapi.ChangeClient)); n != news+1 {
			t.Errorf("%d entries for a change", n-news)
		}
		// All or none.
		bad := client("fresh")
		bad.Profile = ""
		if err := w.PutClients(t.Context(), issuer, []*fapi.Client{client("fresh2"), bad}, "op", start); err == nil {
			t.Error("a client without a profile was stored")
		}
		list, err := w.ListClients(t.Context(), issuer)
		ok(t, err)
		if len(list) != 2 || list[0].ID != "rival" || list[1].Name != "New" {
			t.Errorf("list %v", list)
		}

		want(t, w.DisableClient(t.Context(), issuer, "nobody", "op", start, start), fapi.ErrNotFound)
		ok(t, w.DisableClient(t.Context(), issuer, "tpp", "op", start, start.Add(time.Hour)))
		ok(t, w.DisableClient(t.Context(), issuer, "tpp", "op", start, start.Add(time.Hour)))
		ok(t, w.PutClients(t.Context(), issuer, []*fapi.Client{client("tpp")}, "op", start))
		got, err = w.ReadClient(t.Context(), issuer, "tpp")
		ok(t, err)
		if !got.Disabled {
			t.Error("an import enabled a disabled client")
		}
		if !slices.ContainsFunc(w.changes(t, fapi.ChangeClient), func(c fapi.Change) bool { return c.Revoked && c.Value == "tpp" }) {
			t.Error("the feed does not know")
		}
	})
}

func key(kid, state string) fapi.SigningKey {
	k := fapi.SigningKey{KID: kid, Issuer: issuer, Use: "sig", Alg: "ES256", State: state, Public: []byte(`{"kty":"EC"}`),
		Sealed: []byte{1, 2, 3}, CreatedAt: start}
	return k
}

func TestKeys(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		enc := key("e1", fapi.KeyCurrent)
		enc.Use, enc.Alg = "enc", "ECDH-ES"
		ok(t, w.InsertKeys(t.Context(), issuer, []fapi.SigningKey{key("k1", fapi.KeyCurrent), key("k2", fapi.KeyNext), enc}, "op", start))
		want(t, w.InsertKeys(t.Context(), issuer, []fapi.SigningKey{key("k3", fapi.KeyNext)}, "op", start), fapi.ErrConflict)
		retire := start.Add(time.Hour)
		ok(t, w.RotateKeys(t.Context(), issuer, []fapi.SigningKey{key("k3", fapi.KeyNext)}, retire, start, "op"))
		states := func() map[string]string {
			keys, err := w.ReadKeys(t.Context(), issuer)
			ok(t, err)
			m := map[string]string{}
			for _, k := range keys {
				m[k.KID] = k.State
				if (k.State == fapi.KeyRetired) != k.RetireAt.Equal(retire) {
					t.Errorf("%s %s retires %v", k.KID, k.State, k.RetireAt)
				}
			}
			return m
		}
		same(t, states(), map[string]string{"e1": "current", "k1": "retired", "k2": "current", "k3": "next"})
		// An encryption key is replaced at once: nobody has to see it first.
		enc2 := enc
		enc2.KID = "e2"
		ok(t, w.RotateKeys(t.Context(), issuer, []fapi.SigningKey{enc2}, retire, start, "op"))
		// Without a next key to step in, a rotation would leave none.
		enc3 := enc
		enc3.KID, enc3.State = "e3", fapi.KeyNext
		want(t, w.RotateKeys(t.Context(), issuer, []fapi.SigningKey{enc3}, retire, start, "op"), fapi.ErrConflict)
		same(t, states(), map[string]string{"e1": "retired", "e2": "current", "k1": "retired", "k2": "current", "k3": "next"})
		if n := len(w.changes(t, fapi.ChangeKeys)); n != 3 {
			t.Errorf("%d entries of the feed", n)
		}
		secret, err := w.EnsureIssuer(t.Context(), issuer, []byte("one"), start)
		ok(t, err)
		again, err := w.EnsureIssuer(t.Context(), issuer, []byte("two"), start)
		ok(t, err)
		if string(secret) != "one" || string(again) != "one" {
			t.Errorf("secret %s, then %s", secret, again)
		}
	})
}

// Rows leave when nothing depends on them any more, and not before.
func TestSweep(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ok(t, w.SpendOnce(t.Context(), once("a")))
		p := w.push(t, "p")
		i := w.open(t, &p.Digest)
		revoked, d := w.refresh(t, "k", "")
		ok(t, w.RevokeGrant(t.Context(), revocation(revoked, fapi.Once{})))
		alive, e := w.refresh(t, "l", "")
		forever := completion(w.loggedIn(t, nil), "m", "")
		forever.Grant.ExpiresAt = time.Time{}
		ok(t, w.CompleteAuthorization(t.Context(), forever))

		n, err := w.Sweep(t.Context(), start.Add(time.Second), 2)
		if err != nil || n != 0 {
			t.Fatalf("swept %d, %v", n, err)
		}
		// The pushed request outlives its own expiry by an interaction.
		_, err = w.Sweep(t.Context(), p.ExpiresAt.Add(time.Second), 2)
		ok(t, err)
		_, err = w.ReadPushed(t.Context(), issuer, p.Digest)
		ok(t, err)

		later := start.Add(3 * time.Hour)
		_, err = w.Sweep(t.Context(), later, 2)
		ok(t, err)
		ok(t, w.SpendOnce(t.Context(), once("a")))
		_, err = w.ReadPushed(t.Context(), issuer, p.Digest)
		want(t, err, fapi.ErrNotFound)
		_, err = w.ReadInteraction(t.Context(), issuer, i.ID)
		want(t, err, fapi.ErrNotFound)
		_, err = w.ReadRefresh(t.Context(), issuer, d, fapi.Once{})
		want(t, err, fapi.ErrNotFound)
		s, err := w.ReadRefresh(t.Context(), issuer, e, fapi.Once{})
		ok(t, err)
		if !s.Grant.Live(later) {
			t.Error("a live grant was touched")
		}
		state := func(g fapi.Grant) *fapi.TokenState {
			s, err := w.ReadTokenState(t.Context(), fapi.TokenQuery{Issuer: issuer, ClientID: "tpp", JTI: "t", GrantID: g.ID, Now: later})
			ok(t, err)
			return s
		}
		if s := state(revoked.Grant); !s.Revoked || s.Grant != nil {
			t.Errorf("revoked grant: %+v", s)
		}
		if state(alive.Grant).Revoked || state(forever.Grant).Revoked {
			t.Error("a live grant is gone")
		}
		_, err = w.Sweep(t.Context(), start.AddDate(10, 0, 0), 1000)
		ok(t, err)
		if state(alive.Grant).Grant != nil || state(forever.Grant).Grant == nil {
			t.Error("an expired grant stays, or an open-ended one is gone")
		}
		if n, err := w.Sweep(t.Context(), start.AddDate(10, 0, 0), 1000); n != 0 || err != nil {
			t.Errorf("second sweep: %d, %v", n, err)
		}
		if _, err := w.Sweep(t.Context(), start, 0); err == nil {
			t.Error("a batch of 0 was accepted")
		}
	})
}

// The lease passes to another process only after it has run out.
func TestSweepLease(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		second := openSame(t, w)
		ok(t, w.SpendOnce(t.Context(), once("a")))
		later := start.AddDate(0, 0, 1)
		_, err := w.Sweep(t.Context(), later, 10)
		ok(t, err)
		old := once("b")
		ok(t, w.SpendOnce(t.Context(), old))
		if n, err := second.Sweep(t.Context(), later.Add(time.Second), 10); n != 0 || err != nil {
			t.Errorf("swept %d under another's lease, %v", n, err)
		}
		if n, err := second.Sweep(t.Context(), later.Add(time.Hour), 10); n == 0 || err != nil {
			t.Errorf("swept %d after the lease, %v", n, err)
		}
	})
}
