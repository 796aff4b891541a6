package storage_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/procura/procura/internal/fapi"
)

const racers = 64

// One assertion, one use (RFC 7523 §3, FAPI 2 §5.3.2.1).
func TestRaceOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		wins := race(t, racers, fapi.ErrReplayed, func(int) error { return w.SpendOnce(t.Context(), once("a")) })
		if wins != 1 {
			t.Errorf("%d winners", wins)
		}
	})
}

// The push that loses the race for a jti stores nothing.
func TestRacePushed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		wins := race(t, racers, fapi.ErrReplayed, func(i int) error {
			return w.InsertPushed(t.Context(), pushed(fmt.Sprint(i)), once("a"))
		})
		stored := 0
		for i := range racers {
			if _, err := w.ReadPushed(t.Context(), issuer, pushed(fmt.Sprint(i)).Digest); err == nil {
				stored++
			}
		}
		if wins != 1 || stored != 1 {
			t.Errorf("%d winners, %d stored", wins, stored)
		}
	})
}

// One code, one redemption (RFC 6749 §4.1.2), each racer with an assertion of its own.
func TestRaceCode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c := w.code(t, "k", "")
		wins := race(t, racers, fapi.ErrSpent, func(i int) error {
			r := redemption(c, once(fmt.Sprint(i)))
			r.Refresh.Digest = digest("refresh", i)
			return w.SpendCode(t.Context(), r)
		})
		stored := 0
		for i := range racers {
			if _, err := w.ReadRefresh(t.Context(), issuer, digest("refresh", i), fapi.Once{}); err == nil {
				stored++
			}
			want(t, w.SpendOnce(t.Context(), once(fmt.Sprint(i))), fapi.ErrReplayed)
		}
		if wins != 1 || stored != 1 {
			t.Errorf("%d winners, %d refresh tokens", wins, stored)
		}
	})
}

// A code and its assertion sent many times: one wins, the others are replays, and
// the code was spent by the winner.
func TestRaceCodeSameJTI(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c := w.code(t, "k", "")
		wins := race(t, racers, fapi.ErrReplayed, func(int) error { return w.SpendCode(t.Context(), redemption(c, once("a"))) })
		if wins != 1 {
			t.Errorf("%d winners", wins)
		}
	})
}

// Two tabs of one pushed request: one answer (RFC 9126 §4), and the losers leave
// nothing behind.
func TestRaceCompletionSamePushed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.push(t, "p")
		list := make([]fapi.Completion, racers)
		for i := range list {
			list[i] = completion(w.loggedIn(t, &p.Digest), fmt.Sprint(i), "")
		}
		wins := race(t, racers, fapi.ErrSpent, func(i int) error { return w.CompleteAuthorization(t.Context(), list[i]) })
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

// One interaction, one decision, agreed and refused at once.
func TestRaceDecision(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.push(t, "p")
		i := w.loggedIn(t, &p.Digest)
		w.consent(t, "c")
		wins := race(t, racers, fapi.ErrSpent, func(n int) error {
			if n%2 == 0 {
				return w.RefuseInteraction(t.Context(), refusal(i, "c"))
			}
			return w.CompleteAuthorization(t.Context(), completion(i, fmt.Sprint(n), "c"))
		})
		c, err := w.ReadConsent(t.Context(), issuer, "c")
		ok(t, err)
		if wins != 1 || (c.Status != fapi.ConsentAuthorised && c.Status != fapi.ConsentRejected) {
			t.Errorf("%d winners, consent %s", wins, c.Status)
		}
	})
}

// Several authorizations of one consent by its customer all stand.
func TestRaceSameConsent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.consent(t, "c")
		list := make([]fapi.Completion, w.few)
		for i := range list {
			list[i] = completion(w.loggedIn(t, nil), fmt.Sprint(i), "c")
		}
		wins := race(t, len(list), nil, func(i int) error { return w.CompleteAuthorization(t.Context(), list[i]) })
		if wins != len(list) {
			t.Errorf("%d of %d completed", wins, len(list))
		}
	})
}

// Whatever the order of a deletion and of authorizations on the same consent, no
// grant outlives the consent.
func TestRaceDeleteConsent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.consent(t, "c")
		list := make([]fapi.Completion, w.few)
		for i := range list {
			list[i] = completion(w.loggedIn(t, nil), fmt.Sprint(i), "c")
		}
		race(t, len(list)+1, fapi.ErrConflict, func(i int) error {
			if i == len(list) {
				return w.DeleteConsent(t.Context(), issuer, "tpp", "c", start, start)
			}
			return w.CompleteAuthorization(t.Context(), list[i])
		})
		for i, c := range list {
			s, err := w.ReadCode(t.Context(), issuer, c.Code.Digest)
			if err != nil {
				want(t, err, fapi.ErrNotFound)
				continue
			}
			if s.Grant.RevokedAt.IsZero() {
				t.Errorf("grant %d is alive on a deleted consent", i)
			}
		}
	})
}

// Refresh tokens are not rotated: parallel refreshes all succeed, and none is
// alive once a revocation has committed.
func TestRaceRefresh(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c, d := w.refresh(t, "k", "")
		read := func(i int, alive bool) error {
			s, err := w.ReadRefresh(t.Context(), issuer, d, once(fmt.Sprint(alive, i)))
			if err == nil && s.Grant.Live(c.Now.Add(2*minute)) != alive {
				return fmt.Errorf("live: %v", !alive)
			}
			return err
		}
		if wins := race(t, racers, nil, func(i int) error { return read(i, true) }); wins != racers {
			t.Errorf("%d of %d refreshes", wins, racers)
		}
		ok(t, w.RevokeGrant(t.Context(), revocation(c, fapi.Once{})))
		race(t, racers, nil, func(i int) error { return read(i, false) })
	})
}

// The revocation comes while refreshes are under way: a refresh that began after
// it had returned sees a dead grant.
func TestRaceRefreshRevoke(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c, d := w.refresh(t, "k", "")
		revoked := make(chan struct{})
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for {
					over := false
					select {
					case <-revoked:
						over = true
					default:
					}
					s, err := w.ReadRefresh(t.Context(), issuer, d, fapi.Once{})
					if err != nil || (over && s.Grant.RevokedAt.IsZero()) {
						t.Errorf("revoked before: %v, got %v, %v", over, s, err)
						return
					}
					if over {
						return
					}
				}
			})
		}
		err := w.RevokeGrant(t.Context(), revocation(c, fapi.Once{}))
		close(revoked)
		wg.Wait()
		ok(t, err)
	})
}

// Many revocations of one grant are one: a single change and audit row.
func TestRaceRevoke(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c, _ := w.refresh(t, "k", "")
		wins := race(t, racers, nil, func(i int) error { return w.RevokeGrant(t.Context(), revocation(c, once(fmt.Sprint(i)))) })
		if n := len(w.changes(t, fapi.ChangeGrant)); wins != racers || n != 1 {
			t.Errorf("%d of %d answered, %d changes", wins, racers, n)
		}
	})
}

// Processes that start together make one set of keys and one secret.
func TestRaceStart(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		wins := race(t, 16, fapi.ErrConflict, func(i int) error {
			return w.InsertKeys(t.Context(), issuer, []fapi.SigningKey{
				key(fmt.Sprint("c", i), fapi.KeyCurrent), key(fmt.Sprint("n", i), fapi.KeyNext)}, "start", start)
		})
		keys, err := w.ReadKeys(t.Context(), issuer)
		ok(t, err)
		if wins != 1 || len(keys) != 2 {
			t.Errorf("%d winners, %d keys", wins, len(keys))
		}
		var mu sync.Mutex
		secrets := map[string]int{}
		race(t, 16, nil, func(i int) error {
			s, err := w.EnsureIssuer(t.Context(), issuer, []byte{byte(i), 1}, start)
			mu.Lock()
			defer mu.Unlock()
			secrets[string(s)]++
			return err
		})
		if len(secrets) != 1 {
			t.Errorf("%d secrets", len(secrets))
		}
	})
}

// Rotations at once: none leaves an algorithm with two current keys or without one.
func TestRaceRotate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ok(t, w.InsertKeys(t.Context(), issuer, []fapi.SigningKey{key("c", fapi.KeyCurrent), key("n", fapi.KeyNext)}, "start", start))
		race(t, 4, fapi.ErrConflict, func(i int) error {
			return w.RotateKeys(t.Context(), issuer, []fapi.SigningKey{key(fmt.Sprint(i), fapi.KeyNext)}, start, start, "op")
		})
		keys, err := w.ReadKeys(t.Context(), issuer)
		ok(t, err)
		states := map[string]int{}
		for _, k := range keys {
			states[k.State]++
		}
		if states[fapi.KeyCurrent] != 1 || states[fapi.KeyNext] != 1 {
			t.Errorf("states %v", states)
		}
	})
}

// Two sweepers at once: one of them works.
func TestRaceSweep(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		second := newWorld(t, openSame(t, w), w.dsn)
		for i := range 50 {
			ok(t, w.SpendOnce(t.Context(), once(fmt.Sprint(i))))
		}
		later := start.AddDate(1, 0, 0)
		var mu sync.Mutex
		var counts []int
		race(t, 2, nil, func(i int) error {
			db := []*world{w, second}[i]
			n, err := db.Sweep(t.Context(), later, 7)
			mu.Lock()
			defer mu.Unlock()
			counts = append(counts, n)
			return err
		})
		if min(counts[0], counts[1]) != 0 || max(counts[0], counts[1]) < 50 {
			t.Errorf("swept %v", counts)
		}
	})
}
