package jose_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/jose"
)

func newInt(b []byte) *big.Int { return new(big.Int).SetBytes(b) }

// claims is a payload as the rooms read it.
type claims struct {
	Issuer   string            `json:"iss"`
	Subject  string            `json:"sub"`
	Audience jose.Audience     `json:"aud"`
	Expires  *jose.NumericDate `json:"exp"`
	Nested   json.RawMessage   `json:"claims"`
}

// TestDecodeRefuses is G-16, G-17, attacks 28 and 34.
func TestDecodeRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	many := strings.Builder{}
	for i := range 2000 {
		many.WriteString(`"n` + strings.Repeat("x", i%40) + string(rune('a'+i%26)) + `":1,`)
	}
	for name, raw := range map[string]string{
		"empty":                        "",
		"null":                         " null ",
		"array":                        "[]",
		"string":                       `"iss"`,
		"two values":                   "{} {}",
		"open object":                  `{"iss":"a"`,
		"open string":                  `{"iss":"a`,
		"escape at the end":            `{"iss":"a\`,
		"closing only":                 `}`,
		"name without value":           `{"iss"}`,
		"bare word":                    `{iss:"a"}`,
		"trailing comma":               `{"iss":"a",}`,
		"comment":                      `{"iss":"a"/**/}`,
		"NaN":                          `{"exp":NaN}`,
		"byte order mark":              "\ufeff{}",
		"not UTF-8":                    "{\"iss\":\"\xc3\"}",
		"28 duplicate":                 `{"aud":"good","aud":"evil"}`,
		"28 duplicate with an escape":  `{"aud":"good","\u0061ud":"evil"}`,
		"28 duplicate of unknown":      `{"x":1,"x":2}`,
		"28 duplicate in unknown":      `{"x":{"y":{"a":1,"a":2}}}`,
		"28 duplicate in raw":          `{"claims":{"id_token":{"acr":null,"acr":{"essential":true}}}}`,
		"28 duplicate in array":        `{"x":[1,{"a":1,"a":2}]}`,
		"28 duplicate after an object": `{"a":{"b":1},"a":2}`,
		"28 duplicate among many":      `{` + many.String() + `"z":1}`,
		"34 nesting":                   `{"claims":` + deep(30000) + `}`,
		"34 nesting without end":       strings.Repeat("[", 60000),
		"34 nesting of objects":        strings.Repeat(`{"a":`, 10000),
		"34 too large":                 `{"x":"` + strings.Repeat("x", 64<<10) + `"}`,
		"34 exp string":                `{"exp":"1700000000"}`,
		"34 exp 1e400":                 `{"exp":1e400}`,
		"34 exp negative":              `{"exp":-1}`,
		"34 exp minus zero":            `{"exp":-0}`,
		"34 exp year 10000":            `{"exp":253402300800}`,
		"34 exp long":                  `{"exp":1` + strings.Repeat("0", 100) + `}`,
		"34 exp array":                 `{"exp":[1]}`,
		"34 exp boolean":               `{"exp":true}`,
		"iss a number":                 `{"iss":1}`,
		"aud a number":                 `{"aud":1}`,
		"aud null":                     `{"aud":null}`,
		"aud empty":                    `{"aud":[]}`,
		"aud with null":                `{"aud":["a",null]}`,
		"aud with array":               `{"aud":[["a"]]}`,
		"aud of eleven":                `{"aud":["a"` + strings.Repeat(`,"a"`, 10) + `]}`,
		"aud an object":                `{"aud":{"a":1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			var c claims
			if err := jose.Decode([]byte(raw), &c); !errors.Is(err, jose.ErrMalformed) {
				t.Fatalf("got %+v %v", c, err)
			}
		})
	}
}

// TestDecodeKeepsQuiet: what the sender wrote is not part of the error.
func TestDecodeKeepsQuiet(t *testing.T) {
	for _, raw := range []string{`{"SECRET":1,"SECRET":2}`, `{"iss":SECRET}`, `{"exp":"SECRET"}`, `SECRET`} {
		var c claims
		if err := jose.Decode([]byte(raw), &c); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestDecodeExactNames(t *testing.T) {
	var c claims
	raw := `{"ISS":"evil","Sub":"evil","ſub":"evil","AUD":"evil","iss":"good","aud":["a","b"],"exp":1700000000.9}`
	if err := jose.Decode([]byte(raw), &c); err != nil {
		t.Fatal(err)
	}
	if c.Issuer != "good" || c.Subject != "" || c.Audience.Has("evil") || !c.Audience.Has("b") || c.Audience.Single {
		t.Errorf("got %+v", c)
	}
	if *c.Expires != 1700000000 || !c.Expires.Time().Equal(time.Unix(1700000000, 0)) {
		t.Errorf("exp %v", *c.Expires)
	}
}

func TestDecodeAccepts(t *testing.T) {
	many := `{`
	for i := range 200 {
		many += fmt.Sprintf(`"n%d":{},`, i)
	}
	for _, raw := range []string{
		many + `"z":1}`,
		`{}`, ` { } `, `{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}`, `{"exp":0}`, `{"exp":253402300799}`, `{"exp":1.7e9}`,
		`{"exp":null}`, `{"x":"a,b","y":"{","z":"\"}"}`, `{"a\"b":1,"a":2}`,
		`{"claims":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`,
	} {
		var c claims
		if err := jose.Decode([]byte(raw), &c); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestAudienceRoundTrip(t *testing.T) {
	for _, raw := range []string{`"a"`, `["a"]`, `["a","b"]`} {
		var a jose.Audience
		if err := json.Unmarshal([]byte(raw), &a); err != nil {
			t.Fatal(err)
		}
		if out, err := json.Marshal(a); err != nil || string(out) != raw {
			t.Errorf("%s became %s, %v", raw, out, err)
		}
		if !a.Has("a") || a.Has("") || a.Has("A") {
			t.Errorf("%s: membership", raw)
		}
	}
}

// TestHalfHash is the vector of specs F1A-14 and the example of OIDC Core App. A.4.
func TestHalfHash(t *testing.T) {
	for _, tc := range []struct{ alg, value, want string }{
		{jose.ES256, "VgSUIEnflnDxTe1vAtr54o", "9s6CBbOxiKE65d9-Qr0QIQ"},
		{jose.PS256, "VgSUIEnflnDxTe1vAtr54o", "9s6CBbOxiKE65d9-Qr0QIQ"},
		{jose.ES256, "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk", "LDktKdoQak3Pk0cnXxCltA"},
		{"RS512", "x", ""},
	} {
		if got := jose.HalfHash(tc.alg, tc.value); got != tc.want {
			t.Errorf("%s of %q: %q", tc.alg, tc.value, got)
		}
	}
	if got := jose.CertThumbprint(nil); got != "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" {
		t.Errorf("thumbprint of nothing: %q", got)
	}
}

func TestHeader(t *testing.T) {
	token := rawJWS(t, `{"alg":"RS512","kid":"ключ","typ":"Application/AT+jwt","cty":"JWT"}`, `{"iss":"me"}`, ecKey())
	h, err := jose.ParseHeader(token)
	if err != nil || h != (jose.Header{Alg: "RS512", KID: "ключ", Typ: "Application/AT+jwt", Cty: "JWT"}) {
		t.Fatalf("got %+v %v", h, err)
	}
	if !h.HasTyp("at+jwt") || h.HasTyp("jwt") || h.HasTyp("") || (jose.Header{}).HasTyp("JWT") {
		t.Error("typ compared wrongly")
	}
	if payload, err := jose.Payload(token); err != nil || string(payload) != `{"iss":"me"}` {
		t.Errorf("payload %q %v", payload, err)
	}
	if jose.IsJWE(token) || !jose.IsJWE("a.b.c.d.e") {
		t.Error("IsJWE")
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"iss":"a","aud":["b"],"exp":1.5}`, `{"a":{"a":1,"a":2}}`, `[[[[`, `{"\u0061":1,"a":2}`, "null"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var c claims
		var anything any
		errStruct, err := jose.Decode(raw, &c), jose.Decode(raw, &anything)
		if err != nil && errStruct == nil {
			t.Fatalf("taken as claims, refused as anything: %v", err)
		}
		if err == nil && !json.Valid(raw) {
			t.Fatal("encoding/json says that this is not JSON")
		}
		if err == nil {
			countNames(t, raw)
		}
	})
}

// countNames reads the text a second time, token by token, and fails on a name
// that stands twice in an object.
func countNames(t *testing.T, raw []byte) {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	var walk func()
	walk = func() {
		tok, _ := dec.Token()
		seen := map[string]bool{}
		for d, _ := tok.(json.Delim); d == '{' && dec.More(); {
			name, _ := dec.Token()
			if seen[name.(string)] {
				t.Fatalf("%q twice", name)
			}
			seen[name.(string)] = true
			walk()
		}
		for d, _ := tok.(json.Delim); d == '[' && dec.More(); {
			walk()
		}
		if _, open := tok.(json.Delim); open {
			_, _ = dec.Token()
		}
	}
	walk()
}
