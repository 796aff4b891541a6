package blackbox_test

import (
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/procura/procura/internal/jose"
)

// forgery makes a JWT of good claims in a bad way.
type forgery func(claims map[string]any) string

// nowhere presents forgeries of by's in the place of a request object, by value and
// pushed, and of a client assertion: each place answers with its own error.
func nowhere(t *testing.T, by *party, forgeries map[string]forgery) {
	t.Helper()
	before := left(t, by)
	for name, forge := range forgeries {
		for _, p := range bothWays {
			r := p.request(t, by)
			r.object = forge(r.claims)
			o := r.send(t)
			o.state = false // whether the object's state counts depends on how far it was read
			if o.String() != p.refused("invalid_request_object") {
				t.Errorf("%s as request object: %s", name, o)
			}
		}
		noAssertion(t, by, name, forge(by.assertion(house.Issuer)))
	}
	nothingLeft(t, by, before)
}

// noAssertion presents a JWT as by's client assertion at the token endpoint.
func noAssertion(t *testing.T, by *party, name, compact string) {
	t.Helper()
	form := merged(url.Values{"grant_type": {"client_credentials"}, "scope": {"accounts"}}, proof(compact))
	if a := post(t, by.back, house.meta.Aliases.Token, form); a.String() != "401 invalid_client" {
		t.Errorf("%s as client assertion: %s", name, a)
	}
}

func TestAttack19JWTOfTheOtherKind(t *testing.T) {
	a := attack(t, 19, "invalid_request_object for an assertion, invalid_client for a request object")
	leavesNothing(t, a.mallory)
	for _, p := range bothWays {
		r := p.request(t, a.mallory)
		r.object = a.mallory.sign(t, a.mallory.assertion(house.Issuer))
		want(t, r.send(t), p.lost("invalid_request_object")) // an assertion names no redirect_uri
		// With everything that a request object needs, its sub still gives it away.
		r = p.request(t, a.mallory).set(map[string]any{"sub": a.mallory.id, "jti": rand.Text()})
		want(t, r.send(t), p.refused("invalid_request_object"))
	}
	r := viaValue.request(t, a.mallory).set(map[string]any{"jti": rand.Text()})
	noAssertion(t, a.mallory, "a request object", jws(t, r.head, r.claims, r.sign))
	r.set(map[string]any{"sub": a.mallory.id})
	r.head["typ"] = "oauth-authz-req+jwt"
	noAssertion(t, a.mallory, "a request object with sub", jws(t, r.head, r.claims, r.sign))
}

func TestAttack20OurTokensElsewhere(t *testing.T) {
	a := attack(t, 20, "401 invalid_client as assertion, 401 invalid_token as access token, invalid_request as id_token_hint")
	r := viaValue.request(t, a.mallory)
	o := r.code(t)
	k := r.tokens(t, o)
	leavesNothing(t, a.mallory)
	idToken, application := k.text("id_token"), applicationToken(t, a.mallory)
	for name, compact := range map[string]string{"id token": idToken, "detached id token": o.params.Get("id_token"), "access token": k.access, "application token": application} {
		noAssertion(t, a.mallory, name, compact)
	}
	for _, compact := range []string{idToken, o.params.Get("id_token"), application, k.refresh, o.params.Get("code")} {
		want(t, userinfo(t, a.mallory.back, compact), "401 invalid_token")
	}
	if g := accounts(t, a.mallory.back, idToken); g.status != http.StatusUnauthorized {
		t.Errorf("the gateway answers an id token with %d", g.status)
	}
	for _, p := range bothWays {
		want(t, p.request(t, a.mallory).set(map[string]any{"id_token_hint": k.access}).send(t), p.refused("invalid_request"))
	}
}

func TestAttack21Algorithms(t *testing.T) {
	a := attack(t, 21, "the error of the place for none in every spelling, for no or a malformed alg, and for HS256 with a public key as secret")
	by := a.mallory
	forgeries := map[string]forgery{}
	for name, alg := range map[string]any{"none": "none", "None": "None", "nOnE": "nOnE", "empty": "", "missing": nil, "array": []string{"ES256"}, "number": 7, "object": map[string]string{"a": "b"}} {
		forgeries[name] = func(c map[string]any) string { return jws(t, by.header(map[string]any{"alg": alg}), c, unsigned) }
		forgeries[name+" with a signature"] = func(c map[string]any) string {
			return jws(t, by.header(map[string]any{"alg": alg}), c, by.signer.SignBytes)
		}
	}
	own, err := jose.PublicJWK(by.signer.KID, "sig", jose.ES256, by.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{"our RSA key as PEM": serverPublicPEM(t), "the client's JWK": own, "nothing": nil} {
		forgeries["HS256 with "+name] = func(c map[string]any) string {
			return jws(t, by.header(map[string]any{"alg": "HS256"}), c, hs256(secret))
		}
	}
	nowhere(t, by, forgeries)
}

func TestAttack22WeakSignatures(t *testing.T) {
	attack(t, 22, "RS256 and PS256 with a key of 1024 bits are refused; such a key cannot be registered")
	by := who(t, special(22, "rsa"))
	weak := weakRSA(t)
	nowhere(t, by, map[string]forgery{
		"RS256": func(c map[string]any) string {
			return jws(t, by.header(map[string]any{"alg": "RS256"}), c, rs256(by.key))
		},
		"RS256 that claims PS256": func(c map[string]any) string { return jws(t, by.header(nil), c, rs256(by.key)) },
		"PS256 with 1024 bits":    func(c map[string]any) string { return jws(t, by.header(nil), c, ps256(weak)) },
		"PS256 with a salt of 0":  func(c map[string]any) string { return jws(t, by.header(nil), c, shortSalt(by.key)) },
		"PS512, which we do not use": func(c map[string]any) string {
			return jws(t, by.header(map[string]any{"alg": "PS512"}), c, ps256(by.key))
		},
	})
	record := plainRecord(t, by, "-weak", by.redirect)
	record["jwks"] = map[string]any{"keys": []any{map[string]any{"kty": "RSA", "kid": "weak", "use": "sig", "alg": "PS256", "e": "AQAB",
		"n": base64.RawURLEncoding.EncodeToString(weak.N.Bytes())}}}
	if err := house.importClients(t.Context(), house.Path(house.ConfigFile), []map[string]any{record}); err == nil {
		t.Error("a client with a key of 1024 bits was registered")
	}
}

func TestAttack23OddSignatures(t *testing.T) {
	a := attack(t, 23, "the error of the place for r=s=0, other lengths, DER, another curve and another kind of key")
	by, other := a.mallory, who(t, special(22, "rsa"))
	constant := func(b []byte) func([]byte) ([]byte, error) {
		return func([]byte) ([]byte, error) { return b, nil }
	}
	twist := func(change func(sig []byte) []byte) func([]byte) ([]byte, error) {
		return func(input []byte) ([]byte, error) {
			sig, err := by.signer.SignBytes(input)
			return change(sig), err
		}
	}
	forgeries := map[string]forgery{}
	for name, sign := range map[string]func([]byte) ([]byte, error){
		"r=s=0": constant(make([]byte, 64)), "no signature": constant(nil), "one byte": constant([]byte{1}),
		"r=0":            twist(func(s []byte) []byte { return append(make([]byte, 32), s[32:]...) }),
		"s=0":            twist(func(s []byte) []byte { return append(s[:32:32], make([]byte, 32)...) }),
		"s=n":            twist(func(s []byte) []byte { return append(s[:32:32], p256Order()...) }),
		"r=n and s=n":    constant(append(p256Order(), p256Order()...)),
		"63 bytes":       twist(func(s []byte) []byte { return s[:63] }),
		"65 bytes":       twist(func(s []byte) []byte { return append(s, 0) }),
		"96 bytes":       twist(func(s []byte) []byte { return append(s, make([]byte, 32)...) }),
		"DER":            twist(asDER(t)),
		"the RSA key's":  other.signer.SignBytes,
		"P-384":          es384Label(t),
		"Ed25519's size": constant(make([]byte, 64)),
	} {
		forgeries[name] = func(c map[string]any) string { return jws(t, by.header(nil), c, sign) }
	}
	for _, alg := range []string{"PS256", "EdDSA", "Ed25519", "ES384", "ES512", "RS256"} {
		forgeries["labelled "+alg] = func(c map[string]any) string {
			return jws(t, by.header(map[string]any{"alg": alg}), c, by.signer.SignBytes)
		}
	}
	nowhere(t, by, forgeries)
}

// asDER turns r and s of fixed width into the ASN.1 form that JWS does not know.
func asDER(t testing.TB) func([]byte) []byte {
	return func(sig []byte) []byte {
		der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
}

func TestAttack33OtherSerialisations(t *testing.T) {
	a := attack(t, 33, "the error of the place for JSON, detached and SD-JWT forms")
	by := a.mallory
	good := func(c map[string]any) []string { return strings.Split(by.sign(t, c), ".") }
	nowhere(t, by, map[string]forgery{
		"flattened JSON": func(c map[string]any) string {
			p := good(c)
			raw, _ := json.Marshal(map[string]string{"protected": p[0], "payload": p[1], "signature": p[2]})
			return string(raw)
		},
		"general JSON": func(c map[string]any) string {
			p := good(c)
			raw, _ := json.Marshal(map[string]any{"payload": p[1], "signatures": []map[string]string{{"protected": p[0], "signature": p[2]}}})
			return string(raw)
		},
		"detached":        func(c map[string]any) string { p := good(c); return p[0] + ".." + p[2] },
		"SD-JWT":          func(c map[string]any) string { return strings.Join(good(c), ".") + "~" },
		"SD-JWT with one": func(c map[string]any) string { return strings.Join(good(c), ".") + "~WyJhIiwiYiJd~" },
		"two parts":       func(c map[string]any) string { p := good(c); return p[0] + "." + p[1] },
		"four parts":      func(c map[string]any) string { return strings.Join(good(c), ".") + ".e30" },
		"with a space":    func(c map[string]any) string { return " " + strings.Join(good(c), ".") },
		"a JSON string":   func(c map[string]any) string { return `"` + strings.Join(good(c), ".") + `"` },
	})
}
