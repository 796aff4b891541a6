package jose_test

import (
	"crypto"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/procura/procura/internal/jose"
)

// members returns a key as its JSON members, to be bent by a test.
func members(t testing.TB, pub crypto.PublicKey, change map[string]any) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(must[[]byte](t)(jose.PublicJWK("k", "sig", "", pub)), &m); err != nil {
		t.Fatal(err)
	}
	maps.Copy(m, change)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

func setOf(t testing.TB, keys ...map[string]any) string {
	t.Helper()
	return string(must[[]byte](t)(json.Marshal(map[string]any{"keys": keys})))
}

func TestParseKeySetRefuses(t *testing.T) {
	ec, rsa := &ecKey().PublicKey, &rsaKey().PublicKey
	good := setOf(t, members(t, ec, nil))
	offCurve := b64(append(make([]byte, 31), 5))
	for name, raw := range map[string]string{
		"empty":                   "",
		"no object":               `[]`,
		"null":                    `null`,
		"no keys":                 `{}`,
		"keys null":               `{"keys":null}`,
		"keys an object":          `{"keys":{}}`,
		"key a string":            `{"keys":["k"]}`,
		"keys twice":              `{"keys":[],"keys":[]}`,
		"KEYS":                    `{"KEYS":[]}`,
		"trailing text":           good + "x",
		"larger than 64 KiB":      `{"x":"` + strings.Repeat("x", 64<<10) + `","keys":[]}`,
		"private EC key":          setOf(t, members(t, ec, map[string]any{"d": offCurve})),
		"private RSA key":         setOf(t, members(t, rsa, map[string]any{"d": "AQ"})),
		"a prime":                 setOf(t, members(t, rsa, map[string]any{"p": "AQ"})),
		"dq null":                 setOf(t, members(t, rsa, nil))[:len(setOf(t, members(t, rsa, nil)))-3] + `,"dq":null}]}`,
		"symmetric key":           `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`,
		"symmetric key without k": `{"keys":[{"kty":"oct"}]}`,
		"k beside an EC key":      setOf(t, members(t, ec, map[string]any{"k": "AQ"})),
		"no kty":                  setOf(t, members(t, ec, map[string]any{"kty": nil})),
		"kty a number":            setOf(t, members(t, ec, map[string]any{"kty": 1})),
		"not on the curve":        setOf(t, members(t, ec, map[string]any{"x": offCurve})),
		"x without zeros":         setOf(t, members(t, ec, map[string]any{"x": "BQ"})),
		"no y":                    setOf(t, members(t, ec, map[string]any{"y": nil})),
		"P-256 labelled P-384":    setOf(t, members(t, ec, map[string]any{"crv": "P-384"})),
		"secp256k1":               setOf(t, members(t, ec, map[string]any{"crv": "secp256k1"})),
		"RSA without n":           setOf(t, members(t, rsa, map[string]any{"n": nil})),
		"RSA e=1":                 setOf(t, members(t, rsa, map[string]any{"e": "AQ"})),
		"RSA e=4":                 setOf(t, members(t, rsa, map[string]any{"e": "BA"})),
		"RSA e huge":              setOf(t, members(t, rsa, map[string]any{"e": b64([]byte(strings.Repeat("\xff", 64)))})),
		"22 RSA with 1024 bits":   setOf(t, members(t, rsa, map[string]any{"n": b64(smallRSA().N.Bytes())})),
		"RSA with 16384 bits":     setOf(t, members(t, rsa, map[string]any{"n": b64([]byte(strings.Repeat("\xff", 2048)))})),
		"n padded":                setOf(t, members(t, rsa, map[string]any{"n": b64(rsa.N.Bytes()) + "="})),
		"kid too long":            setOf(t, members(t, ec, map[string]any{"kid": strings.Repeat("k", 257)})),
		"kid with NUL":            setOf(t, members(t, ec, map[string]any{"kid": "\x00"})),
		"kid twice":               setOf(t, members(t, ec, nil), members(t, &otherEC().PublicKey, nil)),
		"51 keys":                 `{"keys":[` + strings.Repeat(`{"kty":"OKP"},`, 50) + `{"kty":"OKP"}]}`,
		"28 kid twice in a key":   `{"keys":[{"kty":"OKP","kid":"a","kid":"b"}]}`,
		"34 nested":               `{"keys":[{"kty":"OKP","x5c":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if set, err := jose.ParseKeySet([]byte(raw)); !errors.Is(err, jose.ErrMalformed) {
				t.Fatalf("got %v %v", set, err)
			}
		})
	}
}

func TestParseKeySetAccepts(t *testing.T) {
	ec := &ecKey().PublicKey
	for name, tc := range map[string]struct {
		raw  string
		kids []string
	}{
		"no keys":               {`{"keys":[]}`, nil},
		"P-384 and P-521":       {setOf(t, members(t, &p384Key().PublicKey, nil), members(t, &newEC(elliptic.P521()).PublicKey, map[string]any{"kid": "b"})), []string{"k", "b"}},
		"other types left out":  {setOf(t, members(t, ec, nil), map[string]any{"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "ed"}), []string{"k"}},
		"same kid, other use":   {setOf(t, members(t, ec, nil), members(t, ec, map[string]any{"use": "enc"})), []string{"k"}},
		"same kid, other type":  {setOf(t, members(t, ec, nil), members(t, &rsaKey().PublicKey, nil)), []string{"k"}},
		"several without kid":   {setOf(t, members(t, ec, map[string]any{"kid": nil}), members(t, ec, map[string]any{"kid": nil})), nil},
		"certificates not read": {setOf(t, members(t, ec, map[string]any{"x5c": []string{"?"}, "x5t": 7, "x5u": "::"})), []string{"k"}},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := jose.ParseKeySet([]byte(tc.raw))
			if err != nil {
				t.Fatal(err)
			}
			for _, kid := range tc.kids {
				if !set.HasKID(kid) {
					t.Errorf("kid %q missing", kid)
				}
			}
			if set.HasKID("ed") || set.HasKID("") || (*jose.KeySet)(nil).HasKID("k") {
				t.Error("a kid too many")
			}
			again, err := jose.ParseKeySet(set.JSON())
			if err != nil || string(again.JSON()) != string(set.JSON()) {
				t.Errorf("written and read again: %v", err)
			}
		})
	}
}

// TestKeySetJSON: nothing but public members of the keys is written, and the
// answer belongs to the caller.
func TestKeySetJSON(t *testing.T) {
	set, err := jose.ParseKeySet([]byte(setOf(t, members(t, &ecKey().PublicKey,
		map[string]any{"alg": "ES256", "name": "x", "x5u": "https://a.example/", "key_ops": []string{"verify"}}))))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Keys []map[string]any }
	if err := json.Unmarshal(set.JSON(), &doc); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(doc.Keys[0])); !slices.Equal(got, []string{"alg", "crv", "kid", "kty", "use", "x", "y"}) {
		t.Errorf("members %v", got)
	}
	clear(set.JSON())
	if !json.Valid(set.JSON()) {
		t.Error("a caller can write into the set")
	}
	if string((*jose.KeySet)(nil).JSON()) != `{"keys":[]}` {
		t.Error("no set must read as an empty one")
	}
}

func TestPrivateJWKRoundTrip(t *testing.T) {
	for _, alg := range []string{jose.ES256, jose.ECDHES, jose.PS256, jose.RSAOAEP256} {
		key := must[crypto.Signer](t)(jose.GenerateKey(alg))
		raw := must[[]byte](t)(jose.PrivateJWK("k", "u", alg, key))
		kid, use, gotAlg, back, err := jose.ParsePrivateJWK(raw)
		if err != nil || kid != "k" || use != "u" || gotAlg != alg {
			t.Fatalf("%s: %q %q %q %v", alg, kid, use, gotAlg, err)
		}
		if !key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(back) {
			t.Errorf("%s: another key came back", alg)
		}
	}
}

func TestPrivateJWKRefuses(t *testing.T) {
	private := string(must[[]byte](t)(jose.PrivateJWK("k", "sig", "ES256", ecKey())))
	for name, raw := range map[string]string{
		"public":     string(must[[]byte](t)(jose.PublicJWK("k", "sig", "ES256", &ecKey().PublicKey))),
		"symmetric":  `{"kty":"oct","k":"c2VjcmV0"}`,
		"OKP":        `{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}`,
		"kid twice":  strings.Replace(private, `"kid":"k"`, `"kid":"k","kid":"k"`, 1),
		"not JSON":   "k",
		"d missing":  strings.Replace(private, `"d":`, `"D":`, 1),
		"two values": private + private,
	} {
		if _, _, _, key, err := jose.ParsePrivateJWK([]byte(raw)); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%s: %v %v", name, key != nil, err)
		}
	}
	for _, key := range []crypto.PrivateKey{nil, smallRSA(), []byte("secret"), &ecKey().PublicKey} {
		if _, err := jose.PrivateJWK("k", "sig", "", key); err == nil {
			t.Errorf("wrote %T", key)
		}
	}
	for _, key := range []crypto.PublicKey{nil, &smallRSA().PublicKey, []byte("secret"), ecKey()} {
		if _, err := jose.PublicJWK("k", "sig", "", key); err == nil {
			t.Errorf("wrote %T", key)
		}
		if _, err := jose.Thumbprint(key); err == nil {
			t.Errorf("thumbprint of %T", key)
		}
	}
	if _, err := jose.GenerateKey("RS256"); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("RS256: %v", err)
	}
}

// rfc7638 is the example of RFC 7638 §3.1, rfc7515 key and object of RFC 7515
// App. A.3.
const (
	rfc7638 = `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"}`

	rfc7515Key   = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	rfc7515Token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)

func TestVectors(t *testing.T) {
	set := must[*jose.KeySet](t)(jose.ParseKeySet(fmt.Appendf(nil, `{"keys":[%s]}`, rfc7515Key)))
	_, payload, err := jose.Verify(rfc7515Token, set, bothAlgs)
	if err != nil || string(payload) != "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}" {
		t.Errorf("RFC 7515 A.3: %q %v", payload, err)
	}
	n := decode64(t, strings.Split(strings.Split(rfc7638, `"n":"`)[1], `"`)[0])
	key := rsaKey().PublicKey
	key.N, key.E = newInt(n), 65537
	if got, err := jose.Thumbprint(&key); err != nil || got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("RFC 7638 3.1: %q %v", got, err)
	}
	if got := must[string](t)(jose.Thumbprint(&ecKey().PublicKey)); got == must[string](t)(jose.Thumbprint(&otherEC().PublicKey)) {
		t.Errorf("two keys, one thumbprint %q", got)
	}
}
