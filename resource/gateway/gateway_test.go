package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/resourcetest"
)

const (
	v3 = "/open-banking/v3.1/aisp"
	v4 = "/open-banking/v4.0/aisp"
)

// Gateway checks per endpoint family: path, method, kind of token, scope, consent,
// permission, account; the status of each refusal is UK Open Banking's.
func TestTable(t *testing.T) {
	w := newWorld(t, nil)
	user, app := w.userToken(t, nil), w.appToken(t, nil)
	narrow := w.userToken(t, map[string]any{"scope": "openid payments"})
	appNarrow := w.appToken(t, map[string]any{"scope": "payments"})
	loose := w.userToken(t, map[string]any{"consent_id": ""})
	ended := w.userToken(t, map[string]any{"grant_id": "ended"})
	for _, c := range []struct {
		name, method, path, token string
		status                    int
		code                      string // of the body
	}{
		{"accounts", "GET", v3 + "/accounts", user, 200, ""},
		{"accounts v4", "GET", v4 + "/accounts", user, 200, ""},
		{"one account", "GET", v3 + "/accounts/acc-1", user, 200, ""},
		{"balances of one", "GET", v3 + "/accounts/acc-2/balances", user, 200, ""},
		{"all balances", "GET", v4 + "/balances", user, 200, ""},
		{"with query", "GET", v3 + "/balances?page=2", user, 200, ""},
		{"lodge a consent", "POST", v3 + "/account-access-consents", app, 200, ""},
		{"read a consent", "GET", v4 + "/account-access-consents/c-1", app, 200, ""},
		{"delete a consent", "DELETE", v3 + "/account-access-consents/c-1", app, 200, ""},

		{"no token", "GET", v3 + "/accounts", "", 401, ""},
		{"rubbish", "GET", v3 + "/accounts", "rubbish", 401, ""},
		{"token in the query (attack 58)", "GET", v3 + "/accounts?access_token=" + user, user, 400, "UK.OBIE.Field.Unexpected"},
		{"application on accounts", "GET", v3 + "/accounts", app, 401, ""},
		{"user on consents", "POST", v3 + "/account-access-consents", user, 401, ""},
		{"scope missing", "GET", v3 + "/accounts", narrow, 403, "UK.OBIE.Resource.ConsentMismatch"},
		{"scope missing v4", "GET", v4 + "/accounts", narrow, 403, "U008"},
		{"scope missing on consents", "POST", v3 + "/account-access-consents", appNarrow, 403, "UK.OBIE.Resource.ConsentMismatch"},
		{"no consent in the token", "GET", v3 + "/accounts", loose, 403, "UK.OBIE.Resource.ConsentMismatch"},
		{"grant or consent ended", "GET", v3 + "/accounts", ended, 401, ""},
		{"account not chosen", "GET", v3 + "/accounts/acc-3", user, 403, "UK.OBIE.Resource.ConsentMismatch"},
		{"balances of an account not chosen", "GET", v4 + "/accounts/acc-3/balances", user, 403, "U008"},

		{"not built", "GET", v3 + "/transactions", user, 404, "UK.OBIE.Field.Unexpected"},
		{"not built, no token", "GET", v3 + "/transactions", "", 404, "UK.OBIE.Field.Unexpected"},
		{"unknown version", "GET", "/open-banking/v3.0/aisp/accounts", user, 404, "UK.OBIE.Field.Unexpected"},
		{"root", "GET", "/", user, 404, "UK.OBIE.Field.Unexpected"},
		{"trailing slash", "GET", v3 + "/accounts/", user, 404, "UK.OBIE.Field.Unexpected"},
		{"two slashes", "GET", v3 + "//accounts", user, 404, "UK.OBIE.Field.Unexpected"},
		{"dots", "GET", v3 + "/accounts/../accounts", user, 404, "UK.OBIE.Field.Unexpected"},
		{"dots as account", "GET", v3 + "/accounts/..", user, 404, "UK.OBIE.Field.Unexpected"},
		{"encoded slash", "GET", v3 + "/accounts/acc-1%2Fbalances", user, 404, "UK.OBIE.Field.Unexpected"},
		{"encoded letter", "GET", v3 + "/%61ccounts", user, 404, "UK.OBIE.Field.Unexpected"},
		{"encoded dots", "GET", v3 + "/accounts/%2e%2e/accounts", user, 404, "UK.OBIE.Field.Unexpected"},
		{"semicolon", "GET", v3 + "/accounts;a=b", user, 404, "UK.OBIE.Field.Unexpected"},
		{"check is closed", "GET", "/check" + v3 + "/accounts", user, 404, "UK.OBIE.Field.Unexpected"},
		{"endless id", "GET", v3 + "/accounts/" + strings.Repeat("a", 129), user, 404, "UK.OBIE.Field.Unexpected"},
		{"wrong method", "POST", v3 + "/accounts", user, 405, "UK.OBIE.Field.Unexpected"},
		{"wrong method v4", "PUT", v4 + "/account-access-consents/c-1", app, 405, "U005"},
		{"list of consents", "GET", v3 + "/account-access-consents", app, 405, "UK.OBIE.Field.Unexpected"},
		{"options", "OPTIONS", v3 + "/accounts", "", 405, "UK.OBIE.Field.Unexpected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.bank.calls() + w.consents.calls()
			res, body := w.send(t, request{method: c.method, path: c.path, token: c.token})
			if res.StatusCode != c.status {
				t.Fatalf("status %d, want %d: %s", res.StatusCode, c.status, body)
			}
			if reached := w.bank.calls()+w.consents.calls() > before; reached != (c.status == 200) {
				t.Errorf("reached what is behind: %v", reached)
			}
			if c.code != "" && errorCode(t, body) != c.code {
				t.Errorf("error %q, want %q", errorCode(t, body), c.code)
			}
			if c.status == 401 && (body != "" || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer ")) {
				t.Errorf("401 with challenge %q and body %q", res.Header.Get("WWW-Authenticate"), body)
			}
			if c.status == 405 && res.Header.Get("Allow") == "" {
				t.Error("405 without Allow (RFC 9110 §15.5.6)")
			}
			if uuid.Validate(res.Header.Get("x-fapi-interaction-id")) != nil || res.Header.Get("Date") == "" {
				t.Errorf("no interaction id or date: %v", res.Header)
			}
		})
	}
}

func TestPermissions(t *testing.T) {
	for _, c := range []struct {
		permissions []string
		path        string
		status      int
	}{
		{[]string{"ReadAccountsBasic"}, "/accounts", 200},
		{[]string{"ReadAccountsDetail"}, "/accounts", 200},
		{[]string{"ReadAccountsDetail"}, "/balances", 403},
		{[]string{"ReadBalances"}, "/accounts", 403},
		{[]string{"ReadBalances"}, "/accounts/acc-1", 403},
		{[]string{"ReadBalances"}, "/accounts/acc-1/balances", 200},
		{[]string{"readbalances"}, "/balances", 403},
		{nil, "/accounts", 403},
	} {
		w := newWorld(t, nil)
		g := fullGrant()
		g["permissions"] = c.permissions
		w.issuer.Describe(resourcetest.GrantID, g)
		res, body := w.send(t, request{path: v3 + c.path, token: w.userToken(t, nil)})
		if res.StatusCode != c.status {
			t.Errorf("%v on %s: %d %s, want %d", c.permissions, c.path, res.StatusCode, body, c.status)
		}
	}
}

// The API is told who asks by us alone.
func TestForgedHeadersDoNotPass(t *testing.T) {
	w := newWorld(t, nil)
	forged := http.Header{
		"X-Procura-Client": {"mallory"}, "X-Procura-Customer": {"cust-1002"}, "x-procura-accounts": {"acc-3"},
		"X-Procura-Permissions": {"ReadEverything"}, "X-Procura-Consent": {"other"}, "X-Procura-Grant": {"other"},
		"X-Procura-Resource-Server": {"other"}, "X-Procura-Later": {"x"}, "X_Procura_Customer": {"cust-1002"},
		"X-Procura_Accounts": {"acc-3"}, "X-Forwarded-For": {"10.0.0.1"}, "X-Real-Ip": {"10.0.0.1"}, "Forwarded": {"for=10.0.0.1"},
		"Client-Cert": {":MII:"}, "Cookie": {"a=b"}, "Connection": {"X-Procura-Customer, X-Procura-Accounts, keep-alive"},
		"X-Fapi-Customer-Ip-Address": {"2001:db8::1"}, "X-Fapi-Auth-Date": {"Tue, 11 Sep 2012 19:43:31 GMT"}, "Accept": {"application/json;charset=UTF-8"},
	}
	res, body := w.send(t, request{path: v3 + "/accounts?page=2", token: w.userToken(t, nil), header: forged})
	if res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	got, _ := w.bank.last(t)
	facts, err := resource.ReadFacts(got.Header)
	must(t, err)
	if facts.Client != resourcetest.ClientID || facts.Customer != "cust-1001" || strings.Join(facts.Accounts, " ") != "acc-1 acc-2" ||
		strings.Join(facts.Permissions, " ") != "ReadAccountsBasic ReadBalances" || facts.Consent != resourcetest.ConsentID || facts.Grant != resourcetest.GrantID {
		t.Errorf("the API was told %+v", facts)
	}
	for name := range got.Header {
		plain := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		ours := map[string]bool{"X-Procura-Client": true, "X-Procura-Customer": true, "X-Procura-Accounts": true,
			"X-Procura-Consent": true, "X-Procura-Permissions": true, "X-Procura-Grant": true}
		if strings.HasPrefix(plain, "x-procura-") && !ours[name] || strings.HasPrefix(plain, "x-forwarded") {
			t.Errorf("%s reached the API", name)
		}
	}
	for _, name := range []string{"Authorization", "Forwarded", "X-Real-Ip", "Client-Cert", "Cookie"} {
		if got.Header.Get(name) != "" {
			t.Errorf("%s reached the API", name)
		}
	}
	if got.Header.Get("X-Fapi-Customer-Ip-Address") != "2001:db8::1" || got.Header.Get("Accept") == "" || got.URL.RawQuery != "page=2" {
		t.Errorf("what is the API's own did not reach it: %v %s", got.Header, got.URL)
	}
}

func TestTrailersDoNotPass(t *testing.T) {
	w := newWorld(t, nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+v3+"/account-access-consents",
		struct{ *strings.Reader }{strings.NewReader("{}")})
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+w.appToken(t, nil))
	req.Trailer = http.Header{"X-Procura-Client": {"mallory"}}
	res, err := w.client.Do(req)
	must(t, err)
	must(t, res.Body.Close())
	if got, _ := w.consents.last(t); res.StatusCode != 200 || len(got.Trailer) != 0 {
		t.Errorf("%d, trailers %v", res.StatusCode, got.Trailer)
	}
}

// The consent API learns the client and who vouches for it, and nothing of the
// token.
func TestConsentsGoToTheAuthorizationServer(t *testing.T) {
	w := newWorld(t, nil)
	w.consents.answer = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json; charset=utf-8")
		rw.Header().Set("X-Fapi-Interaction-Id", "another")
		rw.Header().Set("X-Procura-Secret", "x")
		rw.WriteHeader(http.StatusCreated)
		_, _ = rw.Write([]byte(`{"Data":{"ConsentId":"c-1"}}`))
	}
	const id = "93bac548-d2de-4546-b106-880a5018460d"
	res, body := w.send(t, request{method: "POST", path: v3 + "/account-access-consents?x=y", token: w.appToken(t, nil),
		body: `{"Data":{}}`, header: http.Header{"Content-Type": {"application/json"}, "X-Procura-Client": {"mallory"}, "X-Fapi-Interaction-Id": {id}}})
	if res.StatusCode != 201 || body != `{"Data":{"ConsentId":"c-1"}}` {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	if got := res.Header.Values("x-fapi-interaction-id"); len(got) != 1 || got[0] != id {
		t.Errorf("interaction ids %q, want the one that was sent", got)
	}
	if res.Header.Get("X-Procura-Secret") != "" {
		t.Error("a header of ours left the building")
	}
	got, sent := w.consents.last(t)
	if got.Header.Get("X-Procura-Client") != resourcetest.ClientID || got.Header.Get("X-Procura-Resource-Server") != resourcetest.ServerID ||
		len(got.TLS.PeerCertificates) == 0 || got.TLS.PeerCertificates[0].Subject.CommonName != "gateway" {
		t.Errorf("the authorization server was told %v", got.Header)
	}
	if got.URL.RawQuery != "" || got.Header.Get("Authorization") != "" || sent != `{"Data":{}}` ||
		got.URL.Path != v3+"/account-access-consents" || got.Header.Get("X-Fapi-Interaction-Id") != id {
		t.Errorf("the authorization server got %s %q %v", got.URL, sent, got.Header)
	}
}

// FAPI 1 Baseline §6.2.1-11 and -12: on success and on every error, and in the log.
func TestInteractionIDIsEchoedAndLogged(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		path, token string
		status      int
	}{
		{v3 + "/accounts", w.userToken(t, nil), 200}, {v3 + "/accounts", "", 401}, {v3 + "/nothing", "", 404}, {v3 + "/accounts/acc-9", w.userToken(t, nil), 403},
	} {
		id := uuid.NewString()
		res, _ := w.send(t, request{path: c.path, token: c.token, header: http.Header{"X-Fapi-Interaction-Id": {id}}})
		if got := res.Header.Values("x-fapi-interaction-id"); len(got) != 1 || got[0] != id {
			t.Errorf("%s: %q, want %s", c.path, got, id)
		}
		r := w.recorded(t, id)
		if r.Status != c.status || (r.Reason != nil) != (c.status >= 400) || (r.Client == resourcetest.ClientID) != (c.status == 200) {
			t.Errorf("recorded %+v, want status %d", r, c.status)
		}
	}
	res, _ := w.send(t, request{path: v3 + "/accounts", header: http.Header{"X-Fapi-Interaction-Id": {"not-a-uuid"}}})
	if got := res.Header.Get("x-fapi-interaction-id"); uuid.Validate(got) != nil {
		t.Errorf("malformed id answered with %q", got)
	}
}
