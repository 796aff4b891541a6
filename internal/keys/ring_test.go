package keys_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/keys"
)

var algs = []string{jose.ES256, jose.PS256}

func TestNewRefuses(t *testing.T) {
	deps := keys.Deps{Store: copyStore(), Now: newClock().now, Rand: rand.Reader}
	for name, change := range map[string]func(*keys.Config, *keys.Deps){
		"issuer":       func(c *keys.Config, _ *keys.Deps) { c.Issuer = "" },
		"KEK":          func(c *keys.Config, _ *keys.Deps) { c.KEK = nil },
		"short KEK":    func(c *keys.Config, _ *keys.Deps) { c.KEK = c.KEK[:16] },
		"zero KEK":     func(c *keys.Config, _ *keys.Deps) { c.KEK = make([]byte, 32) },
		"retire after": func(c *keys.Config, _ *keys.Deps) { c.RetireAfter = 0 },
		"store":        func(_ *keys.Config, d *keys.Deps) { d.Store = nil },
		"clock":        func(_ *keys.Config, d *keys.Deps) { d.Now = nil },
		"randomness":   func(_ *keys.Config, d *keys.Deps) { d.Rand = nil },
	} {
		cfg, deps := config(), deps
		change(&cfg, &deps)
		if _, err := keys.New(cfg, deps); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestUnopenedRingGivesNothing(t *testing.T) {
	ring := newRing(t, copyStore(), newClock())
	if _, err := ring.Signer(jose.ES256); !errors.Is(err, fapi.ErrNotFound) {
		t.Errorf("signer: %v", err)
	}
	if ring.Public() != nil || ring.Decrypters() != nil || ring.PairwiseSubject("a", "b") != "" || ring.DerivedSecret("x") != nil {
		t.Error("an unopened ring gave something")
	}
}

func TestOpenMakesWhatIsMissing(t *testing.T) {
	store := copyStore()
	ring := openRing(t, store, newClock())
	if len(store.rows) != 6 {
		t.Fatalf("%d rows", len(store.rows))
	}
	var set struct {
		Keys []struct{ KID, Use, Alg, D, P, K string }
	}
	if err := json.Unmarshal(ring.Public().JSON(), &set); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, k := range set.Keys {
		count[k.Use+" "+k.Alg]++
		if k.D+k.P+k.K != "" || k.KID == "" {
			t.Errorf("key %q", k.KID)
		}
	}
	if fmt.Sprint(count) != "map[enc ECDH-ES:1 enc RSA-OAEP-256:1 sig ES256:2 sig PS256:2]" {
		t.Errorf("published: %v", count)
	}
	checkWorks(t, ring)
	if _, err := ring.Signer("RS256"); !errors.Is(err, fapi.ErrNotFound) {
		t.Errorf("RS256: %v", err)
	}
	store.rows = store.rows[1:] // a slot is empty again
	if err := ring.Open(t.Context(), "test"); err != nil || len(store.rows) != 6 {
		t.Errorf("%d rows, %v", len(store.rows), err)
	}
}

// checkWorks signs and encrypts with the ring and checks it by its public half.
func checkWorks(t *testing.T, ring *keys.Ring) {
	t.Helper()
	for _, alg := range algs {
		if _, _, err := jose.Verify(sign(t, ring, alg), ring.Public(), algs); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
	for _, alg := range []string{jose.RSAOAEP256, jose.ECDHES} {
		if err := decrypt(ring, encrypt(t, ring, alg)); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func sign(t *testing.T, ring *keys.Ring, alg string) string {
	t.Helper()
	s, err := ring.Signer(alg)
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Sign("JWT", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func encrypt(t *testing.T, ring *keys.Ring, alg string) string {
	t.Helper()
	out, err := jose.Encrypt([]byte("x"), ring.Public(), alg, jose.A256GCM, "")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func decrypt(ring *keys.Ring, token string) error {
	_, err := jose.Decrypt(token, ring.Decrypters(), []string{jose.RSAOAEP256, jose.ECDHES}, []string{jose.A256GCM})
	return err
}

// TestOpenTogether: processes that start at once end with the same keys and the
// same secret.
func TestOpenTogether(t *testing.T) {
	store := &memory{secrets: map[string][]byte{}}
	rings := make([]*keys.Ring, 4)
	var wg sync.WaitGroup
	for i := range rings {
		rings[i] = newRing(t, store, newClock())
		wg.Go(func() {
			if err := rings[i].Open(t.Context(), "test"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(store.rows) != 6 {
		t.Fatalf("%d rows", len(store.rows))
	}
	for _, ring := range rings[1:] {
		if !bytes.Equal(ring.Public().JSON(), rings[0].Public().JSON()) || ring.PairwiseSubject("s", "c") != rings[0].PairwiseSubject("s", "c") {
			t.Error("two processes, two rings")
		}
	}
}

// TestRotation follows one key from next to gone: no token is refused before its
// signer has left the JWKS, and nobody encrypts to a retired key.
func TestRotation(t *testing.T) {
	store, c := copyStore(), newClock()
	ring := openRing(t, store, c)
	other := openRing(t, store, c) // another process, not told yet
	tokens, sealed := []string{sign(t, ring, jose.ES256), sign(t, ring, jose.PS256)}, encrypt(t, ring, jose.ECDHES)
	oldEnc := kidOf(t, sealed)
	subject, before := ring.PairwiseSubject("s", "c"), ring.Public()

	if err := ring.Rotate(t.Context(), "operator"); err != nil {
		t.Fatal(err)
	}
	checkWorks(t, ring)
	for _, alg := range algs {
		token := sign(t, ring, alg)
		if !before.HasKID(kidOf(t, token)) {
			t.Errorf("%s signs with a key that was not published before", alg)
		}
		if _, _, err := jose.Verify(token, other.Public(), algs); err != nil {
			t.Errorf("the other process refuses a new token: %v", err)
		}
		tokens = append(tokens, sign(t, other, alg))
	}
	if ring.Public().HasKID(oldEnc) || decrypt(ring, sealed) != nil {
		t.Error("a retired encryption key must open, and must not be offered")
	}
	if ring.PairwiseSubject("s", "c") != subject {
		t.Error("rotation changed a subject")
	}
	c.pass(retireAfter - time.Second)
	checkTokens(t, ring, tokens, true)
	c.pass(time.Second) // without a reload
	checkTokens(t, ring, tokens, false)
	if decrypt(ring, sealed) == nil {
		t.Error("an encryption key outlived its time")
	}
	if err := ring.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkTokens(t, ring, tokens, false)
	checkWorks(t, ring)
}

func checkTokens(t *testing.T, ring *keys.Ring, tokens []string, want bool) {
	t.Helper()
	for _, token := range tokens {
		if _, _, err := jose.Verify(token, ring.Public(), algs); (err == nil) != want {
			t.Errorf("accepted: %v, wanted %v", err == nil, want)
		}
	}
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	h, err := jose.ParseHeader(token)
	if err != nil {
		t.Fatal(err)
	}
	return h.KID
}

// TestReadersDuringRotation is for the race detector: readers never see a ring
// that cannot verify what it signs.
func TestReadersDuringRotation(t *testing.T) {
	ring := openRing(t, copyStore(), newClock())
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				token := sign(t, ring, jose.ES256)
				if _, _, err := jose.Verify(token, ring.Public(), algs); err != nil {
					t.Error(err)
				}
				if ring.PairwiseSubject("s", "c") == "" || len(ring.Decrypters()) < 2 {
					t.Error("the ring was empty for a moment")
				}
			}
		})
	}
	for range 2 {
		if err := ring.Rotate(t.Context(), "operator"); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
}

func TestList(t *testing.T) {
	store := copyStore()
	list, err := newRing(t, store, newClock()).List(t.Context())
	if err != nil || len(list) != 6 {
		t.Fatalf("%d keys, %v", len(list), err)
	}
	for i, k := range list {
		if k.Sealed != nil || k.KID == "" || store.rows[i].Sealed == nil {
			t.Errorf("key %+v", k)
		}
	}
}

// TestReloadKeepsTheLast: a store that does not answer takes nothing away.
func TestReloadKeepsTheLast(t *testing.T) {
	store := copyStore()
	ring := openRing(t, store, newClock())
	store.fail = fapi.ErrUnavailable
	for name, act := range map[string]error{
		"reload": ring.Reload(t.Context()), "rotate": ring.Rotate(t.Context(), "x"), "open": ring.Open(t.Context(), "x"),
	} {
		if !errors.Is(act, fapi.ErrUnavailable) {
			t.Errorf("%s: %v", name, act)
		}
	}
	checkWorks(t, ring)
}

func TestSecretsAreNotPrinted(t *testing.T) {
	ring := openRing(t, copyStore(), newClock())
	secret := ring.DerivedSecret("test")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		out := fmt.Sprintf(verb+verb+verb, ring, config(), struct{ C *keys.Config }{&keys.Config{KEK: config().KEK}})
		for _, hidden := range []string{"a7a7", "0xa7", "167 167", "\xa7\xa7", fmt.Sprintf("%x", secret)} {
			if strings.Contains(strings.ToLower(out), hidden) {
				t.Errorf("%s prints a secret: %s", verb, out)
			}
		}
	}
}
