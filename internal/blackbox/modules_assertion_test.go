package blackbox_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
)

// assertionModules are the rows about private_key_jwt at the token endpoint.
func assertionModules() []module {
	const ic = "401 invalid_client"
	bad := func(name, must string, in func(plan) bool, auth func(testing.TB, plan, *party) url.Values) module {
		return module{prefix + "-" + name, must, in, func(t *testing.T, p plan) {
			r := p.first(t)
			o := r.code(t)
			form := merged(url.Values{"grant_type": {"authorization_code"}}, auth(t, p, r.by), r.redemption(o))
			want(t, post(t, r.by.back, house.meta.Aliases.Token, form), ic)
			r.tokens(t, o) // the code was not spent
		}}
	}
	claims := func(name, must string, change func(*party, *party) map[string]any) module {
		return bad(name, must, assertions, func(t testing.TB, p plan, by *party) url.Values {
			_, two := p.parties(t)
			return proof(by.sign(t, with(by.assertion(house.meta.Aliases.Token), change(by, two))))
		})
	}
	good := func(name, must string, in func(plan) bool, aud func() any) module {
		return module{prefix + "-" + name, must, in, func(t *testing.T, p plan) { p.accepts(t, aud()) }}
	}
	return []module{
		bad("ensure-signed-client-assertion-with-RS256-fails", ic, assertions, func(t testing.TB, _ plan, by *party) url.Values {
			return proof(jws(t, by.header(map[string]any{"alg": "RS256"}), by.assertion(house.meta.Aliases.Token), rs256(by.key)))
		}),
		bad("ensure-client-assertion-in-token-endpoint", ic+": client_id alone", assertions, func(_ testing.TB, _ plan, by *party) url.Values {
			return url.Values{"client_id": {by.id}}
		}),
		claims("ensure-client-assertion-with-exp-is-5-minutes-in-past-fails", ic, func(*party, *party) map[string]any {
			past := time.Now().Add(-5 * time.Minute).Unix()
			return map[string]any{"iat": past - 60, "nbf": past - 60, "exp": past}
		}),
		claims("ensure-client-assertion-with-wrong-aud-fails", ic, func(*party, *party) map[string]any {
			return map[string]any{"aud": "https://invalid.example.com"}
		}),
		claims("ensure-client-assertion-with-no-sub-fails", ic, func(*party, *party) map[string]any { return map[string]any{"sub": nil} }),
		claims("ensure-client-assertion-with-wrong-iss-fails", ic, func(_, two *party) map[string]any { return map[string]any{"iss": two.id} }),
		claims("ensure-client-assertion-with-wrong-sub-fails", ic, func(_, two *party) map[string]any { return map[string]any{"sub": two.id} }),
		good("ensure-client-assertion-with-iss-aud-succeeds", "the issuer is an audience", assertions, func() any { return house.Issuer }),
		good("test-array-as-audience-for-client-JWT-assertion", "an array of issuer and token endpoint, at PAR and token endpoint", assertions,
			func() any { return []string{house.Issuer, house.meta.Token} }),
	}
}

// accepts takes a flow through with assertions for aud, pushed if the plan pushes.
func (p plan) accepts(t *testing.T, aud any) {
	t.Helper()
	r := p.first(t)
	r.push = proof(r.by.sign(t, r.by.assertion(aud)))
	o := r.code(t)
	form := merged(url.Values{"grant_type": {fapi.GrantAuthorizationCode}}, proof(r.by.sign(t, r.by.assertion(aud))), r.redemption(o))
	r.checkTokens(t, post(t, r.by.back, house.meta.Aliases.Token, form))
}
