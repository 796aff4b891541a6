package blackbox_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/procura/procura/internal/jose"
)

// objectModules are the rows in which the request object is not good enough.
func objectModules() []module {
	const iro, ir = "invalid_request_object", "invalid_request"
	now := func() int64 { return time.Now().Unix() }
	// claim makes a row in which a claim of the object is changed: the object is the
	// client's own word all the same, so its state and response_mode count.
	claim := func(name, must, code string, change func() map[string]any) module {
		return module{prefix + "-ensure-" + name, must, nil, func(t *testing.T, p plan) {
			want(t, p.first(t).set(change()).send(t), p.refused(code))
		}}
	}
	// forged makes a row in which the object cannot be believed.
	forged := func(name, must string, change func(testing.TB, *request)) module {
		return module{prefix + "-ensure-" + name, must, nil, func(t *testing.T, p plan) {
			r := p.first(t)
			change(t, r)
			want(t, r.send(t), p.distrusted(iro))
		}}
	}
	return []module{
		claim("request-object-without-exp-fails", iro, iro, func() map[string]any { return map[string]any{"exp": nil} }),
		claim("request-object-without-nbf-fails", iro, iro, func() map[string]any { return map[string]any{"nbf": nil} }),
		claim("request-object-without-scope-fails", ir+": a scope outside does not count", ir, func() map[string]any { return map[string]any{"scope": nil} }),
		{prefix + "-ensure-request-object-without-nonce-fails", ir + ": a nonce outside does not count", nil, func(t *testing.T, p plan) {
			r := p.first(t).set(map[string]any{"nonce": nil})
			r.outer.Set("nonce", "only-outside")
			want(t, r.send(t), p.refused(ir))
		}},
		{prefix + "-ensure-request-object-without-redirect-uri-fails", "a page, or " + ir + " from PAR: a redirect_uri outside does not count", nil,
			func(t *testing.T, p plan) {
				want(t, p.first(t).set(map[string]any{"redirect_uri": nil}).send(t), p.lost(ir))
			}},
		claim("expired-request-object-fails", iro+", without tolerance", iro, func() map[string]any { return map[string]any{"exp": now() - 3600} }),
		claim("request-object-with-bad-aud-fails", iro, iro, func() map[string]any { return map[string]any{"aud": "https://www.other1.example.com/"} }),
		claim("request-object-with-exp-over-60-fails", iro+": exp at most 60 minutes after nbf", iro, func() map[string]any { return map[string]any{"exp": now() + 70*60} }),
		claim("request-object-with-nbf-over-60-fails", iro+": nbf at most 60 minutes ago", iro, func() map[string]any { return map[string]any{"nbf": now() - 70*60} }),
		forged("signed-request-object-with-RS256-fails", iro, func(_ testing.TB, r *request) {
			r.head["alg"], r.sign = "RS256", rs256(r.by.key)
		}),
		forged("request-object-signature-algorithm-is-not-none", iro, func(_ testing.TB, r *request) {
			r.head, r.sign = map[string]any{"alg": "none"}, unsigned
		}),
		forged("request-object-with-invalid-signature-fails", iro, func(_ testing.TB, r *request) {
			good := r.sign
			r.sign = func(input []byte) ([]byte, error) {
				s, err := good(input)
				return append(bytes.Clone(s[:len(s)-1]), s[len(s)-1]^0x5a), err
			}
		}),
		forged("matching-key-in-authorization-request", iro+": signed with the other client's key", func(t testing.TB, r *request) {
			_, two := r.plan.parties(t)
			r.head, r.sign = two.header(nil), two.signer.SignBytes
			if two.signer.Alg != jose.ES256 {
				t.Error("the second client's key is of the first one's kind")
			}
		}),
	}
}
