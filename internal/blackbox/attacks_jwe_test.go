package blackbox_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/jose"
)

// within is how soon a hostile object must be refused, with room for a busy machine.
const within = 2 * time.Second

// sealedNowhere presents JWEs as request objects, by value and pushed: none may be
// accepted and none may cost more than a moment.
func sealedNowhere(t *testing.T, by *party, seals map[string]func(signed string) string) {
	t.Helper()
	before := left(t, by)
	for name, seal := range seals {
		for _, p := range bothWays {
			r := p.request(t, by)
			r.object = seal(jws(t, r.head, r.claims, r.sign))
			began := time.Now()
			o := r.send(t)
			if o.String() != p.distrusted("invalid_request_object") {
				t.Errorf("%s: %s", name, o)
			}
			if took := time.Since(began); took > within {
				t.Errorf("%s took %s", name, took)
			}
		}
	}
	nothingLeft(t, by, before)
}

func TestAttack30JWEKinds(t *testing.T) {
	a := attack(t, 30, "invalid_request_object at once for PBES2, dir, A128KW and zip")
	garbage := func(header map[string]any) func(string) string {
		return func(string) string {
			return part(t, header) + "." + part(t, make([]byte, 40)) + "." + part(t, make([]byte, 12)) + "." + part(t, make([]byte, 64)) + "." + part(t, make([]byte, 16))
		}
	}
	salt := base64.RawURLEncoding.EncodeToString(make([]byte, 16))
	seals := map[string]func(string) string{
		"PBES2 of 2^31": garbage(map[string]any{"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 1 << 31, "p2s": salt}),
		"p2c beside ECDH-ES": func(s string) string {
			return sealing{header: map[string]any{"p2c": 1 << 31, "p2s": salt, "alg": "PBES2-HS512+A256KW"}}.seal(t, []byte(s))
		},
		"dir":    garbage(map[string]any{"alg": "dir", "enc": "A256GCM"}),
		"A128KW": garbage(map[string]any{"alg": "A128KW", "enc": "A256GCM"}),
		"zip": func(s string) string {
			return sealing{header: map[string]any{"zip": "DEF"}, deflate: true}.seal(t, []byte(s))
		},
		"zip of 16 MB": func(string) string {
			return sealing{header: map[string]any{"zip": "DEF"}, deflate: true}.seal(t, make([]byte, 16<<20))
		},
		"zip that is none": func(s string) string { return sealing{header: map[string]any{"zip": "DEF"}}.seal(t, []byte(s)) },
		"zip null": func(s string) string {
			return sealing{header: map[string]any{"zip": json.RawMessage("null")}}.seal(t, []byte(s))
		},
		"crit": func(s string) string {
			return sealing{header: map[string]any{"crit": []string{"exp"}, "exp": 1}}.seal(t, []byte(s))
		},
		"enc A128GCM":         func(s string) string { return sealing{header: map[string]any{"enc": "A128GCM"}}.seal(t, []byte(s)) },
		"an unknown kid":      func(s string) string { return sealing{header: map[string]any{"kid": "other"}}.seal(t, []byte(s)) },
		"larger than allowed": func(string) string { return sealing{}.seal(t, bytes.Repeat([]byte("a"), 20<<10)) },
	}
	sealedNowhere(t, a.mallory, seals)
	for _, p := range bothWays { // and one that is as it should be
		r := p.request(t, a.victim)
		r.object = sealing{}.seal(t, []byte(jws(t, r.head, r.claims, r.sign)))
		r.flow(t)
	}
}

func TestAttack31NestedJWE(t *testing.T) {
	a := attack(t, 31, "invalid_request_object for JWE in JWE, for alg none inside and for claims that nobody signed; RSA-OAEP-256 and ECDH-ES around a JWS are good")
	seal := func(plain string) string { return sealing{header: map[string]any{"cty": "JWT"}}.seal(t, []byte(plain)) }
	unsignedObject := func(string) string {
		r := viaValue.request(t, a.mallory)
		return seal(jws(t, map[string]any{"alg": "none"}, r.claims, unsigned))
	}
	sealedNowhere(t, a.mallory, map[string]func(string) string{
		"twice":          func(s string) string { return seal(seal(s)) },
		"three times":    func(s string) string { return seal(seal(seal(s))) },
		"alg none":       unsignedObject,
		"alg none, JSON": func(string) string { return seal(`{"alg":"none"}`) },
		"bare claims":    func(s string) string { return seal(string(raw64(t, strings.Split(s, ".")[1]))) },
		"nothing":        func(string) string { return seal("") },
		"a foreign key": func(string) string {
			r := viaValue.request(t, a.mallory)
			return seal(jws(t, r.head, r.claims, a.victim.signer.SignBytes))
		},
	})
	for _, alg := range []string{jose.RSAOAEP256, jose.ECDHES} {
		r := viaValue.request(t, a.victim)
		sealed, err := jose.Encrypt([]byte(jws(t, r.head, r.claims, r.sign)), house.keys, alg, jose.A256GCM, "JWT")
		if err != nil {
			t.Fatal(err)
		}
		r.object = sealed
		r.flow(t)
	}
}

func TestAttack32DecryptionOracles(t *testing.T) {
	a := attack(t, 32, "one error in one wording for points off the curve, RSA1_5, bad padding and bad tags")
	off := map[string]any{"kty": "EC", "crv": "P-256", "x": part(t, bytes.Repeat([]byte{1}, 32)), "y": part(t, bytes.Repeat([]byte{2}, 32))}
	other := func(crv string, size int) map[string]any {
		return map[string]any{"kty": "EC", "crv": crv, "x": part(t, bytes.Repeat([]byte{1}, size)), "y": part(t, bytes.Repeat([]byte{2}, size))}
	}
	oaep := func(s string) string {
		sealed, err := jose.Encrypt([]byte(s), house.keys, jose.RSAOAEP256, jose.A256GCM, "JWT")
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	reheaded := func(s, alg string) string {
		header := map[string]any{"alg": alg, "enc": "A256GCM", "kid": serverJWK(t, "RSA", "enc")["kid"]}
		_, rest, _ := strings.Cut(oaep(s), ".")
		return part(t, header) + "." + rest
	}
	bitFlipped := func(s string, which int) string {
		parts := strings.Split(s, ".")
		b := raw64(t, parts[which])
		b[len(b)/2] ^= 1
		parts[which] = part(t, b)
		return strings.Join(parts, ".")
	}
	seals := map[string]func(string) string{
		"point off the curve": func(s string) string { return sealing{epk: off}.seal(t, []byte(s)) },
		"point at infinity": func(s string) string {
			return sealing{epk: map[string]any{"kty": "EC", "crv": "P-256", "x": "", "y": ""}}.seal(t, []byte(s))
		},
		"other curve": func(s string) string { return sealing{epk: other("P-384", 48)}.seal(t, []byte(s)) },
		"secp256k1":   func(s string) string { return sealing{epk: other("secp256k1", 32)}.seal(t, []byte(s)) },
		"no epk":      func(s string) string { return sealing{header: map[string]any{"epk": nil}}.seal(t, []byte(s)) },
		"epk with d": func(s string) string {
			return sealing{epk: with(off, map[string]any{"d": part(t, make([]byte, 32))})}.seal(t, []byte(s))
		},
		"RSA1_5":        func(s string) string { return reheaded(s, "RSA1_5") },
		"RSA-OAEP":      func(s string) string { return reheaded(s, "RSA-OAEP") },
		"bad key":       func(s string) string { return bitFlipped(oaep(s), 1) },
		"bad iv":        func(s string) string { return bitFlipped(oaep(s), 2) },
		"bad text":      func(s string) string { return bitFlipped(oaep(s), 3) },
		"bad tag":       func(s string) string { return bitFlipped(oaep(s), 4) },
		"bad tag, ECDH": func(s string) string { return bitFlipped(sealing{}.seal(t, []byte(s)), 4) },
	}
	sealedNowhere(t, a.mallory, seals)
	wordings := map[string][]string{}
	for name, seal := range seals {
		r := viaPush.request(t, a.mallory)
		r.object = seal(jws(t, r.head, r.claims, r.sign))
		says := r.pushIt(t).text("error_description")
		wordings[says] = append(wordings[says], name)
	}
	if len(wordings) != 1 {
		t.Errorf("the wordings tell apart: %v", wordings)
	}
}

func TestAttack34Numbers(t *testing.T) {
	a := attack(t, 34, "the error of the place for dates that are no dates, and for thousands of nested brackets")
	by := a.mallory
	forgeries := map[string]forgery{}
	for _, value := range []string{`"9999999999"`, `1e400`, `-1`, `253402300800`, `1e18`, `[1]`, `{}`, `true`, `NaN`, `0x10`, `01`, `""`, `null`} {
		for _, claim := range []string{"exp", "nbf"} {
			forgeries[claim+" "+value] = func(c map[string]any) string { return by.rawClaim(t, c, claim, value) }
		}
	}
	nested := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	forgeries["iat array"] = func(c map[string]any) string { return by.rawClaim(t, c, "iat", "[1]") }
	forgeries["brackets"] = func(c map[string]any) string { return by.rawClaim(t, c, "other", nested) }
	forgeries["brackets without end"] = func(c map[string]any) string { return by.rawClaim(t, c, "other", nested[:5000]) }
	delete(forgeries, "nbf null") // is as if it were not there, which assertions are free to do
	before := left(t, by)
	nowhere(t, by, forgeries)
	for _, p := range bothWays {
		for claims, code := range map[string]string{nested[3000:7000]: "_object", `{"id_token":{"a":{}},"id_token":{}}`: "_object",
			`"` + strings.Repeat("x", 9000) + `"`: "", `7`: "", `[]`: "", `{"id_token":[]}`: "", `{"id_token":{"acr":7}}`: ""} {
			r := p.request(t, by)
			r.object = by.rawClaim(t, r.claims, "claims", claims)
			o := r.send(t)
			o.state = false
			if o.String() != p.refused("invalid_request"+code) {
				t.Errorf("claims %.40s: %s", claims, o)
			}
		}
	}
	nothingLeft(t, by, before)
}

// rawClaim signs claims of which one is text that no encoder would write.
func (p *party) rawClaim(t testing.TB, claims map[string]any, name, value string) string {
	t.Helper()
	raw, err := json.Marshal(with(claims, map[string]any{name: "\u0000here"}))
	if err != nil {
		t.Fatal(err)
	}
	return jws(t, p.header(nil), []byte(strings.Replace(string(raw), `"\u0000here"`, value, 1)), p.signer.SignBytes)
}
