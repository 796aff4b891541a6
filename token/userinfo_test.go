package token_test

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/token"
)

func userinfoRig(t *testing.T) *rig {
	r := newRig(t)
	u, err := token.NewUserinfo(token.UserinfoConfig{Issuer: issuer},
		token.UserinfoDeps{Tokens: r.mint, Store: r.store, Now: r.clock.Now, Rand: rand.Reader})
	must(t, err)
	r.serve(u)
	return r
}

// ask gets userinfo with a certificate; edit may spoil the request.
func (r *rig) ask(certOf, authorization string, edit func(*http.Request)) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.mtls.URL+"/userinfo", nil)
	must(r.t, err)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if edit != nil {
		edit(req)
	}
	return r.send(r.as(certOf), req)
}

// OC-20, F1B-15, F1B-17, F1B-18, F1B-20.
func TestUserinfoAnswers(t *testing.T) {
	r := userinfoRig(t)
	g := r.grant(tpp)
	raw := r.userToken(g, nil)
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER  "} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			got := r.ask(tpp, scheme+raw, func(q *http.Request) {
				q.Method = method
				q.Header.Set("Accept", "text/html, image/gif, image/jpeg, */*; q=0.2")
			})
			if got.status != http.StatusOK || got.body["sub"] != g.Subject || len(got.body) != 1 {
				t.Errorf("%s%s: %d %s", method, scheme, got.status, got.raw)
			}
			if got.header.Get("Content-Type") != "application/json" || got.header.Get("Date") == "" {
				t.Errorf("headers are %v", got.header)
			}
			if _, err := uuid.Parse(got.header.Get("X-Fapi-Interaction-Id")); err != nil {
				t.Errorf("no interaction id: %v", got.header)
			}
		}
	}
}

// OIDC Core §5.5: claims are told when the claims parameter asked userinfo for them.
func TestUserinfoClaims(t *testing.T) {
	r := userinfoRig(t)
	g := r.grant(tpp)
	quoted := func(s string) *fapi.ClaimRequest {
		raw, err := json.Marshal(s)
		must(t, err)
		return &fapi.ClaimRequest{Essential: true, Value: raw}
	}
	g.Claims = fapi.ClaimsRequest{
		IDToken: map[string]*fapi.ClaimRequest{"email": nil},
		Userinfo: map[string]*fapi.ClaimRequest{"name": nil, "email_verified": nil, "updated_at": nil, "address": nil,
			"phone_number": nil, "sub": nil, "acr": {Essential: true}, "email": quoted("else@example.org"),
			"openbanking_intent_id": quoted(g.ConsentID), "other_intent_id": quoted(uuid.NewString())},
	}
	g.Profile["address"] = "1 Quay"
	got := r.ask(tpp, "Bearer "+r.userToken(g, nil), nil)
	want := map[string]any{"sub": g.Subject, "name": "Ada", "email_verified": true, "updated_at": 1.7e9,
		"acr": g.ACR, "openbanking_intent_id": g.ConsentID, "address": map[string]any{"formatted": "1 Quay"}}
	wantRaw, err := json.Marshal(want)
	must(t, err)
	gotRaw, err := json.Marshal(got.body)
	must(t, err)
	if string(gotRaw) != string(wantRaw) {
		t.Errorf("got %s, want %s", gotRaw, wantRaw)
	}
}

func TestUserinfoInteractionID(t *testing.T) {
	r := userinfoRig(t)
	raw := r.userToken(r.grant(tpp), nil)
	id := "C770AEF3-6784-41F7-8E0E-FF5F97BDDB3A"
	for _, authorization := range []string{"Bearer " + raw, "Bearer bad", ""} { // on success and error
		for sent, echoed := range map[string]bool{id: true, "": false, "no uuid": false, "urn:uuid:" + id: false, "{" + id + "}": false} {
			got := r.ask(tpp, authorization, func(q *http.Request) { q.Header.Set("x-fapi-interaction-id", sent) })
			answered := got.header.Values("X-Fapi-Interaction-Id")
			if len(answered) != 1 || (answered[0] == sent) != echoed || uuid.Validate(answered[0]) != nil {
				t.Errorf("%q is answered with %q", sent, answered)
			}
		}
	}
}

// F1B-16, F1A-24, AT-05, attacks 50, 51 and 59.
func TestUserinfoRefusesTokens(t *testing.T) {
	r := userinfoRig(t)
	g := r.grant(tpp)
	good := r.userToken(g, nil)
	with := func(edit func(*fapi.AccessToken)) string { return r.userToken(g, edit) }
	revoked := r.grant(tpp)
	revoked.RevokedAt = r.clock.Now()
	ended := r.grant(tpp)
	r.store.consents[ended.ConsentID].Status = fapi.ConsentDeleted
	jti := uuid.NewString()
	r.store.dead[jti] = true
	foreign, _ := newKey(t, "server")
	for _, c := range []struct {
		name, certOf, raw string
		status            int
		code              string
	}{
		{"no certificate (MT-13)", "", good, 401, "invalid_token"},
		{"another certificate (attack 50)", stranger, good, 401, "invalid_token"},
		{"bound to a proof key, sent as bearer", tpp, with(func(a *fapi.AccessToken) { a.Confirmation = fapi.Confirmation{JKT: "x"} }), 401, "invalid_token"},
		{"for another resource server (attack 59)", tpp, with(func(a *fapi.AccessToken) { a.Audience = []string{branchAudience} }), 401, "invalid_token"},
		{"for an application", tpp, r.appToken(tpp), 401, "invalid_token"},
		{"without scope openid", tpp, with(func(a *fapi.AccessToken) { a.Scope = []string{"accounts"} }), 403, "insufficient_scope"},
		{"with a scope like openid", tpp, with(func(a *fapi.AccessToken) { a.Scope = []string{"openid2"} }), 403, "insufficient_scope"},
		{"of a revoked grant", tpp, r.userToken(revoked, nil), 401, "invalid_token"},
		{"of an ended consent", tpp, r.userToken(ended, nil), 401, "invalid_token"},
		{"revoked by itself", tpp, with(func(a *fapi.AccessToken) { a.JTI = jti }), 401, "invalid_token"},
		{"for another subject than the grant's", tpp, with(func(a *fapi.AccessToken) { a.Subject = "else" }), 401, "invalid_token"},
		{"an id token (attack 59)", tpp, r.idToken(g), 401, "invalid_token"},
		{"forged", tpp, forge(t, good, foreign), 401, "invalid_token"},
		{"garbage", tpp, "garbage", 401, "invalid_token"},
		{"empty", tpp, "", 401, "invalid_token"},
		{"with something behind it", tpp, good + " x", 401, "invalid_token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.t = t
			r.refusedUserinfo(r.ask(c.certOf, "Bearer "+c.raw, nil), c.status, c.code)
		})
	}
	r.t = t
	r.clock.Advance(10 * time.Minute)
	r.refusedUserinfo(r.ask(tpp, "Bearer "+good, nil), 401, "invalid_token")
}

// refusedUserinfo checks status, JSON, challenge and what every answer has (RFC
// 6750 §3, F1B-17; foreign clients, item 21).
func (r *rig) refusedUserinfo(got reply, status int, code string) {
	r.t.Helper()
	challenge := got.header.Get("WWW-Authenticate")
	if got.status != status || got.body["error"] != code {
		r.t.Errorf("got %d %s, want %d %s", got.status, got.raw, status, code)
	}
	if !strings.HasPrefix(challenge, "Bearer ") || !strings.Contains(challenge, `error="`+code+`"`) {
		r.t.Errorf("the challenge is %q", challenge)
	}
	if got.header.Get("Content-Type") != "application/json" || got.header.Get("X-Fapi-Interaction-Id") == "" {
		r.t.Errorf("headers are %v", got.header)
	}
}

// F1B-15, attack 58: the token stands in one Authorization header or nowhere.
func TestUserinfoRefusesOtherPlaces(t *testing.T) {
	r := userinfoRig(t)
	raw := r.userToken(r.grant(tpp), nil)
	query := func(q *http.Request) { q.URL.RawQuery = url.Values{"access_token": {raw}}.Encode() }
	for _, c := range []struct {
		name, authorization string
		edit                func(*http.Request)
	}{
		{"query", "", query},
		{"query and header", "Bearer " + raw, query},
		{"escaped name in the query", "", func(q *http.Request) { q.URL.RawQuery = "%61ccess_token=" + raw }},
		{"query that cannot be parsed", "Bearer " + raw, func(q *http.Request) { q.URL.RawQuery = "a;access_token=" + raw }},
		{"form", "", body("access_token=" + raw)},
		{"form and header", "Bearer " + raw, body("access_token=" + raw)},
		{"form twice", "Bearer " + raw, body("access_token=x&access_token=" + raw)},
		{"two headers", "Bearer " + raw, func(q *http.Request) { q.Header.Add("Authorization", "Bearer "+raw) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.t = t
			r.refusedUserinfo(r.ask(tpp, c.authorization, c.edit), 400, "invalid_request")
		})
	}
	r.t = t
	if got := r.ask(tpp, "Bearer "+raw, body("other=x")); got.status != http.StatusOK {
		t.Errorf("a form without a token: %d %s", got.status, got.raw)
	}
}

// body makes a request a POST of a form.
func body(form string) func(*http.Request) {
	return func(q *http.Request) {
		q.Method, q.Body, q.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(form)), int64(len(form))
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
}

// RFC 6750 §3.1: a request without a token learns no error code.
func TestUserinfoWithoutToken(t *testing.T) {
	r := userinfoRig(t)
	for _, authorization := range []string{"", "Basic dHBwOg==", "DPoP x.y.z"} {
		got := r.ask(tpp, authorization, nil)
		if got.status != http.StatusUnauthorized || !slices.Equal(got.header.Values("WWW-Authenticate"), []string{`Bearer realm="procura"`}) {
			t.Errorf("%q: %d, challenge %q", authorization, got.status, got.header.Values("WWW-Authenticate"))
		}
	}
}

// The listener without client certificates has the endpoint, and opens it to nobody.
func TestUserinfoOnThePlainListener(t *testing.T) {
	r := userinfoRig(t)
	raw := r.userToken(r.grant(tpp), nil)
	got := r.ask(tpp, "Bearer "+raw, func(q *http.Request) {
		u, err := url.Parse(r.plain.URL + "/userinfo")
		must(t, err)
		q.URL = u
	})
	r.refusedUserinfo(got, 401, "invalid_token")
}

func TestUserinfoFailsClosed(t *testing.T) {
	r := userinfoRig(t)
	raw := r.userToken(r.grant(tpp), nil)
	r.store.count()
	if got := r.ask(tpp, "Bearer "+raw, nil); got.status != http.StatusOK || r.store.count() != 1 {
		t.Errorf("%d, and not one round trip", got.status)
	}
	r.store.cut(true)
	if got := r.ask(tpp, "Bearer "+raw, nil); got.status != http.StatusServiceUnavailable || got.header.Get("WWW-Authenticate") != "" {
		t.Errorf("without database: %d %s", got.status, got.raw)
	}
}

func TestNewUserinfoRefusesMissingParts(t *testing.T) {
	if _, err := token.NewUserinfo(token.UserinfoConfig{}, token.UserinfoDeps{}); err == nil {
		t.Error("nothing was missed")
	}
}
