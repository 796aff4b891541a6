package storage_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/fapi"
)

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
