package mint_test

import (
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/mint"
)

const issuer = "https://bank.example"

var (
	noon = time.Unix(1_800_000_000, 700_000_000) // not on a whole second
	algs = []string{jose.ES256, jose.PS256}
)

// ring is a keys.Ring of fixed keys.
type ring struct {
	signers map[string]jose.Signer
	set     *jose.KeySet
}

func (r *ring) Signer(alg string) (jose.Signer, error) {
	if s, ok := r.signers[alg]; ok {
		return s, nil
	}
	return jose.Signer{}, fapi.ErrNotFound
}

func (r *ring) Public() *jose.KeySet { return r.set }

// newRing makes keys; it panics, being called once per binary.
func newRing() *ring {
	r := &ring{signers: map[string]jose.Signer{}}
	var jwks []string
	for _, alg := range algs {
		key, err := jose.GenerateKey(alg)
		if err != nil {
			panic(err)
		}
		if r.signers[alg], err = jose.NewSigner("kid-"+alg, alg, key); err != nil {
			panic(err)
		}
		jwk, err := jose.PublicJWK("kid-"+alg, jose.UseSig, alg, key.Public())
		if err != nil {
			panic(err)
		}
		jwks = append(jwks, string(jwk))
	}
	var err error
	if r.set, err = jose.ParseKeySet(fmt.Appendf(nil, `{"keys":[%s]}`, strings.Join(jwks, ","))); err != nil {
		panic(err)
	}
	return r
}

var (
	ourRing    = sync.OnceValue(newRing)
	otherRing  = sync.OnceValue(newRing)
	clientKeys = sync.OnceValue(func() map[string]crypto.Signer {
		out := map[string]crypto.Signer{}
		for _, alg := range []string{jose.ECDHES, jose.RSAOAEP256} {
			key, err := jose.GenerateKey(alg)
			if err != nil {
				panic(err)
			}
			out[alg] = key
		}
		return out
	})
)

func newMint(t testing.TB, name string, r mint.Ring, now time.Time) *mint.Mint {
	t.Helper()
	m, err := mint.New(mint.Config{Issuer: fapi.Issuer{URL: name}}, mint.Deps{Ring: r, Now: func() time.Time { return now }, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// read verifies a token by the ring and returns its header and claims.
func read(t *testing.T, token string) (jose.Header, map[string]any) {
	t.Helper()
	h, payload, err := jose.Verify(token, ourRing().set, algs)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := jose.Decode(payload, &claims); err != nil {
		t.Fatal(err)
	}
	checkWholeNumbers(t, payload)
	return h, claims
}

// checkWholeNumbers: dates are integers, never in exponent notation.
func checkWholeNumbers(t *testing.T, payload []byte) {
	t.Helper()
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(payload, &raw); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"exp", "iat", "nbf", "auth_time", "max_age"} {
		if strings.ContainsAny(string(raw[name]), `".eE`) {
			t.Errorf("%s is %s", name, raw[name])
		}
	}
}

func headerOf(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func same(t *testing.T, got map[string]any, want string) {
	t.Helper()
	out, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var w any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	canonical, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != string(canonical) {
		t.Errorf("claims\n got %s\nwant %s", out, canonical)
	}
}
