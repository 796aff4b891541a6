package blackbox_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

// credentialsWith asks for the client's own token with whatever authentication.
func credentialsWith(t testing.TB, client *http.Client, auth url.Values) *reply {
	t.Helper()
	return post(t, client, house.meta.Aliases.Token, merged(url.Values{"grant_type": {"client_credentials"}, "scope": {"accounts"}}, auth))
}

const invalidClient = "401 invalid_client"

func TestAttack41AssertionReplay(t *testing.T) {
	a := attack(t, 41, "200 once, then 401 invalid_client at every endpoint and on every node; of fifty at once one is answered")
	other := startNode(t)
	by := a.mallory
	once := proof(by.sign(t, by.assertion(house.Issuer)))
	want(t, credentialsWith(t, by.back, once), "200")
	before := left(t, by)
	want(t, credentialsWith(t, by.back, once), invalidClient)
	want(t, post(t, house.front, house.meta.PAR, merged(once, viaPush.request(t, by).carrier(t))), invalidClient)
	there := other.client(t, by.leaf)
	want(t, credentialsWith(t, there, once), invalidClient)
	want(t, post(t, there, house.meta.PAR, merged(once, viaPush.request(t, by).carrier(t))), invalidClient)
	for _, address := range []string{house.meta.Introspect, house.meta.Revoke} {
		want(t, post(t, house.front, address, merged(once, url.Values{"token": {"x"}})), invalidClient)
	}
	nothingLeft(t, by, before)
	want(t, credentialsWith(t, there, by.identify(t, house.Issuer)), "200") // the node itself works

	again := proof(by.sign(t, by.assertion(house.Issuer)))
	won := 0
	for i, answer := range parallel(50, func() *reply { return credentialsWith(t, by.back, again) }) {
		if answer.status == http.StatusOK {
			won++
			continue
		}
		if want(t, answer, invalidClient); t.Failed() {
			t.Fatalf("answer %d", i)
		}
	}
	if won != 1 {
		t.Errorf("%d of 50 were answered", won)
	}
	refused := proof(by.sign(t, by.assertion(house.Issuer))) // a refused request spends it as well
	want(t, post(t, by.back, house.meta.Aliases.Token, merged(refused, url.Values{"grant_type": {"authorization_code"}, "code": {"x"}})), invalidGrant)
	want(t, credentialsWith(t, by.back, refused), invalidClient)
}

func TestAttack42AssertionAudience(t *testing.T) {
	a := attack(t, 42, "issuer, token and PAR URL and their aliases pass, alone or in an array; another server, a slash more or a prefix: 401 invalid_client")
	by, m := a.mallory, &house.meta
	for _, aud := range []any{m.Issuer, m.Token, m.PAR, m.Aliases.Token, m.Aliases.PAR, []string{m.Issuer}, []string{m.Issuer, "https://evil.example"}, []string{"https://evil.example", m.Token}} {
		if got := credentialsWith(t, by.back, proof(by.sign(t, by.assertion(aud)))); got.status != http.StatusOK {
			t.Errorf("aud %v: %s", aud, got)
		}
	}
	leavesNothing(t, by)
	for _, aud := range []any{"https://evil.example", m.Issuer + "/", m.Issuer[:len(m.Issuer)-1], m.Token + "/", m.Authorize, m.JWKS, house.ResourceBase, []string{"https://evil.example"}, []string{},
		[]any{m.Issuer, 7}, nil, "", 7, map[string]string{"iss": m.Issuer}} {
		if got := credentialsWith(t, by.back, proof(by.sign(t, by.assertion(aud)))); got.String() != invalidClient {
			t.Errorf("aud %v: %s", aud, got)
		}
	}
}

func TestAttack43AssertionTimes(t *testing.T) {
	a := attack(t, 43, "401 invalid_client for exp 5 minutes ago or a day ahead and for iat or nbf 61 s ahead; 8 s ahead pass")
	by, now := a.mallory, time.Now().Unix()
	leavesNothing(t, by)
	for name, c := range map[string]struct {
		times  map[string]any
		answer string
	}{
		"exp 5 minutes ago": {map[string]any{"exp": now - 300, "iat": now - 360, "nbf": now - 360}, invalidClient},
		"exp now":           {map[string]any{"exp": now - 1}, invalidClient},
		"exp in a day":      {map[string]any{"exp": now + 86400}, invalidClient},
		"iat in 61 s":       {map[string]any{"iat": now + 61, "exp": now + 120}, invalidClient},
		"nbf in 61 s":       {map[string]any{"nbf": now + 61, "exp": now + 120}, invalidClient},
		"iat a day ago":     {map[string]any{"iat": now - 86400}, invalidClient},
		"no exp":            {map[string]any{"exp": nil}, invalidClient},
		"no jti":            {map[string]any{"jti": nil}, invalidClient},
		"jti of nothing":    {map[string]any{"jti": ""}, invalidClient},
		"jti number":        {map[string]any{"jti": 7}, invalidClient},
		"iat in 8 s":        {map[string]any{"iat": now + 8, "nbf": now + 8}, "200"},
		"no iat, no nbf":    {map[string]any{"iat": nil, "nbf": nil}, "200"},
	} {
		if got := credentialsWith(t, by.back, proof(by.sign(t, with(by.assertion(house.Issuer), c.times)))); got.String() != c.answer {
			t.Errorf("%s: %s, want %s", name, got, c.answer)
		}
	}
}

func TestAttack44AssertionNames(t *testing.T) {
	a := attack(t, 44, "401 invalid_client when sub is missing, iss and sub differ, or client_id names another client")
	by, other := a.mallory, a.victim
	leavesNothing(t, by, other)
	for _, c := range []struct {
		claims map[string]any
		form   url.Values
	}{
		{map[string]any{"sub": nil}, nil}, {map[string]any{"iss": nil}, nil}, {map[string]any{"iss": nil, "sub": nil}, url.Values{"client_id": {by.id}}},
		{map[string]any{"iss": other.id}, nil}, {map[string]any{"sub": other.id}, nil}, {map[string]any{"sub": other.id}, url.Values{"client_id": {by.id}}},
		{map[string]any{"iss": other.id, "sub": other.id}, nil}, {map[string]any{"iss": other.id, "sub": other.id}, url.Values{"client_id": {other.id}}},
		{nil, url.Values{"client_id": {other.id}}}, {map[string]any{"sub": []string{by.id}}, nil}, {map[string]any{"iss": "nobody", "sub": "nobody"}, nil},
		{nil, url.Values{"client_assertion_type": nil}}, {nil, url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}}},
		{nil, url.Values{"client_assertion": nil}},
	} {
		auth := merged(proof(by.sign(t, with(by.assertion(house.Issuer), c.claims))), c.form)
		if got := credentialsWith(t, by.back, auth); got.String() != invalidClient {
			t.Errorf("%v %v: %s", c.claims, c.form, got)
		}
	}
	want(t, credentialsWith(t, by.back, merged(by.identify(t, house.Issuer), url.Values{"client_id": {by.id}})), "200")
}

func TestAttack45TwoMethods(t *testing.T) {
	a := attack(t, 45, "401 invalid_client for an assertion over another client's certificate; 400 invalid_request for Basic or a secret beside an assertion")
	by, bound, mtls := a.mallory, who(t, special(45, "bound")), who(t, special(45, "mtls"))
	leavesNothing(t, by, bound, mtls)
	want(t, credentialsWith(t, bound.back, bound.identify(t, house.Issuer)), "200")
	want(t, credentialsWith(t, by.back, bound.identify(t, house.Issuer)), invalidClient) // its registration names its certificate
	want(t, credentialsWith(t, by.back, url.Values{"client_id": {mtls.id}}), invalidClient)
	want(t, credentialsWith(t, mtls.back, merged(by.identify(t, house.Issuer), url.Values{"client_id": {mtls.id}})), invalidClient)
	want(t, credentialsWith(t, mtls.back, merged(proof(mtls.sign(t, mtls.assertion(house.Issuer))))), invalidClient) // registered for its certificate alone
	want(t, credentialsWith(t, by.back, url.Values{"client_id": {by.id}}), invalidClient)
	want(t, credentialsWith(t, by.back, merged(by.identify(t, house.Issuer), url.Values{"client_secret": {"x"}})), "400 invalid_request")
	want(t, credentialsWith(t, mtls.back, url.Values{"client_id": {mtls.id}, "client_secret": {"x"}}), invalidClient)

	form := merged(url.Values{"grant_type": {"client_credentials"}}, by.identify(t, house.Issuer))
	for auth, wanted := range map[string]string{"Basic eDp5": "400 invalid_request", "Bearer x": "400 invalid_request"} {
		want(t, rawPostWith(t, by.back, house.meta.Aliases.Token, form.Encode(), "Authorization", auth), wanted)
	}
	basic := rawPostWith(t, by.back, house.meta.Aliases.Token, "grant_type=client_credentials", "Authorization", "Basic eDp5")
	if want(t, basic, invalidClient); basic.header.Get("WWW-Authenticate") == "" { // RFC 6749 §5.2
		t.Error("Basic is not challenged")
	}
}
