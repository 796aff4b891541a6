package blackbox_test

import (
	"crypto/rand"
	"net/url"
	"testing"
)

// frontModules are the rows about where an answer may go and what may be asked for.
func frontModules() []module {
	const ir = "invalid_request"
	return []module{
		{prefix + "-ensure-response-mode-query", ir + ", for code id_token in the fragment; never an answer with a code in the query", nil,
			func(t *testing.T, p plan) {
				r := p.first(t).set(map[string]any{"response_mode": "query"})
				wanted := p.refused(ir)
				if p.jarm && !p.pushed {
					wanted = "query " + ir // which is what was asked for; it holds no code
				}
				want(t, r.send(t), wanted)
			}},
		{prefix + "-ensure-registered-redirect-uri", "a page, or " + ir + " from PAR; no redirect to either URI", nil, func(t *testing.T, p plan) {
			other := "https://" + clientHost + "/" + p.name() + "-1/callback" + rand.Text()
			r := p.first(t).set(map[string]any{"redirect_uri": other})
			r.outer.Set("redirect_uri", other)
			want(t, r.send(t), p.lost(ir))
		}},
		{prefix + "-ensure-redirect-uri-in-authorization-request", "a page, or " + ir + " from PAR", nil, func(t *testing.T, p plan) {
			r := p.first(t).set(map[string]any{"redirect_uri": nil})
			r.outer.Del("redirect_uri")
			want(t, r.send(t), p.lost(ir))
		}},
		{prefix + "-ensure-response-type-code-fails", ir + ": code needs a response_mode with .jwt", plain, func(t *testing.T, p plan) {
			r := p.first(t).set(map[string]any{"response_type": "code"})
			r.outer.Set("response_type", "code")
			wanted := p.refused(ir)
			if !p.pushed {
				wanted = "query " + ir
			}
			want(t, r.send(t), wanted)
		}},
		{prefix + "-ensure-authorization-request-without-request-object-fails", ir + " in the fragment, or in a JWT when that was asked for", nil, withoutObject},
	}
}

// withoutObject sends all parameters plainly to /authorize, whatever the plan.
func withoutObject(t *testing.T, p plan) {
	r := p.first(t)
	form := url.Values{"client_id": {r.by.id}, "scope": {allScopes}, "redirect_uri": {r.by.redirect}}
	for _, name := range []string{"response_type", "response_mode", "state", "nonce", "code_challenge", "code_challenge_method"} {
		if v := r.text(name); v != "" {
			form.Set(name, v)
		}
	}
	want(t, r.open(t, house.meta.Authorize+"?"+form.Encode(), agree), p.front("invalid_request"))
}
