package storage_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/procura/procura/internal/fapi"
)

// crowd is how many wait for a lock at the same time: fewer than the pool has
// connections.
const crowd = 16

// pileUp holds what lock locks until crowd statements wait for it, lets go, and
// returns how many of them succeeded. Unlike a plain race it does not depend on
// who runs when: all have decided what they see before the first one may write.
func pileUp(t *testing.T, w *world, lock string, args []any, loses error, act func(i int) error) int {
	t.Helper()
	holder, err := pgx.Connect(t.Context(), w.dsn)
	ok(t, err)
	defer holder.Close(context.WithoutCancel(t.Context()))
	tx, err := holder.Begin(t.Context())
	ok(t, err)
	if tag, err := tx.Exec(t.Context(), lock, args...); err != nil || tag.RowsAffected() == 0 {
		t.Fatalf("holding the lock: %v, %v", tag, err)
	}
	released := make(chan error, 1)
	go func() { released <- release(t.Context(), w.dsn, tx) }()
	wins := race(t, crowd, loses, act)
	ok(t, <-released)
	return wins
}

// release rolls back once the crowd waits. It looks from a connection of its own:
// within a transaction the statistics stand still.
func release(ctx context.Context, dsn string, tx pgx.Tx) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second) // the statements' lock_timeout is longer
	defer cancel()
	for {
		var waiting int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		if err != nil || waiting >= crowd {
			rollback := tx.Rollback(context.WithoutCancel(ctx))
			if err != nil {
				return fmt.Errorf("waiting for the crowd, %d are there: %w", waiting, err)
			}
			return rollback
		}
	}
}

func TestPileUpPushed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.push(t, "p")
		list := make([]fapi.Completion, crowd)
		for i := range list {
			list[i] = completion(w.loggedIn(t, &p.Digest), fmt.Sprint(i), "")
		}
		wins := pileUp(t, w, `SELECT FROM pushed_requests WHERE digest = $1 FOR UPDATE`, []any{p.Digest.Bytes()}, fapi.ErrSpent,
			func(i int) error { return w.CompleteAuthorization(t.Context(), list[i]) })
		codes := 0
		for _, c := range list {
			if _, err := w.ReadCode(t.Context(), issuer, c.Code.Digest); err == nil {
				codes++
			}
		}
		if wins != 1 || codes != 1 {
			t.Errorf("%d winners, %d codes", wins, codes)
		}
	})
}

func TestPileUpInteraction(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		i := w.loggedIn(t, nil)
		wins := pileUp(t, w, `SELECT FROM interactions WHERE id = $1 FOR UPDATE`, []any{i.ID}, fapi.ErrSpent,
			func(n int) error {
				if n%2 == 0 {
					return w.RefuseInteraction(t.Context(), refusal(i, ""))
				}
				return w.CompleteAuthorization(t.Context(), completion(i, fmt.Sprint(n), ""))
			})
		if wins != 1 {
			t.Errorf("%d winners", wins)
		}
	})
}

func TestPileUpCode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c := w.code(t, "k", "")
		wins := pileUp(t, w, `SELECT FROM codes WHERE digest = $1 FOR UPDATE`, []any{c.Code.Digest.Bytes()}, fapi.ErrSpent,
			func(i int) error {
				r := redemption(c, once(fmt.Sprint(i)))
				r.Refresh.Digest = digest("refresh", i)
				return w.SpendCode(t.Context(), r)
			})
		if wins != 1 {
			t.Errorf("%d winners", wins)
		}
	})
}

// All wait for one insert of the jti, which then never happens.
func TestPileUpOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c := w.code(t, "k", "")
		o := once("a")
		wins := pileUp(t, w, `INSERT INTO assertion_ids (digest, namespace, issuer, expires_at) VALUES ($1, $2, $3, $4)`,
			[]any{o.Digest.Bytes(), o.Namespace, o.Issuer, start.Add(time.Hour)}, fapi.ErrReplayed,
			func(i int) error {
				switch i % 4 {
				case 0:
					return w.InsertPushed(t.Context(), pushed(fmt.Sprint(i)), o)
				case 1:
					_, err := w.ReadTokenState(t.Context(), fapi.TokenQuery{Issuer: issuer, ClientID: "tpp", Once: o, Now: start})
					return err
				case 2:
					return w.SpendCode(t.Context(), redemption(c, o))
				}
				return w.RevokeGrant(t.Context(), revocation(c, o))
			})
		if wins != 1 {
			t.Errorf("%d winners", wins)
		}
	})
}

// Everybody revokes, everybody is told that it is done, and it is done once.
func TestPileUpRevoke(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c, _ := w.refresh(t, "k", "")
		wins := pileUp(t, w, `SELECT FROM grants WHERE id = $1 FOR UPDATE`, []any{c.Grant.ID}, nil,
			func(i int) error { return w.RevokeGrant(t.Context(), revocation(c, once(fmt.Sprint(i)))) })
		if n := len(w.changes(t, fapi.ChangeGrant)); wins != crowd || n != 1 {
			t.Errorf("%d of %d answered, %d changes", wins, crowd, n)
		}
	})
}

// A decision on a consent that all wait for: no grant outlives its deletion.
func TestPileUpConsent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.consent(t, "c")
		list := make([]fapi.Completion, crowd)
		for i := range list {
			list[i] = completion(w.loggedIn(t, nil), fmt.Sprint(i), "c")
		}
		// At the strictest isolation one of a crowd wins each round, and a statement is
		// tried five times: who is left is told to come again.
		loses := fapi.ErrConflict
		if w.few < crowd {
			loses = fapi.ErrUnavailable
		}
		pileUp(t, w, `SELECT FROM consents WHERE id = $1 FOR UPDATE`, []any{"c"}, loses, func(i int) error {
			if i == crowd/2 {
				return w.DeleteConsent(t.Context(), issuer, "tpp", "c", start, start)
			}
			err := w.CompleteAuthorization(t.Context(), list[i])
			if w.few < crowd && errors.Is(err, fapi.ErrConflict) {
				return nil
			}
			return err
		})
		for i, c := range list {
			if s, err := w.ReadCode(t.Context(), issuer, c.Code.Digest); err == nil && s.Grant.RevokedAt.IsZero() && s.Consent.Status == fapi.ConsentDeleted {
				t.Errorf("grant %d is alive on a deleted consent", i)
			}
		}
	})
}
