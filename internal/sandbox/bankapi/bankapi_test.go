package bankapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/procura/procura/internal/sandbox/bankapi"
	"github.com/procura/procura/resource"
)

func newAPI(t *testing.T) http.Handler {
	t.Helper()
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	h, err := bankapi.New(bankapi.Config{Base: "https://localhost:9445", Customers: bankapi.Customers()},
		bankapi.Deps{Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, path, accept string, facts *resource.Facts) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	if facts != nil {
		facts.Set(r.Header)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func alice(permissions ...string) *resource.Facts {
	return &resource.Facts{Client: "tpp", Customer: "cust-1001", Consent: "c", Grant: "g",
		Accounts: []string{"alice-current", "alice-euro", "bob-current"}, Permissions: permissions}
}

func TestShapes(t *testing.T) {
	for _, c := range []struct{ name, path, want string }{
		{"v3.1 basic", "/open-banking/v3.1/aisp/accounts/alice-current",
			`{"Data":{"Account":[{"AccountId":"alice-current","Currency":"GBP","AccountType":"Personal","AccountSubType":"CurrentAccount","Nickname":"Household"}]},
			"Links":{"Self":"https://localhost:9445/open-banking/v3.1/aisp/accounts/alice-current"},"Meta":{"TotalPages":1}}`},
		{"v4.0 balances", "/open-banking/v4.0/aisp/accounts/alice-current/balances",
			`{"Data":{"Balance":[
			{"AccountId":"alice-current","Amount":{"Amount":"1230.45","Currency":"GBP"},"CreditDebitIndicator":"Credit","Type":"ITBD","DateTime":"2026-11-24T09:00:00Z"},
			{"AccountId":"alice-current","Amount":{"Amount":"1217.95","Currency":"GBP"},"CreditDebitIndicator":"Credit","Type":"ITAV","DateTime":"2026-11-24T09:00:00Z"}]},
			"Links":{"Self":"https://localhost:9445/open-banking/v4.0/aisp/accounts/alice-current/balances"},"Meta":{"TotalPages":1}}`},
	} {
		w := get(newAPI(t), c.path, "", alice("ReadAccountsBasic", "ReadBalances"))
		var got, want any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%s: %d %s", c.name, w.Code, w.Body)
		}
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%s: type %q", c.name, w.Header().Get("Content-Type"))
		}
	}
}

// FAPI 1 Baseline §6.2.1-7: the consented accounts of this customer, whatever else
// stands in the headers.
func TestOnlyConsentedAccounts(t *testing.T) {
	h := newAPI(t)
	for path, want := range map[string]string{"/accounts": "alice-current alice-euro", "/balances": "alice-current alice-euro"} {
		w := get(h, "/open-banking/v3.1/aisp"+path, "", alice("ReadAccountsDetail", "ReadBalances"))
		for _, id := range strings.Fields(want) {
			if !strings.Contains(w.Body.String(), id) {
				t.Errorf("%s lacks %s: %s", path, id, w.Body)
			}
		}
		if strings.Contains(w.Body.String(), "alice-savings") || strings.Contains(w.Body.String(), "bob") {
			t.Errorf("%s shows what was not consented: %s", path, w.Body)
		}
	}
	empty := get(h, "/open-banking/v3.1/aisp/accounts", "", &resource.Facts{Customer: "cust-1001"})
	if empty.Code != 200 || !strings.Contains(empty.Body.String(), `"Account":[]`) {
		t.Errorf("no accounts: %d %s, want 200 with an empty array", empty.Code, empty.Body)
	}
}

func TestDetailIsNotBasic(t *testing.T) {
	for permission, shown := range map[string]bool{"ReadAccountsBasic": false, "ReadAccountsDetail": true} {
		w := get(newAPI(t), "/open-banking/v4.0/aisp/accounts", "", alice(permission))
		if strings.Contains(w.Body.String(), "20300211223344") != shown || strings.Contains(w.Body.String(), "Alice Archer") != shown {
			t.Errorf("%s: %s", permission, w.Body)
		}
	}
}

func TestRefusals(t *testing.T) {
	h := newAPI(t)
	for _, c := range []struct {
		name, path, accept string
		facts              *resource.Facts
		status             int
	}{
		{"without the gateway", "/open-banking/v3.1/aisp/accounts", "", nil, 403},
		{"application", "/open-banking/v3.1/aisp/accounts", "", &resource.Facts{Client: "tpp"}, 403},
		{"unknown account", "/open-banking/v3.1/aisp/accounts/nobody", "", alice(), 400},
		{"account of another customer", "/open-banking/v3.1/aisp/accounts/bob-current", "", alice(), 400},
		{"XML", "/open-banking/v3.1/aisp/accounts", "application/xml", alice(), 406},
		{"JSON refused", "/open-banking/v3.1/aisp/accounts", "application/json;q=0, text/html", alice(), 406},
		{"suite's first Accept", "/open-banking/v3.1/aisp/accounts", "application/json;charset=UTF-8", alice(), 200},
		{"suite's second Accept", "/open-banking/v3.1/aisp/accounts", "application/json, application/*+json, */*", alice(), 200},
		{"Java's Accept", "/open-banking/v3.1/aisp/accounts", "text/html, image/gif, image/jpeg, */*; q=0.2", alice(), 200},
		{"not built", "/open-banking/v3.1/aisp/transactions", "", alice(), 404},
	} {
		if w := get(h, c.path, c.accept, c.facts); w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.status)
		}
	}
	if _, err := bankapi.New(bankapi.Config{}, bankapi.Deps{}); err == nil {
		t.Error("accepted without configuration")
	}
}

func TestCustomers(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range bankapi.Customers() {
		for n, a := range c.Shareable() {
			if seen[a.ID] || a.ID == "" || a.Name == "" || strings.Contains(a.Number, c.Accounts[n].Number) {
				t.Errorf("%s shares %+v", c.Username, a)
			}
			seen[a.ID] = true
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d accounts, want 5", len(seen))
	}
}
