package blackbox_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/internal/jose"
)

func TestAttack24KeysInTheHeader(t *testing.T) {
	a := attack(t, 24, "jwk, jku, x5u and x5c are not looked at and nothing is fetched; the signature fails")
	by := a.victim // whose name the attacker signs in
	bait := house.tpp.publish("/a24/keys", func(w http.ResponseWriter, _ *http.Request) {
		jwk, _ := jose.PublicJWK(by.signer.KID, "sig", jose.ES256, a.mallory.key.Public())
		_, _ = w.Write([]byte(`{"keys":[` + string(jwk) + `]}`))
	})
	jwk, err := jose.PublicJWK(by.signer.KID, "sig", jose.ES256, a.mallory.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := house.clientCA.Issue(certtest.Template{Subject: "CN=" + by.id, Key: a.mallory.key, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	chain := []string{base64.StdEncoding.EncodeToString(leaf.Cert.Raw), base64.StdEncoding.EncodeToString(leaf.Issuer.Raw)}
	forgeries := map[string]forgery{}
	for name, member := range map[string]map[string]any{"jwk": {"jwk": json.RawMessage(jwk)}, "jku": {"jku": bait.address}, "x5u": {"x5u": bait.address}, "x5c": {"x5c": chain}} {
		forgeries[name] = func(c map[string]any) string { return jws(t, by.header(member), c, a.mallory.signer.SignBytes) }
		forgeries[name+" without kid"] = func(c map[string]any) string {
			return jws(t, with(by.header(member), map[string]any{"kid": nil}), c, a.mallory.signer.SignBytes)
		}
	}
	nowhere(t, by, forgeries)
	if n := bait.hits.Load(); n > 0 {
		t.Errorf("the server fetched the attacker's keys %d times", n)
	}
}

func TestAttack25KeyIDs(t *testing.T) {
	a := attack(t, 25, "a kid of paths, SQL, NUL or LDAP is a key that is not there; one of 100 KB is refused by size with 413")
	by := a.mallory
	forgeries := map[string]forgery{}
	for _, kid := range []any{"../../etc/passwd", "' OR 1=1--", "\x00", "*)(uid=*", "${jndi:ldap://x}", "%00", strings.Repeat("k", 5000), "é", "\u202e", " " + by.signer.KID, by.signer.KID + "\n", 7, nil, []string{by.signer.KID}} {
		if kid == nil {
			continue
		}
		raw, _ := json.Marshal(kid)
		forgeries[string(raw[:min(len(raw), 40)])] = func(c map[string]any) string {
			return jws(t, by.header(map[string]any{"kid": kid}), c, by.signer.SignBytes)
		}
	}
	nowhere(t, by, forgeries)
	huge := jws(t, by.header(map[string]any{"kid": strings.Repeat("k", 100<<10)}), by.assertion(house.Issuer), by.signer.SignBytes)
	want(t, post(t, by.back, house.meta.Aliases.Token, merged(url.Values{"grant_type": {"client_credentials"}}, proof(huge))), "413 invalid_request")
}

func TestAttack26KeyIDFlood(t *testing.T) {
	attack(t, 26, "unknown kids make the server fetch jwks_uri once, not thirty times; 401 invalid_client for each")
	by := who(t, special(26, "remote"))
	good := proof(by.sign(t, by.assertion(house.Issuer)))
	want(t, post(t, by.back, house.meta.Aliases.Token, merged(url.Values{"grant_type": {"client_credentials"}}, good)), "200")
	page := house.tpp.page("/" + by.spec.name + "/jwks")
	before := page.hits.Load()
	parallel(30, func() any {
		kid := by.assertion("")["jti"]
		noAssertion(t, by, "an unknown kid", jws(t, by.header(map[string]any{"kid": kid}), by.assertion(house.Issuer), by.signer.SignBytes))
		return nil
	})
	if n := page.hits.Load() - before; n > 1 {
		t.Errorf("jwks_uri was fetched %d times", n)
	}
}

func TestAttack27SameKeyIDAndCrit(t *testing.T) {
	a := attack(t, 27, "of two keys with one kid only that of the right type and use is tried; crit and b64 are refused")
	twins := who(t, special(27, "twins")) // an EC key to sign and an RSA key to encrypt, with one kid
	want(t, post(t, twins.back, house.meta.Aliases.Token, merged(url.Values{"grant_type": {"client_credentials"}}, twins.identify(t, house.Issuer))), "200")
	rsaKey := who(t, special(22, "rsa")).key
	nowhere(t, twins, map[string]forgery{
		"PS256 by the encryption key": func(c map[string]any) string {
			return jws(t, twins.header(map[string]any{"alg": "PS256"}), c, ps256(rsaKey))
		},
		"PS256 without kid": func(c map[string]any) string {
			return jws(t, twins.header(map[string]any{"alg": "PS256", "kid": nil}), c, ps256(rsaKey))
		},
	})
	by := a.mallory
	forgeries := map[string]forgery{}
	for name, member := range map[string]map[string]any{"crit exp": {"crit": []string{"exp"}, "exp": 1}, "crit empty": {"crit": []string{}}, "crit b64": {"crit": []string{"b64"}, "b64": true},
		"b64 false": {"b64": false}, "crit null": {"crit": json.RawMessage("null")}, "crit string": {"crit": "exp"}} {
		forgeries[name] = func(c map[string]any) string { return jws(t, by.header(member), c, by.signer.SignBytes) }
	}
	nowhere(t, by, forgeries)
}

func TestAttack28DoubleMembers(t *testing.T) {
	a := attack(t, 28, "members that stand twice are refused; other spellings of a name are other names")
	by := a.mallory
	signed := func(by *party, c map[string]any, change func(string) string) string {
		payload, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return jws(t, by.header(nil), []byte(change(string(payload))), by.signer.SignBytes)
	}
	raw := func(c map[string]any, change func(string) string) string { return signed(by, c, change) }
	doubled := func(more string) forgery {
		return func(c map[string]any) string {
			return raw(c, func(s string) string { return strings.TrimSuffix(s, "}") + "," + more + "}" })
		}
	}
	respelt := func(name, other string) forgery {
		return func(c map[string]any) string {
			return raw(c, func(s string) string { return strings.Replace(s, `"`+name+`":`, `"`+other+`":`, 1) })
		}
	}
	twice := func(c map[string]any) string { // in the header
		return jws(t, []byte(`{"alg":"ES256","kid":"`+by.signer.KID+`","alg":"ES256"}`), c, by.signer.SignBytes)
	}
	nowhere(t, by, map[string]forgery{
		"aud twice, evil last": doubled(`"aud":"https://evil.example"`), "aud twice, escaped": doubled(`"\u0061ud":"` + house.Issuer + `"`),
		"iss twice": doubled(`"iss":"` + by.id + `"`), "exp twice": doubled(`"exp":9999999999`),
		"AUD": respelt("aud", "AUD"), "Exp": respelt("exp", "Exp"), "alg twice": twice,
	})
	// The Kelvin sign and the long s fold to k and s in careless comparisons.
	noAssertion(t, by, "ſub", respelt("sub", "ſub")(by.assertion(house.Issuer)))
	noAssertion(t, by, "Iss", respelt("iss", "Iss")(by.assertion(house.Issuer)))
	r := viaPush.request(t, a.victim) // a name of another spelling is unknown and changes nothing
	r.object = signed(a.victim, r.claims, func(s string) string { return strings.TrimSuffix(s, "}") + `,"ſcope":"admin","SCOPE":"admin"}` })
	want(t, r.send(t), viaPush.success())
}

func TestAttack29HugeTokens(t *testing.T) {
	a := attack(t, 29, "413 for bodies above 64 KiB; the error of the place for thousands of dots, padding and line breaks")
	by := a.mallory
	good := func(c map[string]any) string { return by.sign(t, c) }
	nowhere(t, by, map[string]forgery{
		"dots":        func(map[string]any) string { return strings.Repeat(".", 15000) },
		"dotted text": func(map[string]any) string { return strings.Repeat("a.", 8000) },
		"20 KB":       func(c map[string]any) string { return good(with(c, map[string]any{"pad": strings.Repeat("x", 20000)})) },
		"padding": func(c map[string]any) string {
			p := strings.Split(good(c), ".")
			return p[0] + "=." + p[1] + "==." + p[2]
		},
		"line breaks": func(c map[string]any) string {
			p := strings.Split(good(c), ".")
			return p[0] + "\r\n." + p[1] + "." + p[2]
		},
		"break within": func(c map[string]any) string {
			p := strings.Split(good(c), ".")
			return p[0] + "." + p[1][:10] + "\n" + p[1][10:] + "." + p[2]
		},
		"base64, not base64url": func(c map[string]any) string {
			p := strings.Split(good(c), ".")
			return p[0] + "." + p[1] + "+/." + p[2]
		},
		"spare bits": spareBits(t, by),
	})
	for _, body := range []url.Values{proof(strings.Repeat("a", 10<<20)), proof(strings.Repeat(".", 1<<20)), {"request": {strings.Repeat("a", 10<<20)}}} {
		for _, address := range []string{house.meta.Aliases.Token, house.meta.Aliases.PAR} {
			want(t, post(t, by.back, address, merged(url.Values{"grant_type": {"client_credentials"}}, body)), "413 invalid_request")
		}
	}
}

// spareBits sets the bits of the last character that encode nothing.
func spareBits(t testing.TB, by *party) forgery {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return func(c map[string]any) string { // 64 bytes of signature leave four bits
		compact := by.sign(t, c)
		last := strings.IndexByte(alphabet, compact[len(compact)-1])
		return compact[:len(compact)-1] + string(alphabet[last|1])
	}
}
