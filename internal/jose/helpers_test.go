package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"testing"

	"github.com/procura/procura/internal/jose"
)

// The keys of all tests: making an RSA key is slow.
var (
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P256()) })
	otherEC  = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P256()) })
	p384Key  = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P384()) })
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	smallRSA = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(1024) })
)

func newEC(curve elliptic.Curve) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func newRSA(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// entry describes one key of a set under test.
type entry struct {
	kid, use, alg string
	pub           crypto.PublicKey
}

func keySet(t testing.TB, entries ...entry) *jose.KeySet {
	t.Helper()
	return must[*jose.KeySet](t)(jose.ParseKeySet(setJSON(t, entries...)))
}

func setJSON(t testing.TB, entries ...entry) []byte {
	t.Helper()
	raw := []byte(`{"keys":[`)
	for i, e := range entries {
		if i > 0 {
			raw = append(raw, ',')
		}
		raw = append(raw, must[[]byte](t)(jose.PublicJWK(e.kid, e.use, e.alg, e.pub))...)
	}
	return append(raw, "]}"...)
}

// rawSign signs with the standard library alone: not the code under test.
func rawSign(t testing.TB, input string, key crypto.Signer, salt int) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(input))
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		size := (k.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	case *rsa.PrivateKey:
		sig, err := rsa.SignPSS(rand.Reader, k, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	t.Fatalf("no way to sign with %T", key)
	return nil
}

// rawJWS makes a JWS whose header is exactly the given text.
func rawJWS(t testing.TB, header, payload string, key crypto.Signer) string {
	t.Helper()
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	return input + "." + b64(rawSign(t, input, key, rsa.PSSSaltLengthEqualsHash))
}
