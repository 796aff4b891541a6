package keys_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/keys"
)

// TestOpenRefusesTamperedRows: whoever can write the table cannot move, relabel
// or replace a key without being noticed.
func TestOpenRefusesTamperedRows(t *testing.T) {
	for name, tamper := range map[string]func(rows []fapi.SigningKey){
		"two rows swapped":  func(r []fapi.SigningKey) { r[0].Sealed, r[1].Sealed = r[1].Sealed, r[0].Sealed },
		"sealed half empty": func(r []fapi.SigningKey) { r[0].Sealed = nil },
		"sealed half cut":   func(r []fapi.SigningKey) { r[0].Sealed = r[0].Sealed[:12] },
		"one bit":           func(r []fapi.SigningKey) { r[0].Sealed = flipLast(r[0].Sealed) },
		"version":           func(r []fapi.SigningKey) { r[0].Sealed = append([]byte{2}, r[0].Sealed[1:]...) },
		"kid":               func(r []fapi.SigningKey) { r[0].KID = "other" },
		"two kids swapped":  func(r []fapi.SigningKey) { r[0].KID, r[1].KID = r[1].KID, r[0].KID },
		"encryption key relabelled for signing": func(r []fapi.SigningKey) {
			i := slices.IndexFunc(r, func(k fapi.SigningKey) bool { return k.Alg == jose.ECDHES })
			r[i].Use, r[i].Alg, r[i].State = jose.UseSig, jose.ES256, fapi.KeyRetired
			r[i].RetireAt = newClock().now().Add(retireAfter)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := copyStore()
			tamper(store.rows)
			err := newRing(t, store, newClock()).Reload(t.Context())
			if err == nil || !strings.Contains(err.Error(), "opening key") {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func flipLast(b []byte) []byte {
	out := bytes.Clone(b)
	out[len(out)-1] ^= 1
	return out
}

// TestStatesAreHeldToSlots: without a current key, or with two, nothing is loaded.
func TestStatesAreHeldToSlots(t *testing.T) {
	for _, state := range []string{fapi.KeyNext, fapi.KeyCurrent} {
		store := copyStore()
		for i := range store.rows {
			if store.rows[i].Use == jose.UseSig {
				store.rows[i].State = state
			}
		}
		if err := newRing(t, store, newClock()).Reload(t.Context()); err == nil {
			t.Errorf("all %s: loaded", state)
		}
	}
}

// TestPublicIsDerived: the public half stored beside the sealed one is not what
// is published.
func TestPublicIsDerived(t *testing.T) {
	store := copyStore()
	for i := range store.rows {
		store.rows[i].Public = []byte(`{"kty":"EC","crv":"P-256","kid":"evil","x":"AA","y":"AA"}`)
	}
	ring := openRing(t, store, newClock())
	if ring.Public().HasKID("evil") {
		t.Error("a stranger's key was published")
	}
	checkWorks(t, ring)
}

func TestOtherKEKOrIssuerIsRefused(t *testing.T) {
	other := config()
	other.KEK = bytes.Repeat([]byte{1}, 32)
	moved := config()
	moved.Issuer = "https://other.example"
	for name, cfg := range map[string]keys.Config{"KEK": other, "issuer": moved} {
		store := copyStore()
		for i := range store.rows {
			store.rows[i].Issuer = cfg.Issuer
		}
		store.secrets[cfg.Issuer] = store.secrets[issuer]
		for _, rows := range [][]fapi.SigningKey{store.rows, nil} { // nil: only the secret is a stranger's
			store.rows = rows
			ring, err := keys.New(cfg, keys.Deps{Store: store, Now: newClock().now, Rand: rand.Reader})
			if err != nil {
				t.Fatal(err)
			}
			if err := ring.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "opening") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestPairwiseSubject: OIDC Core §8.1.
func TestPairwiseSubject(t *testing.T) {
	store := copyStore()
	ring, again := openRing(t, store, newClock()), openRing(t, store, newClock())
	sub := ring.PairwiseSubject("tpp.example", "customer-1")
	if sub != again.PairwiseSubject("tpp.example", "customer-1") {
		t.Error("not the same after a restart")
	}
	if raw, err := base64.RawURLEncoding.DecodeString(sub); err != nil || len(raw) != 32 {
		t.Errorf("sub %q", sub)
	}
	fresh := openRing(t, &memory{rows: store.rows, secrets: map[string][]byte{}}, newClock())
	for name, other := range map[string]string{
		"sector":   ring.PairwiseSubject("other.example", "customer-1"),
		"customer": ring.PairwiseSubject("tpp.example", "customer-2"),
		"boundary": ring.PairwiseSubject("tpp.exampl", "ecustomer-1"),
		"secret":   fresh.PairwiseSubject("tpp.example", "customer-1"),
	} {
		if other == sub {
			t.Errorf("another %s, the same subject", name)
		}
	}
}

func TestDerivedSecret(t *testing.T) {
	ring := openRing(t, copyStore(), newClock())
	cookies := ring.DerivedSecret("cookies")
	if len(cookies) != 32 || !bytes.Equal(cookies, ring.DerivedSecret("cookies")) || bytes.Equal(cookies, ring.DerivedSecret("other")) {
		t.Error("a derived secret depends on its purpose and on nothing else")
	}
	mac := hmac.New(sha256.New, cookies)
	mac.Write([]byte("s\x00c"))
	if base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) == ring.PairwiseSubject("s", "c") {
		t.Error("the subjects hang from a derived secret")
	}
}
