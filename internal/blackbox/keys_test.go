package blackbox_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"
)

// weakRSA is a key that FAPI 1 Baseline §5.2.2-5 forbids.
func weakRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ps256 signs as RFC 7518 §3.5 says.
func ps256(key crypto.Signer) func([]byte) ([]byte, error) {
	return pss(key, rsa.PSSSaltLengthEqualsHash)
}

// shortSalt signs with a salt of one byte, which RFC 7518 §3.5 forbids.
func shortSalt(key crypto.Signer) func([]byte) ([]byte, error) { return pss(key, 1) }

func pss(key crypto.Signer, salt int) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		digest := sha256.Sum256(input)
		return rsa.SignPSS(rand.Reader, key.(*rsa.PrivateKey), crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
	}
}

// p256Order is the order of the curve: an ES256 scalar must be below it.
func p256Order() []byte { return elliptic.P256().Params().N.Bytes() }

// es384Label signs with a P-384 key and 96 bytes what is labelled ES256.
func es384Label(t testing.TB) func([]byte) ([]byte, error) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return func(input []byte) ([]byte, error) {
		digest := sha256.Sum256(input)
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return nil, err
		}
		out := make([]byte, 96)
		r.FillBytes(out[:48])
		s.FillBytes(out[48:])
		return out, nil
	}
}
