package blackbox_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// pushModules are the rows about pushed requests.
func pushModules() []module {
	const ir, iro, iru, ic = "400 invalid_request", "400 invalid_request_object", "page 400 invalid_request_uri", "401 invalid_client"
	aud := func(name, must string, value func() any) module {
		return module{prefix + "-par-" + name, must, pushedByJWT, func(t *testing.T, p plan) {
			r := p.first(t)
			r.push = proof(r.by.sign(t, r.by.assertion(value())))
			r.flow(t)
		}}
	}
	assertion := func(name string, change func(two *party) map[string]any) module {
		return module{prefix + "-par-ensure-client-assertion-with-" + name, ic, pushedByJWT, func(t *testing.T, p plan) {
			_, two := p.parties(t)
			r := p.first(t)
			r.push = proof(r.by.sign(t, with(r.by.assertion(house.meta.PAR), change(two))))
			want(t, r.pushIt(t), ic)
		}}
	}
	push := func(name, answer string, change func(*request)) module {
		return module{prefix + "-" + name, answer, pushed, func(t *testing.T, p plan) {
			r := p.first(t)
			change(r)
			want(t, r.pushIt(t), answer)
		}}
	}
	return []module{
		{prefix + "-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds", "a request_uri that was only looked at still works", pushed, lookedAt},
		{prefix + "-par-attempt-reuse-request_uri", iru + " once the customer has finished", pushed, reusedURI},
		{prefix + "-par-attempt-to-use-expired-request_uri", iru + " when expires_in has passed", pushed, expiredURI},
		{prefix + "-par-attempt-to-use-request_uri-for-different-client", iru, pushed, foreignURI},
		aud("test-pushed-authorization-url-as-audience-for-client-JWT-assertion", "the PAR URL is an audience at PAR", func() any { return house.meta.PAR }),
		aud("token-endpoint-url-as-audience-for-client-JWT-assertion", "the token endpoint's URL is an audience at PAR", func() any { return house.meta.Token }),
		assertion("wrong-aud-fails", func(*party) map[string]any { return map[string]any{"aud": "https://invalid.example.com"} }),
		assertion("wrong-iss-fails", func(two *party) map[string]any { return map[string]any{"iss": two.id} }),
		assertion("wrong-sub-fails", func(two *party) map[string]any { return map[string]any{"sub": two.id} }),
		push("par-authorization-request-containing-request_uri-form-param", ir, func(r *request) {
			r.push = url.Values{"request_uri": {"urn:ietf:params:oauth:request_uri:" + strings.Repeat("a", 43)}}
		}),
		push("par-authorization-request-containing-request_uri", iro, func(r *request) {
			r.set(map[string]any{"request_uri": "urn:ietf:params:oauth:request_uri:" + strings.Repeat("a", 43)})
		}),
		{prefix + "-par-attempt-invalid-http-method", "405", pushed, putIt},
		push("par-ensure-pkce-required", ir, func(r *request) {
			r.set(map[string]any{"code_challenge": nil, "code_challenge_method": nil})
		}),
		push("par-plain-pkce-rejected", ir, func(r *request) {
			r.set(map[string]any{"code_challenge": r.verifier[:43], "code_challenge_method": "plain"})
		}),
		push("par-pushed-authorization-url-as-audience-in-request-object", iro, func(r *request) { r.set(map[string]any{"aud": house.meta.PAR}) }),
		push("par-attempt-invalid-redirect_uri", ir, func(r *request) { r.set(map[string]any{"redirect_uri": "https://evil.example/callback"}) }),
	}
}

func lookedAt(t *testing.T, p plan) {
	r := p.first(t)
	address, _ := r.entry(t)
	r.open(t, address, glance)
	o := r.open(t, address, agree)
	want(t, o, p.success())
	r.tokens(t, o)
}

func reusedURI(t *testing.T, p plan) {
	r := p.first(t)
	address, _ := r.entry(t)
	want(t, r.open(t, address, agree), p.success())
	want(t, r.open(t, address, agree), "page 400 invalid_request_uri")
}

func expiredURI(t *testing.T, p plan) {
	r := p.first(t)
	a := r.pushIt(t)
	life, _ := a.body["expires_in"].(float64)
	if life != 90 {
		t.Errorf("expires_in is %v", a.body["expires_in"])
	}
	passes(t, a.text("request_uri"), time.Duration(life)*time.Second)
	query := url.Values{"client_id": {r.by.id}, "request_uri": {a.text("request_uri")}}
	want(t, r.open(t, house.meta.Authorize+"?"+query.Encode(), agree), "page 400 invalid_request_uri")
}

func foreignURI(t *testing.T, p plan) {
	_, two := p.parties(t)
	r := p.first(t)
	a := r.pushIt(t)
	query := url.Values{"client_id": {two.id}, "request_uri": {a.text("request_uri")}}
	want(t, r.open(t, house.meta.Authorize+"?"+query.Encode(), agree), "page 400 invalid_request_uri")
	query.Set("client_id", r.by.id)
	want(t, r.open(t, house.meta.Authorize+"?"+query.Encode(), agree), p.success())
}

func putIt(t *testing.T, p plan) {
	r := p.first(t)
	form := merged(r.by.identify(t, house.Issuer), r.carrier(t))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.parURL(), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := house.front
	if p.mtls {
		client = r.by.back
	}
	a := call(t, client, req)
	if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != http.MethodPost {
		t.Errorf("%s, Allow: %s", a, a.header.Get("Allow"))
	}
}
