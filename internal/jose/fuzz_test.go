package jose_test

import (
	"bytes"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/procura/procura/internal/jose"
)

// FuzzVerify: nothing panics, and whatever is accepted go-jose accepts as well.
// The key is a fixed one, so that every fuzzing process holds the same.
func FuzzVerify(f *testing.F) {
	set, err := jose.ParseKeySet([]byte(`{"keys":[` + rfc7515Key + `]}`))
	if err != nil {
		f.Fatal(err)
	}
	var key gojose.JSONWebKey
	if err := key.UnmarshalJSON([]byte(rfc7515Key)); err != nil {
		f.Fatal(err)
	}
	f.Add(rfc7515Token)
	f.Add(rawJWS(f, `{"alg":"PS256","kid":"rsa","crit":[],"b64":false}`, `{"a":1}`, rsaKey()))
	f.Add("e30.e30.e30")
	f.Add("....")
	f.Fuzz(func(t *testing.T, token string) {
		h, payload, err := jose.Verify(token, set, bothAlgs)
		if err != nil {
			return
		}
		obj, err := gojose.ParseSignedCompact(token, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(h.Alg)})
		if err != nil {
			t.Fatalf("go-jose does not parse it: %v", err)
		}
		if got, err := obj.Verify(key); err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("go-jose does not accept it: %v", err)
		}
	})
}

// FuzzDecrypt: nothing panics, and there is one error only.
func FuzzDecrypt(f *testing.F) {
	keys := decrypters(f)
	f.Add(strings.Join(handmade(f, `{"alg":"RSA-OAEP-256","enc":"A256GCM"}`, "inner"), "."))
	f.Add(must[string](f)(jose.Encrypt([]byte("x"), encryptionSet(f), jose.ECDHES, jose.A256GCM, "JWT")))
	f.Add(must[string](f)(jose.Encrypt([]byte("x"), encryptionSet(f), jose.ECDHES, jose.A128CBCHS256, "JWT")))
	f.Add("e30..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := jose.Decrypt(token, keys, keyAlgs, []string{jose.A256GCM, jose.A128CBCHS256}); err != nil && err != jose.ErrDecrypt { //nolint:errorlint // exactly this value
			t.Fatalf("another error: %v", err)
		}
	})
}

// FuzzParseKeySet: what is accepted is written without private members and reads
// back as the same set.
func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","kid":"a"},{"kty":"EC","kid":"a","use":"enc"}]}`))
	f.Add([]byte(`{"keys":[` + rfc7515Key + `,` + rfc7638 + `]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, err := jose.ParseKeySet(raw)
		if err != nil {
			return
		}
		again, err := jose.ParseKeySet(set.JSON())
		if err != nil || !bytes.Equal(again.JSON(), set.JSON()) {
			t.Fatalf("%s does not read back: %v", set.JSON(), err)
		}
	})
}
