package storage_test

import (
	"fmt"
	"testing"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/pgtest"
)

// What an operation costs is decided by its round trips: one statement each, once
// the connection knows the statement. A transaction around it, or a statement
// prepared anew, would be counted.
func TestRoundTrips(t *testing.T) {
	db, counter := pgtest.NewCounted(t)
	w := newWorld(t, db, "")
	w.consent(t, "c")
	w.code(t, "first", "c") // authorised now: a refusal leaves it alone
	fresh := 0
	jti := func() fapi.Once { fresh++; return once(fmt.Sprint(fresh)) }
	// Every act gets what it needs made beforehand, uncounted.
	code := func(t *testing.T) fapi.Completion { fresh++; return w.code(t, fmt.Sprint(fresh), "c") }
	for name, prepare := range map[string]func(t *testing.T) func() error{
		"SpendOnce": func(*testing.T) func() error {
			return func() error { return w.SpendOnce(t.Context(), jti()) }
		},
		"InsertPushed": func(*testing.T) func() error {
			return func() error { return w.InsertPushed(t.Context(), pushed(fmt.Sprint(fresh)), jti()) }
		},
		"CompleteAuthorization": func(t *testing.T) func() error {
			p := w.push(t, fmt.Sprint("complete", fresh))
			c := completion(w.loggedIn(t, &p.Digest), fmt.Sprint("complete", fresh), "c")
			fresh++
			return func() error { return w.CompleteAuthorization(t.Context(), c) }
		},
		"RefuseInteraction": func(t *testing.T) func() error {
			i := w.loggedIn(t, nil)
			return func() error { return w.RefuseInteraction(t.Context(), refusal(i, "c")) }
		},
		"ReadCode": func(t *testing.T) func() error {
			c := code(t)
			return func() error { _, err := w.ReadCode(t.Context(), issuer, c.Code.Digest); return err }
		},
		"SpendCode": func(t *testing.T) func() error {
			c := code(t)
			return func() error { return w.SpendCode(t.Context(), redemption(c, jti())) }
		},
		"ReadRefresh": func(t *testing.T) func() error {
			fresh++
			_, d := w.refresh(t, fmt.Sprint(fresh), "c")
			return func() error { _, err := w.ReadRefresh(t.Context(), issuer, d, jti()); return err }
		},
		"ReadTokenState": func(t *testing.T) func() error {
			c := code(t)
			return func() error {
				_, err := w.ReadTokenState(t.Context(), fapi.TokenQuery{Issuer: issuer, ClientID: "tpp", JTI: "t",
					GrantID: c.Grant.ID, ConsentID: "c", Once: jti(), Now: start})
				return err
			}
		},
		"RevokeGrant": func(t *testing.T) func() error {
			c := code(t)
			return func() error { return w.RevokeGrant(t.Context(), revocation(c, jti())) }
		},
		"RevokeToken": func(*testing.T) func() error {
			return func() error {
				return w.RevokeToken(t.Context(), fapi.TokenRevocation{Issuer: issuer, JTI: fmt.Sprint(fresh), Once: jti(), Now: start, ExpiresAt: start})
			}
		},
		"DeleteConsent": func(t *testing.T) func() error {
			fresh++
			c := w.consent(t, fmt.Sprint("gone", fresh))
			return func() error { return w.DeleteConsent(t.Context(), issuer, "tpp", c.ID, start, start) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			ok(t, prepare(t)()) // the connection learns the statement
			for range 7 {       // past the point where Postgres could change its plan
				act := prepare(t)
				counter.Reset()
				ok(t, act())
				if n := counter.RoundTrips(); n != 1 {
					t.Fatalf("%d round trips", n)
				}
			}
		})
	}
}
