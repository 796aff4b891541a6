package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/procura/procura/internal/jose"
)

func signer(t testing.TB, kid, alg string, key crypto.Signer) jose.Signer {
	t.Helper()
	return must[jose.Signer](t)(jose.NewSigner(kid, alg, key))
}

// TestSignForOthers verifies what we sign with go-jose's verifier and with the
// standard library under the strict reading of RFC 7518 §3.4 and §3.5.
func TestSignForOthers(t *testing.T) {
	for alg, key := range map[string]crypto.Signer{jose.ES256: ecKey(), jose.PS256: rsaKey()} {
		t.Run(alg, func(t *testing.T) {
			for range 50 { // r or s starts with a zero byte once in a while
				token := must[string](t)(signer(t, `k"1`, alg, key).Sign("at+jwt", []byte(`{"a":"b"}`)))
				parts := strings.Split(token, ".")
				if head := decode64(t, parts[0]); string(head) != `{"alg":"`+alg+`","kid":"k\"1","typ":"at+jwt"}` {
					t.Fatalf("header %s", head)
				}
				checkGoJOSE(t, token, alg, key.Public())
				checkStandard(t, parts[0]+"."+parts[1], decode64(t, parts[2]), key.Public())
				if alg == jose.PS256 {
					break
				}
			}
		})
	}
}

func decode64(t testing.TB, s string) []byte {
	t.Helper()
	return must[[]byte](t)(base64.RawURLEncoding.DecodeString(s))
}

func checkGoJOSE(t testing.TB, token, alg string, pub crypto.PublicKey) {
	t.Helper()
	obj, err := gojose.ParseSignedCompact(token, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(alg)})
	if err != nil {
		t.Fatal(err)
	}
	if payload, err := obj.Verify(pub); err != nil || string(payload) != `{"a":"b"}` {
		t.Fatalf("go-jose: %q %v", payload, err)
	}
}

func checkStandard(t testing.TB, input string, sig []byte, pub crypto.PublicKey) {
	t.Helper()
	digest := sha256.Sum256([]byte(input))
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
		if len(sig) != 64 || !ecdsa.Verify(k, digest[:], r, s) {
			t.Fatal("crypto/ecdsa refuses")
		}
	case *rsa.PublicKey:
		if err := rsa.VerifyPSS(k, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: 32}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVerifyGoJOSE reads what go-jose signed.
func TestVerifyGoJOSE(t *testing.T) {
	for alg, key := range map[string]any{jose.ES256: ecKey(), jose.PS256: rsaKey()} {
		made, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.SignatureAlgorithm(alg),
			Key: gojose.JSONWebKey{Key: key, KeyID: map[string]string{jose.ES256: "ec", jose.PS256: "rsa"}[alg]}},
			(&gojose.SignerOptions{}).WithType("JWT"))
		if err != nil {
			t.Fatal(err)
		}
		token := must[string](t)(must[*gojose.JSONWebSignature](t)(made.Sign([]byte(`{}`))).CompactSerialize())
		if h, _, err := jose.Verify(token, clientSet(t), bothAlgs); err != nil || !h.HasTyp("jwt") {
			t.Fatalf("%s: %+v %v", alg, h, err)
		}
	}
}

func TestNewSignerRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, kid, alg string
		key            crypto.Signer
		want           error
	}{
		{"no kid", "", jose.ES256, ecKey(), jose.ErrKey},
		{"no key", "k", jose.ES256, nil, jose.ErrKey},
		{"ES256 with P-384", "k", jose.ES256, p384Key(), jose.ErrKey},
		{"ES256 with RSA", "k", jose.ES256, rsaKey(), jose.ErrKey},
		{"PS256 with EC", "k", jose.PS256, ecKey(), jose.ErrKey},
		{"PS256 with 1024 bits", "k", jose.PS256, smallRSA(), jose.ErrKey},
		{"RS256", "k", "RS256", rsaKey(), jose.ErrKey},
		{"none", "k", "none", rsaKey(), jose.ErrKey},
		{"encryption algorithm", "k", jose.ECDHES, ecKey(), jose.ErrAlgorithm},
	} {
		if _, err := jose.NewSigner(tc.kid, tc.alg, tc.key); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
	if _, err := (jose.Signer{KID: "k", Alg: jose.ES256}).Sign("JWT", []byte("{}")); !errors.Is(err, jose.ErrKey) {
		t.Errorf("empty signer: %v", err)
	}
}

// staticSigner is a key that lives elsewhere, as an HSM's does, and always gives
// the same answer.
type staticSigner struct {
	crypto.Signer
	answer []byte
}

func (s staticSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return s.answer, nil
}

func TestSignerHandlesForeignKeys(t *testing.T) {
	for name, answer := range map[string][]byte{
		"garbage": []byte("no DER"), "empty": nil,
		"negative": {0x30, 6, 2, 1, 0xff, 2, 1, 1}, "zero": {0x30, 6, 2, 1, 0, 2, 1, 1},
		"trailing": {0x30, 6, 2, 1, 1, 2, 1, 1, 0},
	} {
		s := signer(t, "k", jose.ES256, staticSigner{ecKey(), answer})
		if _, err := s.Sign("JWT", []byte("{}")); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestNothingPrivateIsPrinted: no verb shows what a signer or decrypter holds.
func TestNothingPrivateIsPrinted(t *testing.T) {
	d := must[jose.Decrypter](t)(jose.NewDecrypter("k", jose.ECDHES, ecKey()))
	raw := must[[]byte](t)(jose.PrivateJWK("k", "", "", ecKey()))
	var jwk map[string]string
	if err := jose.Decode(raw, &jwk); err != nil {
		t.Fatal(err)
	}
	secret := new(big.Int).SetBytes(decode64(t, jwk["d"]))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		out := fmt.Sprintf(verb+verb, signer(t, "k", jose.ES256, ecKey()), d)
		for _, hidden := range []string{jwk["d"], secret.String(), secret.Text(16)} {
			if strings.Contains(out, hidden) {
				t.Errorf("%s prints the private key", verb)
			}
		}
	}
}

func BenchmarkSign(b *testing.B) {
	payload := []byte(`{"iss":"` + strings.Repeat("i", 600) + `"}`)
	for alg, key := range map[string]crypto.Signer{jose.ES256: ecKey(), jose.PS256: rsaKey()} {
		b.Run(alg, func(b *testing.B) {
			s := signer(b, "kid", alg, key)
			for b.Loop() {
				if _, err := s.Sign("JWT", payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	set := clientSet(b)
	payload := `{"iss":"` + strings.Repeat("i", 600) + `"}`
	for alg, token := range map[string]string{
		jose.ES256: rawJWS(b, `{"alg":"ES256","kid":"ec"}`, payload, ecKey()),
		jose.PS256: rawJWS(b, `{"alg":"PS256","kid":"rsa"}`, payload, rsaKey()),
	} {
		b.Run(alg, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := jose.Verify(token, set, bothAlgs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
