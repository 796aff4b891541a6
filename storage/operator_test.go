package storage_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/procura/procura/internal/fapi"
)

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
