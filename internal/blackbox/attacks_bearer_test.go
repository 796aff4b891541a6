package blackbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
)

const invalidToken = "401 invalid_token"

func TestAttack50StolenToken(t *testing.T) {
	a := attack(t, 50, "401 invalid_token with another certificate, also one of the same subject, with none, and over the listener without certificates")
	r := viaValue.request(t, a.victim)
	consented(t, r)
	k := r.flow(t)
	leaf, err := house.clientCA.Issue(certtest.Client(time.Now(), a.victim.subject()))
	if err != nil {
		t.Fatal(err)
	}
	renewed := house.client(leaf)
	defer renewed.CloseIdleConnections()
	for _, thief := range []*http.Client{renewed, a.mallory.back, house.front} {
		want(t, userinfo(t, thief, k.access), invalidToken)
		if g := accounts(t, thief, k.access); g.status != http.StatusUnauthorized || !strings.Contains(g.header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("the gateway answers %d, %s", g.status, g.header.Get("WWW-Authenticate"))
		}
	}
	want(t, resource(t, a.victim.back, house.meta.Userinfo, "Authorization", "Bearer "+k.access), invalidToken)
	want(t, userinfo(t, a.victim.back, k.access), "200")
	if g := accounts(t, a.victim.back, k.access); g.status != http.StatusOK {
		t.Errorf("the gateway answers the owner with %d %s", g.status, g.raw)
	}
}

func TestAttack51UnboundToken(t *testing.T) {
	a := attack(t, 51, "401 invalid_token for a token without cnf, with another one, unsigned, or signed by the client; every token that is issued is bound")
	r := viaValue.request(t, a.mallory)
	consented(t, r)
	k := r.flow(t)
	head, payload, signature := pieces(t, k.access)
	change := func(more map[string]any) map[string]any { return with(payload, more) }
	for name, forged := range map[string]string{
		"cnf stripped":     part(t, head) + "." + part(t, change(map[string]any{"cnf": nil})) + "." + signature,
		"alg none":         jws(t, with(head, map[string]any{"alg": "none"}), change(map[string]any{"cnf": nil}), unsigned),
		"own key":          jws(t, with(head, map[string]any{"kid": a.mallory.signer.KID}), change(map[string]any{"cnf": nil}), a.mallory.signer.SignBytes),
		"own key, our kid": jws(t, head, change(map[string]any{"cnf": nil}), a.mallory.signer.SignBytes),
		"HS256":            jws(t, with(head, map[string]any{"alg": "HS256"}), change(map[string]any{"cnf": nil}), hs256(serverPublicPEM(t))),
		"more scope":       part(t, head) + "." + part(t, change(map[string]any{"scope": "openid accounts admin"})) + "." + signature,
		"typ JWT":          part(t, with(head, map[string]any{"typ": "JWT"})) + "." + part(t, payload) + "." + signature,
	} {
		for _, client := range []*http.Client{a.mallory.back, house.front} {
			if got := userinfo(t, client, forged); got.String() != invalidToken {
				t.Errorf("%s: %s", name, got)
			}
			if g := accounts(t, client, forged); g.status != http.StatusUnauthorized {
				t.Errorf("%s: the gateway answers %d", name, g.status)
			}
		}
	}
	for name, access := range map[string]string{"code": k.access, "client credentials": applicationToken(t, a.mallory), "refresh": r.renewed(t, k, nil).access} {
		_, claims, _ := pieces(t, access)
		if cnf, _ := claims["cnf"].(map[string]any); len(cnf) != 1 || cnf["x5t#S256"] == "" {
			t.Errorf("%s: cnf is %v", name, claims["cnf"])
		}
	}
}

// pieces takes a JWS apart.
func pieces(t testing.TB, compact string) (head, payload map[string]any, signature string) {
	t.Helper()
	parts := strings.Split(compact, ".")
	for i, into := range []*map[string]any{&head, &payload} {
		if err := json.Unmarshal(raw64(t, parts[i]), into); err != nil {
			t.Fatal(err)
		}
	}
	return head, payload, parts[2]
}

func TestAttack52NoCertificate(t *testing.T) {
	a := attack(t, 52, "no token without a certificate at either listener: 400 invalid_request for private_key_jwt, 401 invalid_client for tls_client_auth")
	mtls := who(t, special(52, "mtls"))
	r, m := viaValue.request(t, a.victim), (plan{mtls: true}).request(t, mtls)
	first, second := r.flow(t), m.flow(t)
	code, other := r.code(t), m.code(t)
	before, beforeM := left(t, a.victim), left(t, mtls)
	for _, address := range []string{house.meta.Token, house.meta.Aliases.Token} {
		for _, form := range []url.Values{
			{"grant_type": {"client_credentials"}, "scope": {"accounts"}}, merged(url.Values{"grant_type": {"authorization_code"}}, r.redemption(code)),
			{"grant_type": {"refresh_token"}, "refresh_token": {first.refresh}},
		} {
			want(t, post(t, house.front, address, merged(form, a.victim.identify(t, house.Issuer))), "400 invalid_request")
		}
		for _, form := range []url.Values{
			{"grant_type": {"client_credentials"}, "scope": {"accounts"}}, merged(url.Values{"grant_type": {"authorization_code"}}, m.redemption(other)),
			{"grant_type": {"refresh_token"}, "refresh_token": {second.refresh}},
		} {
			want(t, post(t, house.front, address, merged(form, url.Values{"client_id": {mtls.id}})), invalidClient)
		}
	}
	// A certificate of a CA that nobody trusts is none.
	stranger, err := certtest.NewCA(certtest.Options{Name: "Stranger", Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := stranger.Issue(certtest.Client(time.Now(), a.victim.subject()))
	if err != nil {
		t.Fatal(err)
	}
	client := house.client(leaf)
	defer client.CloseIdleConnections()
	want(t, credentialsWith(t, client, a.victim.identify(t, house.Issuer)), "400 invalid_request")
	nothingLeft(t, a.victim, before)
	nothingLeft(t, mtls, beforeM)
}

func TestAttack58TokenInTheWrongPlace(t *testing.T) {
	a := attack(t, 58, "400 invalid_request for a token in the query, in a form, or in two places; the gateway refuses as well")
	r := viaValue.request(t, a.victim)
	consented(t, r)
	k := r.flow(t)
	address, client := house.meta.Aliases.Userinfo, a.victim.back
	inQuery := "?access_token=" + url.QueryEscape(k.access)
	bearer := "Bearer " + k.access
	want(t, resource(t, client, address+inQuery), "400 invalid_request")
	want(t, resource(t, client, address+inQuery, "Authorization", bearer), "400 invalid_request")
	want(t, resource(t, client, address+"?access_token=", "Authorization", bearer), "400 invalid_request")
	body := url.Values{"access_token": {k.access}}.Encode()
	want(t, rawPost(t, client, address, body), "400 invalid_request")
	want(t, rawPostWith(t, client, address, body, "Authorization", bearer), "400 invalid_request")
	want(t, rawPostWith(t, client, address, "", "Authorization", bearer, "Authorization", bearer), "400 invalid_request")
	want(t, rawPostWith(t, client, address, "", "Authorization", bearer), "200")
	gate := house.ResourceBase + aisp + "/accounts"
	for _, headers := range [][]string{nil, {"Authorization", bearer}} {
		if g := atBank(t, client, gate+inQuery, headers...); g.status != http.StatusBadRequest {
			t.Errorf("the gateway answers %d", g.status)
		}
	}
}

func TestAttack59TokenForAnother(t *testing.T) {
	a := attack(t, 59, "401 for an application's token or an id token at userinfo and at the gateway; 403 for a customer's token without consent")
	r := viaValue.request(t, a.victim)
	k := r.flow(t)
	_, claims, _ := pieces(t, k.access)
	if got := claims["aud"]; len(got.([]any)) != 2 {
		t.Errorf("aud is %v", got)
	}
	application := applicationToken(t, a.victim)
	want(t, userinfo(t, a.victim.back, application), invalidToken)
	want(t, userinfo(t, a.victim.back, k.text("id_token")), invalidToken)
	for access, wanted := range map[string]int{application: http.StatusUnauthorized, k.text("id_token"): http.StatusUnauthorized, k.access: http.StatusForbidden} {
		if g := accounts(t, a.victim.back, access); g.status != wanted {
			t.Errorf("the gateway answers %d %s, want %d", g.status, g.raw, wanted)
		}
	}
}
