package blackbox_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// rawPost sends a form body as it is written.
func rawPost(t testing.TB, client *http.Client, address, body string) *reply {
	t.Helper()
	return rawPostWith(t, client, address, body)
}

// rawPostWith does so with more headers, in pairs.
func rawPostWith(t testing.TB, client *http.Client, address, body string, headers ...string) *reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return call(t, client, req)
}

// credentials is the body of a token request of the client's own.
func (p *party) credentials(t testing.TB) string {
	t.Helper()
	return merged(url.Values{"grant_type": {"client_credentials"}, "scope": {"accounts"}}, p.identify(t, house.Issuer)).Encode()
}

func TestAttack35RepeatedParameters(t *testing.T) {
	a := attack(t, 35, "invalid_request at every back channel endpoint, a page at /authorize")
	leavesNothing(t, a.mallory)
	by, token := a.mallory, house.meta.Aliases.Token
	for _, more := range []string{"&grant_type=client_credentials", "&grant_type=refresh_token", "&scope=accounts", "&scope=", "&client_assertion=x",
		"&client_id=" + by.id + "&client_id=" + by.id, "&client_id=" + by.id + "&client_id=" + a.victim.id, "&other=1&other=2"} {
		want(t, rawPost(t, by.back, token, by.credentials(t)+more), "400 invalid_request")
	}
	want(t, rawPost(t, by.back, token+"?client_id="+by.id, by.credentials(t)), "400 invalid_request")
	r := viaPush.request(t, by)
	push := merged(by.identify(t, house.Issuer), r.carrier(t)).Encode()
	want(t, rawPost(t, house.front, house.meta.PAR, push+"&request=x"), "400 invalid_request")
	want(t, rawPost(t, house.front, house.meta.PAR, push+"&redirect_uri=a&redirect_uri=b"), "400 invalid_request")
	for _, address := range []string{house.meta.Revoke, house.meta.Introspect} {
		want(t, rawPost(t, house.front, address, by.identify(t, house.Issuer).Encode()+"&token=a&token=b"), "400 invalid_request")
	}
	front := merged(url.Values{"client_id": {by.id}}, r.outer, viaValue.request(t, by).carrier(t)).Encode()
	for _, name := range []string{"client_id", "redirect_uri", "scope", "response_type", "request", "state"} {
		want(t, r.open(t, house.meta.Authorize+"?"+front+"&"+name+"=x&"+name+"=y", agree), "page 400 invalid_request")
	}
}

func TestAttack36Encodings(t *testing.T) {
	a := attack(t, 36, "invalid_request for semicolons, NUL and what is no UTF-8; + and %20 are the same space")
	by, token := a.mallory, house.meta.Aliases.Token
	before := left(t, by)
	for _, more := range []string{"&a=1;b=2", ";a=1", "&scope%00=1", "&a=%00", "&a=%c0%af", "&a=%e0%80%af", "&a=%zz", "&a=%", "&a=%ff", "&a=%ed%a0%80"} {
		want(t, rawPost(t, by.back, token, by.credentials(t)+more), "400 invalid_request")
		want(t, viaValue.request(t, by).open(t, house.meta.Authorize+"?client_id="+by.id+more, agree), "page 400 invalid_request")
	}
	nothingLeft(t, by, before)
	for _, space := range []string{"+", "%20"} {
		body := "grant_type=client_credentials&scope=accounts" + space + "accounts&" + by.identify(t, house.Issuer).Encode()
		if got := rawPost(t, by.back, token, body); got.text("scope") != "accounts" {
			t.Errorf("%s: %s, scope %q", space, got, got.text("scope"))
		}
	}
}

func TestAttack37RedirectURIs(t *testing.T) {
	a := attack(t, 37, "a page, or invalid_request from PAR, for everything that is not the registered URI byte for byte; none can be registered with a fragment or another scheme")
	leavesNothing(t, a.mallory)
	home := a.mallory.redirect
	path := strings.TrimPrefix(home, "https://"+clientHost)
	for _, uri := range []string{home + "/", home + "/x", home + "?x=1", home + "#", home + "#x", home + "%20", home + " ", " " + home, home + "/../callback",
		strings.Replace(home, "callback", "%63allback", 1), strings.Replace(home, "/callback", "/%2e%2e/callback", 1), strings.Replace(home, "/callback", "//callback", 1),
		"https://" + clientHost + "@evil.example" + path, "https://user@" + clientHost + path, "https://" + clientHost + ".evil.example" + path, "https://evil.example\\@" + clientHost + path,
		"https://TPP.EXAMPLE" + path, "HTTPS://" + clientHost + path, "https://" + clientHost + ":443" + path, "https://" + clientHost + "." + path, "https://tpр.example" + path,
		"https://" + clientHost + "\\" + path, "http://" + clientHost + path, "javascript:alert(1)//" + home, "data:text/html,x", "//" + clientHost + path, path, a.victim.redirect, "https://localhost/callback"} {
		for _, p := range bothWays {
			r := p.request(t, a.mallory).set(map[string]any{"redirect_uri": uri})
			r.outer.Set("redirect_uri", uri)
			if o := r.send(t); o.String() != p.lost("invalid_request") {
				t.Errorf("%s: %s", uri, o)
			}
		}
	}
	for _, uri := range []string{home + "#x", "http://" + clientHost + path, "javascript:alert(1)", "data:text/html,x", "https://user@" + clientHost + path, "com.example:/cb", "/cb"} {
		if err := house.importClients(t.Context(), house.Path(house.ConfigFile), []map[string]any{plainRecord(t, a.mallory, "-bad", uri)}); err == nil {
			t.Errorf("%s was registered", uri)
		}
	}
}

// plainRecord is a registration with the party's own key and another redirect URI.
func plainRecord(t testing.TB, p *party, suffix, redirect string) map[string]any {
	t.Helper()
	jwk, err := p.publicJWK()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"client_id": p.id + suffix, "profile": "fapi1-advanced", "redirect_uris": []string{redirect},
		"response_types": []string{"code id_token"}, "grant_types": []string{"authorization_code"}, "scope": "openid",
		"token_endpoint_auth_method": "private_key_jwt", "tls_client_certificate_bound_access_tokens": true,
		"jwks": map[string]any{"keys": []json.RawMessage{jwk}}}
}

func TestAttack38Splitting(t *testing.T) {
	a := attack(t, 38, "line breaks in redirect_uri are a page; state with line breaks or markup comes back as data, in every mode")
	leavesNothing(t, a.mallory)
	for _, uri := range []string{a.mallory.redirect + "\r\nSet-Cookie: a=b", a.mallory.redirect + "%0d%0aSet-Cookie:a=b", a.mallory.redirect + "\"><script>alert(1)</script>"} {
		for _, p := range bothWays {
			r := p.request(t, a.mallory).set(map[string]any{"redirect_uri": uri})
			r.outer.Set("redirect_uri", uri)
			want(t, r.send(t), p.lost("invalid_request"))
		}
	}
	const evil = "\"><script>alert(1)</script>\r\nSet-Cookie: evil=1\t&code=x#é"
	for _, p := range []plan{viaValue, viaJARM} { // read compares the state
		want(t, p.request(t, a.victim).set(map[string]any{"state": evil}).send(t), p.success())
		want(t, p.request(t, a.victim).set(map[string]any{"state": evil}).sendTo(t, refuse), p.front("access_denied"))
	}
	r := viaValue.request(t, a.victim).set(map[string]any{"state": evil, "response_mode": "form_post"})
	tab := newTab(t, house)
	page := tab.consent(t, r).press(t, "approve")
	if strings.Contains(page.text, "<script>alert") || !strings.Contains(page.text, "&lt;script&gt;alert(1)") {
		t.Errorf("the form post page holds the state as it is: %s", page.text)
	}
	if !strings.Contains(page.text, `action="`+a.victim.redirect+`"`) || page.header.Get("Set-Cookie") != "" {
		t.Errorf("the form goes elsewhere, or a cookie was set: %s", page.text)
	}
}

func TestAttack39ResponseModes(t *testing.T) {
	a := attack(t, 39, "query for code id_token: invalid_request in the fragment; a mode that nobody knows: a page; code without JWT: invalid_request")
	leavesNothing(t, a.mallory)
	for _, p := range bothWays {
		r := p.request(t, a.mallory).set(map[string]any{"response_mode": "query"})
		want(t, r.send(t), p.refused("invalid_request"))
		for _, mode := range []string{"web_message", "unknown", "QUERY", "fragment ", "web_message.jwt"} {
			want(t, p.request(t, a.mallory).set(map[string]any{"response_mode": mode}).send(t), p.lost("invalid_request"))
		}
		for _, mode := range []any{"query", nil} {
			r := p.request(t, a.mallory).set(map[string]any{"response_type": "code", "response_mode": mode})
			want(t, r.send(t), strings.Replace(p.refused("invalid_request"), "fragment", "query", 1))
		}
		for _, kind := range []string{"token", "id_token", "code token", "code id_token token", "none", "code code", "CODE"} {
			o := p.request(t, a.mallory).set(map[string]any{"response_type": kind}).send(t)
			want(t, o, strings.Replace(p.refused("invalid_request"), "fragment", o.where, 1))
			if o.where == "jarm" || o.where == "page" {
				t.Errorf("%s: %s", kind, o)
			}
		}
	}
}

func TestAttack40OpenRedirect(t *testing.T) {
	a := attack(t, 40, "errors go to the client's registered URI and nowhere else; an unknown client or another URI is a page")
	leavesNothing(t, a.mallory)
	r := viaValue.request(t, a.mallory)
	link := func(client, redirect string) string {
		return house.meta.Authorize + "?" + url.Values{"client_id": {client}, "redirect_uri": {redirect}, "response_type": {"code id_token"},
			"scope": {"openid nonsense"}, "prompt": {"none"}, "state": {r.text("state")}}.Encode()
	}
	want(t, r.open(t, link(a.mallory.id, a.mallory.redirect), agree), "fragment invalid_request")
	for _, redirect := range []string{"https://evil.example/", a.victim.redirect, "", a.mallory.redirect + "/.."} {
		want(t, r.open(t, link(a.mallory.id, redirect), agree), "page 400 invalid_request")
	}
	want(t, r.open(t, link("nobody-"+rand.Text(), a.mallory.redirect), agree), "page 400 invalid_request")
}
