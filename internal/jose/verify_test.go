package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

var bothAlgs = []string{jose.PS256, jose.ES256}

// clientSet is the key set that all hostile tokens are held against.
func clientSet(t testing.TB) *jose.KeySet {
	return keySet(t,
		entry{"ec", "sig", "ES256", &ecKey().PublicKey},
		entry{"rsa", "sig", "PS256", &rsaKey().PublicKey},
		entry{"p384", "sig", "", &p384Key().PublicKey},
		entry{"encryption", "enc", "", &otherEC().PublicKey},
		entry{"rs256", "sig", "RS256", &rsaKey().PublicKey},
		entry{"bare", "", "", &otherEC().PublicKey},
	)
}

func TestVerifyAccepts(t *testing.T) {
	set := clientSet(t)
	for _, tc := range []struct {
		name, header string
		key          crypto.Signer
	}{
		{"ES256 by kid", `{"alg":"ES256","kid":"ec","typ":"JWT"}`, ecKey()},
		{"PS256 by kid", `{"alg":"PS256","kid":"rsa"}`, rsaKey()},
		{"ES256 without kid tries every fitting key", `{"alg":"ES256"}`, otherEC()},
		{"key without use and alg", `{"alg":"ES256","kid":"bare"}`, otherEC()},
		{"unknown header parameters are ignored", `{"alg":"ES256","kid":"ec","nonce":{"a":[1]},"x5t":7}`, ecKey()},
		{"attack 24: header keys are ignored, not fetched and not parsed",
			`{"alg":"ES256","kid":"ec","jwk":{"kty":"no"},"jku":"https://evil.example/","x5u":"https://evil.example/","x5c":["?"]}`, ecKey()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, payload, err := jose.Verify(rawJWS(t, tc.header, `{"iss":"me"}`, tc.key), set, bothAlgs)
			if err != nil || string(payload) != `{"iss":"me"}` || h.Alg == "" {
				t.Fatalf("got %+v %q %v", h, payload, err)
			}
		})
	}
}

// TestVerifyRefusesHeaders holds hostile headers, all properly signed by the
// key that the kid names, against JW-01 to JW-06 and attacks 21 to 27.
func TestVerifyRefusesHeaders(t *testing.T) {
	set := clientSet(t)
	for _, tc := range []struct {
		name, header string
		key          crypto.Signer
		want         error
	}{
		{"21 alg none", `{"alg":"none"}`, ecKey(), jose.ErrAlgorithm},
		{"21 alg None", `{"alg":"None","kid":"ec"}`, ecKey(), jose.ErrAlgorithm},
		{"21 alg nOnE", `{"alg":"nOnE","kid":"ec"}`, ecKey(), jose.ErrAlgorithm},
		{"21 alg empty", `{"alg":"","kid":"ec"}`, ecKey(), jose.ErrMalformed},
		{"21 alg missing", `{"kid":"ec"}`, ecKey(), jose.ErrMalformed},
		{"21 alg null", `{"alg":null,"kid":"ec"}`, ecKey(), jose.ErrMalformed},
		{"21 alg array", `{"alg":["ES256"],"kid":"ec"}`, ecKey(), jose.ErrMalformed},
		{"21 alg number", `{"alg":256,"kid":"ec"}`, ecKey(), jose.ErrMalformed},
		{"21 alg lower case", `{"alg":"es256","kid":"ec"}`, ecKey(), jose.ErrAlgorithm},
		{"22 RS256", `{"alg":"RS256","kid":"rs256"}`, rsaKey(), jose.ErrAlgorithm},
		{"22 key registered for RS256", `{"alg":"PS256","kid":"rs256"}`, rsaKey(), jose.ErrKey},
		{"23 ES256 on P-384", `{"alg":"ES256","kid":"p384"}`, p384Key(), jose.ErrKey},
		{"23 EdDSA label on a P-256 key", `{"alg":"EdDSA","kid":"ec"}`, ecKey(), jose.ErrAlgorithm},
		{"23 PS256 label on an EC key", `{"alg":"PS256","kid":"ec"}`, ecKey(), jose.ErrKey},
		{"23 ES256 label on an RSA key", `{"alg":"ES256","kid":"rsa"}`, rsaKey(), jose.ErrKey},
		{"24 attacker's jwk", `{"alg":"ES256","jwk":{"kty":"EC","crv":"P-256"}}`, newEC(ecKey().Curve), jose.ErrSignature},
		{"25 kid path", `{"alg":"ES256","kid":"../../etc/passwd"}`, ecKey(), jose.ErrKey},
		{"25 kid SQL", `{"alg":"ES256","kid":"' OR 1=1--"}`, ecKey(), jose.ErrKey},
		{"25 kid LDAP", `{"alg":"ES256","kid":"*)(uid=*"}`, ecKey(), jose.ErrKey},
		{"25 kid NUL", `{"alg":"ES256","kid":"\u0000"}`, ecKey(), jose.ErrMalformed},
		{"25 kid long", `{"alg":"ES256","kid":"` + strings.Repeat("k", 8<<10) + `"}`, ecKey(), jose.ErrMalformed},
		{"25 kid 100 KB", `{"alg":"ES256","kid":"` + strings.Repeat("k", 100<<10) + `"}`, ecKey(), jose.ErrMalformed},
		{"25 kid number", `{"alg":"ES256","kid":1}`, ecKey(), jose.ErrMalformed},
		{"25 kid null", `{"alg":"ES256","kid":null}`, ecKey(), jose.ErrMalformed},
		{"26 unknown kid", `{"alg":"ES256","kid":"unknown"}`, ecKey(), jose.ErrKey},
		{"27 crit exp", `{"alg":"ES256","kid":"ec","crit":["exp"],"exp":1}`, ecKey(), jose.ErrMalformed},
		{"27 crit empty", `{"alg":"ES256","kid":"ec","crit":[]}`, ecKey(), jose.ErrMalformed},
		{"27 crit null", `{"alg":"ES256","kid":"ec","crit":null}`, ecKey(), jose.ErrMalformed},
		{"27 b64 false", `{"alg":"ES256","kid":"ec","b64":false}`, ecKey(), jose.ErrMalformed},
		{"27 b64 true", `{"alg":"ES256","kid":"ec","b64":true}`, ecKey(), jose.ErrMalformed},
		{"30 zip", `{"alg":"ES256","kid":"ec","zip":"DEF"}`, ecKey(), jose.ErrMalformed},
		{"enc in a signed object", `{"alg":"ES256","kid":"ec","enc":"A256GCM"}`, ecKey(), jose.ErrMalformed},
		{"28 alg twice", `{"alg":"none","alg":"ES256","kid":"ec"}`, ecKey(), jose.ErrMalformed},
		{"28 alg twice, escaped", `{"alg":"ES256","\u0061lg":"ES256","kid":"ec"}`, ecKey(), jose.ErrMalformed},
		{"28 repeated inside an ignored member", `{"alg":"ES256","kid":"ec","x":{"a":1,"a":2}}`, ecKey(), jose.ErrMalformed},
		{"28 ALG is not alg", `{"ALG":"ES256","kid":"ec"}`, ecKey(), jose.ErrMalformed},
		{"34 nested header", `{"alg":"ES256","kid":"ec","x":` + strings.Repeat("[", 4000) + strings.Repeat("]", 4000) + `}`, ecKey(), jose.ErrMalformed},
		{"header not an object", `["ES256"]`, ecKey(), jose.ErrMalformed},
		{"header null", `null`, ecKey(), jose.ErrMalformed},
		{"header with trailing text", `{"alg":"ES256","kid":"ec"} x`, ecKey(), jose.ErrMalformed},
		{"header not UTF-8", "{\"alg\":\"ES256\",\"kid\":\"ec\",\"x\":\"\xff\"}", ecKey(), jose.ErrMalformed},
		{"encryption key", `{"alg":"ES256","kid":"encryption"}`, otherEC(), jose.ErrKey},
		{"another key's kid", `{"alg":"ES256","kid":"ec"}`, otherEC(), jose.ErrSignature},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := jose.Verify(rawJWS(t, tc.header, `{}`, tc.key), set, bothAlgs)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// TestVerifyRefusesForms holds hostile spellings against JW-03 and attacks 29, 33.
func TestVerifyRefusesForms(t *testing.T) {
	set := clientSet(t)
	good := rawJWS(t, `{"alg":"ES256","kid":"ec"}`, `{"a":1}`, ecKey())
	p := strings.Split(good, ".")
	head, body, sig := p[0], p[1], p[2]
	for name, token := range map[string]string{
		"empty":                  "",
		"29 ten megabytes":       head + "." + strings.Repeat("A", 10<<20) + "." + sig,
		"29 a million dots":      strings.Repeat(".", 1<<20),
		"29 dots within size":    strings.Repeat(".", 1<<10),
		"29 padding":             head + "=." + body + "." + sig,
		"29 newline":             head + "\n." + body + "." + sig,
		"29 leading space":       " " + good,
		"29 trailing newline":    good + "\n",
		"29 standard alphabet":   head + "." + body + "." + sig[:80] + "+" + sig[81:],
		"29 just above the size": head + "." + strings.Repeat("A", fapi.MaxJWT) + "." + sig,
		"33 JSON serialisation":  `{"payload":"` + body + `","protected":"` + head + `","signature":"` + sig + `"}`,
		"33 detached":            head + ".." + sig,
		"33 SD-JWT":              good + "~",
		"33 SD-JWT disclosure":   good + "~" + body + "~",
		"two parts":              head + "." + body,
		"four parts":             good + "." + sig,
		"five parts":             good + "." + sig + "." + sig,
		"no signature":           head + "." + body + ".",
		"no header":              "." + body + "." + sig,
		"header of one letter":   "A." + body + "." + sig,
		"stray bits":             head + "." + body + "." + sig[:len(sig)-1] + stray(sig),
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := jose.Verify(token, set, bothAlgs); !errors.Is(err, jose.ErrMalformed) {
				t.Fatalf("Verify: got %v", err)
			}
			if _, err := jose.Payload(token); name != "29 standard alphabet" && name != "stray bits" && !errors.Is(err, jose.ErrMalformed) {
				t.Fatalf("Payload: got %v", err)
			}
		})
	}
}

// stray returns the last letter of sig with a bit set that no encoder sets.
func stray(sig string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, sig[len(sig)-1])|1])
}

// TestVerifyRefusesSignatures is attack 23 and RFC 7518 §3.4, §3.5.
func TestVerifyRefusesSignatures(t *testing.T) {
	set := clientSet(t)
	ecInput := b64([]byte(`{"alg":"ES256","kid":"ec"}`)) + "." + b64([]byte(`{"a":1}`))
	psInput := b64([]byte(`{"alg":"PS256","kid":"rsa"}`)) + "." + b64([]byte(`{"a":1}`))
	ecSig, psSig := rawSign(t, ecInput, ecKey(), 0), rawSign(t, psInput, rsaKey(), 32)
	digest := sha256.Sum256([]byte(ecInput))
	der := must[[]byte](t)(ecdsa.SignASN1(rand.Reader, ecKey(), digest[:]))
	n := ecKey().Params().N.FillBytes(make([]byte, 32))
	for _, tc := range []struct {
		name, input string
		sig         []byte
	}{
		{"r and s zero", ecInput, make([]byte, 64)},
		{"r zero", ecInput, append(make([]byte, 32), ecSig[32:]...)},
		{"r and s are n", ecInput, append(slices.Clone(n), n...)},
		{"DER", ecInput, der},
		{"63 bytes", ecInput, ecSig[:63]},
		{"65 bytes", ecInput, append(slices.Clone(ecSig), 0)},
		{"96 bytes", ecInput, append(make([]byte, 32), ecSig...)},
		{"one byte", ecInput, []byte{1}},
		{"other payload", b64([]byte(`{"alg":"ES256","kid":"ec"}`)) + "." + b64([]byte(`{"a":2}`)), ecSig},
		{"PS256 with the largest salt", psInput, rawSign(t, psInput, rsaKey(), rsa.PSSSaltLengthAuto)},
		{"PS256 with a short salt", psInput, rawSign(t, psInput, rsaKey(), 20)},
		{"PS256 short", psInput, psSig[:255]},
		{"PS256 long", psInput, append(slices.Clone(psSig), 0)},
		{"PS256 zero", psInput, make([]byte, 256)},
		{"PKCS 1 v1.5", psInput, pkcs1(t, psInput)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := jose.Verify(tc.input+"."+b64(tc.sig), set, bothAlgs)
			if !errors.Is(err, jose.ErrSignature) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func pkcs1(t *testing.T, input string) []byte {
	digest := sha256.Sum256([]byte(input))
	return must[[]byte](t)(rsa.SignPKCS1v15(rand.Reader, rsaKey(), crypto.SHA256, digest[:]))
}

// TestVerifyRefusesHMAC is attack 21: the public key in the role of a secret. It
// stays refused when a caller's list is wrong.
func TestVerifyRefusesHMAC(t *testing.T) {
	set := clientSet(t)
	input := b64([]byte(`{"alg":"HS256","kid":"rsa"}`)) + "." + b64([]byte(`{}`))
	for _, secret := range [][]byte{set.JSON(), must[[]byte](t)(jose.PublicJWK("rsa", "sig", "PS256", &rsaKey().PublicKey)), nil} {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		token := input + "." + b64(mac.Sum(nil))
		for _, algs := range [][]string{bothAlgs, {"HS256"}, {"none", "HS256", "RSA-OAEP-256"}, nil} {
			if _, _, err := jose.Verify(token, set, algs); !errors.Is(err, jose.ErrAlgorithm) {
				t.Fatalf("got %v", err)
			}
		}
	}
}

// TestVerifySameKID is attack 27: of two keys with one kid only the fitting one
// is tried.
func TestVerifySameKID(t *testing.T) {
	set := keySet(t,
		entry{"one", "enc", "", &otherEC().PublicKey},
		entry{"one", "sig", "ES384", &otherEC().PublicKey},
		entry{"one", "sig", "", &rsaKey().PublicKey},
		entry{"one", "sig", "ES256", &ecKey().PublicKey},
	)
	header := `{"alg":"ES256","kid":"one"}`
	if _, _, err := jose.Verify(rawJWS(t, header, `{}`, ecKey()), set, bothAlgs); err != nil {
		t.Fatal(err)
	}
	if _, _, err := jose.Verify(rawJWS(t, header, `{}`, otherEC()), set, bothAlgs); !errors.Is(err, jose.ErrSignature) {
		t.Fatalf("the other key was tried: %v", err)
	}
}

// TestVerifyTriesFewKeys bounds the work that a token without kid can cause.
func TestVerifyTriesFewKeys(t *testing.T) {
	var entries []entry
	for range 9 {
		entries = append(entries, entry{pub: &otherEC().PublicKey})
	}
	entries[7].pub = &ecKey().PublicKey
	token := rawJWS(t, `{"alg":"ES256"}`, `{}`, ecKey())
	if _, _, err := jose.Verify(token, keySet(t, entries...), bothAlgs); err != nil {
		t.Fatalf("eighth key: %v", err)
	}
	entries[7], entries[8] = entries[8], entries[7]
	if _, _, err := jose.Verify(token, keySet(t, entries...), bothAlgs); !errors.Is(err, jose.ErrSignature) {
		t.Fatalf("ninth key: %v", err)
	}
}

func TestVerifyWithoutKeys(t *testing.T) {
	token := rawJWS(t, `{"alg":"ES256","kid":"ec"}`, `{}`, ecKey())
	for _, set := range []*jose.KeySet{nil, keySet(t)} {
		if _, _, err := jose.Verify(token, set, bothAlgs); !errors.Is(err, jose.ErrKey) {
			t.Fatalf("got %v", err)
		}
	}
}
