package blackbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const aisp = "/open-banking/v3.1/aisp"

// consented lodges a consent for the request's client and makes the request ask for
// it, as open banking does; it returns the consent's id.
func consented(t testing.TB, r *request) string {
	t.Helper()
	id := lodge(t, r.by)
	r.set(map[string]any{"claims": map[string]any{"id_token": map[string]any{
		"openbanking_intent_id": map[string]any{"value": id, "essential": true},
	}}})
	return id
}

// lodge creates an account access consent through the gateway.
func lodge(t testing.TB, p *party) string {
	t.Helper()
	a := applicationToken(t, p)
	body := `{"Data":{"Permissions":["ReadAccountsBasic","ReadBalances"]},"Risk":{}}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, house.ResourceBase+aisp+"/account-access-consents", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a)
	req.Header.Set("Content-Type", "application/json")
	answer := send(t, p.back, req)
	var lodged struct {
		Data struct{ ConsentID string }
	}
	if err := json.Unmarshal(answer.raw, &lodged); err != nil || answer.status != http.StatusCreated || lodged.Data.ConsentID == "" {
		t.Fatalf("lodging a consent: %d %s", answer.status, answer.raw)
	}
	return lodged.Data.ConsentID
}

// applicationToken is a token that speaks for the client alone.
func applicationToken(t testing.TB, p *party) string {
	t.Helper()
	form := merged(url.Values{"grant_type": {"client_credentials"}, "scope": {"accounts"}}, p.identify(t, house.Issuer))
	a := post(t, p.back, house.meta.Aliases.Token, form)
	if want(t, a, "200"); a.text("access_token") == "" {
		t.Fatal("there is no access token")
	}
	return a.text("access_token")
}

// accounts asks the bank's API behind the gateway.
func accounts(t testing.TB, client *http.Client, access string) *reply {
	t.Helper()
	return atBank(t, client, house.ResourceBase+aisp+"/accounts", "Authorization", "Bearer "+access)
}

// atBank asks an address of the gateway.
func atBank(t testing.TB, client *http.Client, address string, headers ...string) *reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return send(t, client, req)
}
