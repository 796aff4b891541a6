package blackbox_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/sandbox/world"
)

func TestAttack81HostPoisoning(t *testing.T) {
	a := attack(t, 81, "421 for another Host; forwarded headers change nothing in metadata, links or what is issued")
	leavesNothing(t, a.mallory)
	get := func(address, host string, headers ...string) *reply {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		return send(t, house.front, req)
	}
	discovery := house.Issuer + "/.well-known/openid-configuration"
	own := hostOf(t, house.Issuer)
	plain := get(discovery, own)
	for _, host := range []string{"evil.example", own + ".evil.example", "evil.example:443", "localhost", "127.0.0.1", "localhost:1", "user@" + own} {
		for _, address := range []string{discovery, house.meta.Authorize, house.meta.JWKS} {
			if got := get(address, host); got.status != http.StatusMisdirectedRequest && got.status != http.StatusBadRequest {
				t.Errorf("%s as host: %d", host, got.status)
			}
		}
	}
	poison := []string{"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http", "X-Forwarded-For", "10.0.0.1", "Forwarded", "host=evil.example;proto=http",
		"X-Original-URL", "/evil", "X-Rewrite-URL", "/evil", "X-Forwarded-Prefix", "/evil", "X-Host", "evil.example"}
	if got := get(discovery, own, poison...); string(got.raw) != string(plain.raw) {
		t.Error("forwarded headers change the metadata")
	}
	address, _ := viaValue.request(t, a.victim).entry(t)
	if got := get(address, own, poison...); got.status != http.StatusSeeOther || strings.Contains(got.header.Get("Location"), "evil") {
		t.Errorf("%d to %.60s", got.status, got.header.Get("Location"))
	}
	_, claims, _ := pieces(t, rawPostWith(t, a.mallory.back, house.meta.Aliases.Token, a.mallory.credentials(t), poison...).text("access_token"))
	if claims["iss"] != house.Issuer {
		t.Errorf("iss is %v", claims["iss"])
	}
}

func TestAttack82OtherBrand(t *testing.T) {
	a := attack(t, 82, "code, request_uri, assertion, access and refresh token of one brand are nothing at the other, and the other way round")
	n := startNode(t)
	by := a.victim
	record := plainRecord(t, by, "", by.redirect)
	record["grant_types"], record["scope"] = []string{"authorization_code", "refresh_token", "client_credentials"}, allScopes
	file := filepath.Join(house.dir, "second-node-"+house.run+".yaml")
	if err := house.importClients(t.Context(), file, []map[string]any{record}, "--issuer", n.brand); err != nil {
		t.Fatal(err)
	}
	r := viaValue.request(t, by)
	k, code, uri := r.flow(t), r.code(t), viaPush.request(t, by).pushedURI(t)
	before := left(t, by)
	client := n.client(t, by.leaf)
	token, userinfoThere := n.brandMTLS+"/token", n.brandMTLS+"/userinfo"
	auth := func() url.Values { return proof(by.sign(t, by.assertion(n.brand))) }
	there := post(t, client, token, merged(url.Values{"grant_type": {"client_credentials"}, "scope": {"accounts"}}, auth()))
	want(t, there, "200") // the brand itself works
	want(t, post(t, client, token, merged(url.Values{"grant_type": {"client_credentials"}}, by.identify(t, house.Issuer))), invalidClient)
	want(t, post(t, client, token, merged(url.Values{"grant_type": {"client_credentials"}}, by.identify(t, house.meta.Token))), invalidClient)
	want(t, post(t, client, token, merged(url.Values{"grant_type": {"authorization_code"}}, auth(), r.redemption(code))), invalidGrant)
	want(t, post(t, client, token, merged(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {k.refresh}}, auth())), invalidGrant)
	want(t, resource(t, client, userinfoThere, "Authorization", "Bearer "+k.access), invalidToken)
	for _, secret := range []string{k.access, k.refresh} {
		if got := post(t, client, n.brandMTLS+"/introspect", merged(url.Values{"token": {secret}}, auth())); got.body["active"] != false {
			t.Errorf("introspection at the other brand: %v", got.body)
		}
		want(t, post(t, client, n.brandMTLS+"/revoke", merged(url.Values{"token": {secret}}, auth())), "200") // unknown there, alive here
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.brand+"/authorize?"+url.Values{"client_id": {by.id}, "request_uri": {uri}}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := send(t, client, req); got.status != http.StatusBadRequest || !strings.Contains(string(got.raw), "invalid_request_uri") {
		t.Errorf("request_uri at the other brand: %d", got.status)
	}
	want(t, userinfo(t, by.back, there.text("access_token")), invalidToken)
	if g := accounts(t, by.back, there.text("access_token")); g.status != http.StatusUnauthorized {
		t.Errorf("the gateway answers a token of the other brand with %d", g.status)
	}
	want(t, credentialsWith(t, by.back, auth()), invalidClient)
	nothingLeft(t, by, before)
	want(t, userinfo(t, by.back, k.access), "200")
	r.tokens(t, code)
}

func TestAttack83CORS(t *testing.T) {
	a := attack(t, 83, "no Access-Control header anywhere, 405 for preflights, 303 after every form")
	leavesNothing(t, a.mallory)
	for _, address := range []string{house.meta.Authorize, house.meta.Token, house.meta.Aliases.Token, house.meta.PAR, house.meta.Aliases.Userinfo, house.Issuer + "/.well-known/openid-configuration", house.meta.JWKS} {
		for _, method := range []string{http.MethodOptions, http.MethodGet, http.MethodPost} {
			req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(a.mallory.credentials(t)))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization",
				"Content-Type": "application/x-www-form-urlencoded", "Cookie": "a=b"} {
				req.Header.Set(name, value)
			}
			got := send(t, a.mallory.back, req)
			for name := range got.header {
				if strings.HasPrefix(name, "Access-Control") {
					t.Errorf("%s %s: %s", method, address, name)
				}
			}
			if method == http.MethodOptions && got.status != http.StatusMethodNotAllowed {
				t.Errorf("preflight of %s: %d", address, got.status)
			}
		}
	}
	page := newTab(t, house).consent(t, viaValue.request(t, a.victim)) // tabs fail on every redirect but 303
	if done := page.press(t, "approve"); done.status != http.StatusSeeOther {
		t.Errorf("the decision is answered with %d", done.status)
	}
}

func TestAttack84OldTLS(t *testing.T) {
	attack(t, 84, "TLS 1.0 and 1.1, static RSA, DHE, CBC and all other suites: handshake_failure or protocol_version, on every listener")
	for _, address := range []string{house.Issuer, house.MTLSBase, house.ResourceBase} {
		checkTLS(t, address)
	}
}

func TestAttack85Smuggling(t *testing.T) {
	a := attack(t, 85, "requests of two lengths, of odd encodings or with huge headers are refused, h2c is not spoken, and what follows a request of chunks is not answered")
	leavesNothing(t, a.mallory)
	host := hostOf(t, house.MTLSBase)
	follow := "GET /jwks HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
	post := "POST /token HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	for name, c := range map[string]struct{ raw, answer string }{
		"two lengths":          {post + "Content-Length: 4\r\nContent-Length: 5\r\n\r\na=bc" + follow, "400"},
		"signed length":        {post + "Content-Length: +4\r\n\r\na=bc" + follow, "400"},
		"negative length":      {post + "Content-Length: -1\r\n\r\n" + follow, "400"},
		"space before colon":   {post + "Content-Length : 4\r\n\r\na=bc" + follow, "400"},
		"odd encoding":         {post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + follow, "501"},
		"chunked twice":        {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + follow, "501"},
		"chunked, identity":    {post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + follow, "501"},
		"chunked and a length": {post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + follow, "401"},
		"two hosts":            {"GET /jwks HTTP/1.1\r\nHost: " + host + "\r\nHost: evil.example\r\n\r\n", "400"},
		"no host":              {"GET /jwks HTTP/1.1\r\n\r\n", "400"},
		"bad header name":      {"GET /jwks HTTP/1.1\r\nHost: " + host + "\r\nA B: c\r\n\r\n", "400"},
		"NUL in a header":      {"GET /jwks HTTP/1.1\r\nHost: " + host + "\r\nA: \x00\r\n\r\n", "400"},
		"huge header":          {"GET /jwks HTTP/1.1\r\nHost: " + host + "\r\nA: " + strings.Repeat("a", 2<<20) + "\r\n\r\n", "431"},
		"h2c":                  {"GET /jwks HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", "200"},
		"h2 preface":           {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "421"},
	} {
		conn := dialTLS(t, house.MTLSBase, &tls.Config{NextProtos: []string{"http/1.1"}})
		if got, more := allFrom(t, conn, c.raw); !strings.HasPrefix(got, "HTTP/1.1 "+c.answer) || more {
			t.Errorf("%s: %q, and more: %v", name, got, more)
		}
	}
}

func TestAttack86FarFuture(t *testing.T) {
	a := attack(t, 86, "an exp beyond an hour is refused and nothing of it is remembered; codes and request_uris end by the server's own record of time")
	by := a.mallory
	before := left(t, by)
	for _, exp := range []int64{time.Now().Add(2 * time.Hour).Unix(), 4102444800, 253402300799} {
		want(t, credentialsWith(t, by.back, proof(by.sign(t, with(by.assertion(house.Issuer), map[string]any{"exp": exp})))), invalidClient)
		for _, p := range bothWays {
			want(t, p.request(t, by).set(map[string]any{"exp": exp}).send(t), p.refused("invalid_request_object"))
		}
	}
	after := left(t, by)
	after["assertion_ids"] -= 3 // those of the three pushes, which were good
	if after["assertion_ids"] != before["assertion_ids"] {
		t.Errorf("%d assertions are remembered", after["assertion_ids"]-before["assertion_ids"])
	}
	nothingLeft(t, by, before)
	r := viaPush.request(t, a.victim)
	uri := r.pushedURI(t)
	o := r.open(t, at(a.victim, uri), agree)
	passes(t, o.params.Get("code"), time.Hour)
	want(t, viaPush.redeem(t, a.victim, r.redemption(o)), invalidGrant)
	uri = r.pushedURI(t)
	passes(t, uri, 24*time.Hour)
	want(t, r.open(t, at(a.victim, uri), agree), unusableURI)
}

func TestAttack87Leaks(t *testing.T) {
	a := attack(t, 87, "no code, token, assertion, object, password or account number in the log; nothing of the caller's on an error page; no-referrer, no-store")
	const pan = "4111111111111111"
	secrets := []string{pan, house.PSUs[0].Password}
	r := viaValue.request(t, a.victim).set(map[string]any{"login_hint": pan})
	consented(t, r)
	object := r.carrier(t).Get("request")
	r.object = object
	o := r.code(t)
	k := r.tokens(t, o)
	secrets = append(secrets, object, o.params.Get("code"), o.params.Get("id_token"), k.access, k.refresh, k.text("id_token"), r.text("state"), r.text("nonce"))
	want(t, viaValue.redeem(t, a.victim, r.redemption(o)), invalidGrant) // errors are logged too
	bad := a.victim.sign(t, with(a.victim.assertion(house.Issuer), map[string]any{"aud": "https://evil.example"}))
	want(t, credentialsWith(t, a.victim.back, proof(bad)), invalidClient)
	secrets = append(secrets, bad)
	const marker = "LEAK9c1f"
	tab := newTab(t, house)
	for _, name := range []string{"redirect_uri", "state", "request", "request_uri", "response_type", "scope", "login_hint", "x"} {
		page := tab.get(t, house.meta.Authorize+"?"+url.Values{"client_id": {a.mallory.id}, name: {marker + "<b>"}}.Encode())
		if strings.Contains(page.text, marker) {
			t.Errorf("%s is repeated on the page", name)
		}
		if h := page.header; h.Get("Referrer-Policy") != "no-referrer" && h.Get("Referrer-Policy") != "same-origin" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s, %s", h.Get("Referrer-Policy"), h.Get("Cache-Control"))
		}
	}
	for _, form := range []url.Values{{"grant_type": {marker}}, {"code": {marker}, "grant_type": {"authorization_code"}}, {"scope": {marker}, "grant_type": {"client_credentials"}}} {
		if got := post(t, a.mallory.back, house.meta.Aliases.Token, merged(form, a.mallory.identify(t, house.Issuer))); strings.Contains(string(got.raw), marker) {
			t.Errorf("%v is repeated: %s", form, got.raw)
		}
	}
	secrets = append(secrets, marker)
	checkLog(t, secrets)
}

// checkLog reads the sandbox's log: it has our requests and none of the secrets.
func checkLog(t *testing.T, secrets []string) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(house.dir, "sandbox.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		for _, form := range []string{secret, url.QueryEscape(secret)} {
			if secret != "" && strings.Contains(string(log), form) {
				t.Errorf("the log holds %.12s...", secret)
			}
		}
	}
	if !strings.Contains(string(log), who(t, "a87-victim").id) {
		t.Errorf("the log beside %s does not know the client", world.FileName)
	}
}
