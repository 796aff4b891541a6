package blackbox_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const unusableURI = "page 400 invalid_request_uri"

// at is the address of /authorize with a client and a request_uri.
func at(p *party, uri string, more ...string) string {
	query := url.Values{"client_id": {p.id}, "request_uri": {uri}}
	for i := 0; i < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	return house.meta.Authorize + "?" + query.Encode()
}

// pushedURI pushes a request that must be accepted.
func (r *request) pushedURI(t testing.TB) string {
	t.Helper()
	a := r.pushIt(t)
	if want(t, a, "201"); a.text("request_uri") == "" {
		t.Fatal(a.text("error_description"))
	}
	return a.text("request_uri")
}

func TestAttack08ForeignAndUsedRequestURI(t *testing.T) {
	a := attack(t, 8, "a page with invalid_request_uri; the request stays good for its own client, once")
	r := viaPush.request(t, a.victim)
	uri := r.pushedURI(t)
	for _, p := range []*party{a.mallory, who(t, special(8, "sister"))} {
		leavesNothing(t, p)
		want(t, viaPush.request(t, p).open(t, at(p, uri), agree), unusableURI)
	}
	want(t, r.open(t, at(a.victim, uri), agree), viaPush.success())
	before := left(t, a.victim)
	want(t, r.open(t, at(a.victim, uri), agree), unusableURI)
	nothingLeft(t, a.victim, before)
}

func TestAttack09RequestURISwap(t *testing.T) {
	a := attack(t, 9, "the attacker's request runs as the attacker's alone: the page names their client, the answer goes to them with their state")
	swapped := viaPush.request(t, a.mallory)
	uri := swapped.pushedURI(t)
	v := house.visitor(t, 0)
	defer house.release(v)
	viaPush.request(t, a.victim).walk(t, v, at(a.victim, viaPush.request(t, a.victim).pushedURI(t)), glance)
	page, err := v.Open(t.Context(), at(a.mallory, uri, "state", "victim-state", "redirect_uri", a.victim.redirect))
	if err != nil {
		t.Fatal(err)
	}
	if page.Has("password") {
		login(t, page, 0)
		if page, err = v.Submit(t.Context(), page, "submit_button"); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(page.Text, "Black Box a9-mallory") || strings.Contains(page.Text, "a9-victim") {
		t.Errorf("the consent page says %s", page.Text)
	}
	leavesNothing(t, a.victim)
	if page, err = v.Submit(t.Context(), page, "submit_button"); err != nil {
		t.Fatal(err)
	}
	want(t, swapped.read(t, page.URL), viaPush.success())
}

func TestAttack10GuessedRequestURI(t *testing.T) {
	a := attack(t, 10, "a page with invalid_request_uri for guessed, cut and re-cased values; one that a mail scanner opened still works")
	r := viaPush.request(t, a.victim)
	uri := r.pushedURI(t)
	leavesNothing(t, a.mallory)
	before := left(t, a.victim)
	last := uri[len(uri)-1:]
	for _, guess := range []string{uri[:len(uri)-1], uri + "A", strings.ToUpper(uri[:len(uri)-8]) + uri[len(uri)-8:], uri[:len(uri)-1] + swapCase(last),
		"urn:ietf:params:oauth:request_uri:1", "urn:ietf:params:oauth:request_uri:" + strings.Repeat("A", 43), uri + "%00"} {
		wanted := unusableURI
		if !strings.HasPrefix(guess, "urn:ietf:params:oauth:request_uri:") {
			wanted = "fragment request_uri_not_supported" // it is none of ours
		}
		o := r.open(t, at(a.victim, guess, "redirect_uri", a.victim.redirect, "response_type", "code id_token", "state", r.text("state")), agree)
		want(t, o, wanted)
	}
	nothingLeft(t, a.victim, before)
	for range 3 {
		res, err := house.front.Get(at(a.victim, uri))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close() // nothing of it is wanted
	}
	want(t, r.open(t, at(a.victim, uri), agree), viaPush.success())
}

func swapCase(s string) string {
	if up := strings.ToUpper(s); up != s {
		return up
	}
	if low := strings.ToLower(s); low != s {
		return low
	}
	return "x" + s
}

func TestAttack11RequestURIInPush(t *testing.T) {
	a := attack(t, 11, "invalid_request for the form member, invalid_request_object inside the object")
	leavesNothing(t, a.mallory)
	uri := viaPush.request(t, a.victim).pushedURI(t)
	r := viaPush.request(t, a.mallory)
	r.push = url.Values{"request_uri": {uri}}
	want(t, r.pushIt(t), "400 invalid_request")
	r.object = "-"
	want(t, r.pushIt(t), "400 invalid_request")
	for _, member := range []string{"request_uri", "request"} {
		want(t, viaPush.request(t, a.mallory).set(map[string]any{member: uri}).pushIt(t), "400 invalid_request_object")
		want(t, viaValue.request(t, a.mallory).set(map[string]any{member: uri}).send(t), "fragment invalid_request_object")
	}
}

func TestAttack12RequestURIElsewhere(t *testing.T) {
	a := attack(t, 12, "request_uri_not_supported, and not one packet leaves")
	leavesNothing(t, a.mallory)
	own := house.tpp.publish("/a12/object.jwt", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("an object"))
	})
	trap := house.trap
	r := viaValue.request(t, a.mallory)
	for _, uri := range []string{own.address, "https://169.254.169.254/latest/meta-data/", "http://localhost/", "file:///etc/passwd",
		"https://" + trap.address + "/object", "http://" + trap.address + "/object", "https://localtest.me:443/", house.meta.Authorize + "?client_id=x"} {
		o := r.open(t, at(a.mallory, uri, "redirect_uri", a.mallory.redirect, "response_type", "code id_token", "state", r.text("state")), agree)
		want(t, o, "fragment request_uri_not_supported")
		want(t, r.open(t, at(a.mallory, uri, "redirect_uri", "https://evil.example/"), agree), "page 400 request_uri_not_supported")
	}
	if own.hits.Load() > 0 || trap.hits.Load() > 0 {
		t.Errorf("the server called: %d and %d times", own.hits.Load(), trap.hits.Load())
	}
}

func TestAttack13PushInOtherWays(t *testing.T) {
	a := attack(t, 13, "405 for other methods; invalid_request for JSON, multipart and parameters in the query; 401 invalid_client without authentication")
	leavesNothing(t, a.mallory)
	r := viaPush.request(t, a.mallory)
	form := func() url.Values { return merged(r.by.identify(t, house.Issuer), r.carrier(t)) }
	try := func(method, query, media, body, wanted string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, house.meta.PAR+query, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", media)
		want(t, call(t, house.front, req), wanted)
	}
	const formMedia = "application/x-www-form-urlencoded"
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		try(method, "", formMedia, form().Encode(), "405 invalid_request")
	}
	try("POST", "", "application/json", `{"request":"`+form().Get("request")+`"}`, "400 invalid_request")
	try("POST", "", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\na\r\n--x--\r\n", "400 invalid_request")
	try("POST", "", "", form().Encode(), "400 invalid_request")
	try("POST", "?"+form().Encode(), formMedia, "", "400 invalid_request")
	try("POST", "?client_id="+r.by.id, formMedia, form().Encode(), "400 invalid_request")
	try("POST", "", formMedia, r.carrier(t).Encode(), "401 invalid_client")
	try("POST", "", formMedia, merged(url.Values{"client_id": {r.by.id}}, r.carrier(t)).Encode(), "401 invalid_client")
}

func TestAttack14ObjectOfAnotherClient(t *testing.T) {
	a := attack(t, 14, "invalid_request_object when client_id or iss of the object is not the authenticated client")
	leavesNothing(t, a.mallory, a.victim)
	for _, claims := range []map[string]any{{"client_id": a.victim.id}, {"iss": a.victim.id}, {"client_id": nil}} {
		want(t, viaPush.request(t, a.mallory).set(claims).pushIt(t), "400 invalid_request_object")
	}
	r := viaPush.request(t, a.mallory)
	r.object = viaPush.request(t, a.victim).carrier(t).Get("request")
	want(t, r.pushIt(t), "400 invalid_request_object")
}

func TestAttack15ParametersAfterPush(t *testing.T) {
	a := attack(t, 15, "everything beside request_uri is ignored: the pushed values count")
	sca := map[string]any{"id_token": map[string]any{"acr": map[string]any{"essential": true, "value": "urn:openbanking:psd2:sca"}}}
	r := viaPush.request(t, a.victim).set(map[string]any{"scope": "openid", "claims": sca})
	uri := r.pushedURI(t)
	address := at(a.victim, uri, "scope", "openid accounts admin", "redirect_uri", "https://evil.example/", "response_type", "token",
		"response_mode", "query", "state", "evil", "nonce", "evil", "acr_values", "urn:openbanking:psd2:ca", "claims", `{"id_token":{}}`,
		"code_challenge", strings.Repeat("a", 43), "prompt", "none", "max_age", "0")
	o := r.open(t, address, agree)
	want(t, o, viaPush.success())
	if c := r.detached(t, o); c.ACR != "urn:openbanking:psd2:sca" {
		t.Errorf("acr is %q", c.ACR)
	}
	k := r.checkTokens(t, viaPush.redeem(t, a.victim, r.redemption(o)))
	if k.text("scope") != "openid" {
		t.Errorf("scope is %q", k.text("scope"))
	}
}

func TestAttack16OutsideTheObject(t *testing.T) {
	a := attack(t, 16, "what stands outside of the object never counts; what is missing inside is missing")
	r := viaValue.request(t, a.victim).set(map[string]any{"scope": "openid"})
	r.outer = url.Values{"nonce": {"evil"}, "state": {"evil"}, "scope": {"openid accounts admin"}, "response_type": {"code"},
		"redirect_uri": {"https://evil.example/"}, "response_mode": {"query"}, "code_challenge": {"evil"}, "prompt": {"none"}}
	o := r.code(t)
	if k := r.tokens(t, o); k.text("scope") != "openid" {
		t.Errorf("scope is %q", k.text("scope"))
	}
	leavesNothing(t, a.mallory)
	for _, p := range bothWays {
		for member, wanted := range map[string]string{"scope": p.refused("invalid_request"), "nonce": p.refused("invalid_request"),
			"response_type": strings.Replace(p.refused("invalid_request"), "fragment", "query", 1), "redirect_uri": p.lost("invalid_request")} {
			r := p.request(t, a.mallory)
			r.outer = merged(r.outer, url.Values{"nonce": {r.text("nonce")}, "state": {r.text("state")}})
			r.push = url.Values{member: {r.text(member)}}
			want(t, r.set(map[string]any{member: nil}).send(t), wanted)
		}
	}
}

func TestAttack17ObjectTimes(t *testing.T) {
	a := attack(t, 17, "invalid_request_object, by value and pushed")
	leavesNothing(t, a.mallory)
	now := time.Now().Unix()
	for name, times := range map[string]map[string]any{
		"exp 3601 s after nbf": {"nbf": now, "exp": now + 3601}, "nbf 61 minutes old": {"nbf": now - 3660, "exp": now - 60 + 90},
		"no exp": {"exp": nil}, "no nbf": {"nbf": nil}, "expired": {"nbf": now - 60, "exp": now - 1}, "nbf in 70 s": {"nbf": now + 70, "exp": now + 300},
		"iat in 70 s": {"iat": now + 70}, "exp 0": {"exp": 0}, "nbf 0": {"nbf": 0},
	} {
		for _, p := range bothWays {
			if o := p.request(t, a.mallory).set(times).send(t); o.String() != p.refused("invalid_request_object") {
				t.Errorf("%s: %s", name, o)
			}
		}
	}
}

func TestAttack18ObjectForOrFromOthers(t *testing.T) {
	a := attack(t, 18, "invalid_request_object for every aud but the issuer, and for another client's or our own public key")
	leavesNothing(t, a.mallory)
	i := house.Issuer
	for _, aud := range []any{house.meta.Token, house.meta.PAR, house.meta.Aliases.Token, "https://other.example", i[:len(i)-1], i + "/", strings.ToUpper(i),
		[]string{}, []string{house.meta.Token, house.meta.PAR}, nil, "", slices.Repeat([]string{i}, 11), map[string]string{"iss": i}, 7} {
		for _, p := range bothWays {
			r := p.request(t, a.mallory).set(map[string]any{"aud": aud})
			o := r.send(t)
			o.state = false // an aud of no known form makes the whole object unreadable
			if got := strings.TrimSuffix(o.String(), " without state"); got != p.refused("invalid_request_object") {
				t.Errorf("aud %v: %s", aud, got)
			}
		}
	}
	for _, p := range bothWays {
		r := p.request(t, a.mallory)
		r.head, r.sign = a.victim.header(nil), a.victim.signer.SignBytes
		want(t, r.send(t), p.distrusted("invalid_request_object"))
		r = p.request(t, a.mallory)
		r.head, r.sign = map[string]any{"alg": "HS256"}, hs256(serverPublicPEM(t))
		want(t, r.send(t), p.distrusted("invalid_request_object"))
	}
}
