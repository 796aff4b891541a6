package consent_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/consent"
	"github.com/procura/procura/internal/fapi"
)

// Rows 4 and 90 of openbanking 7 and 9: the life of a consent, in both vocabularies.
func TestConsentLife(t *testing.T) {
	for version, words := range map[string]map[fapi.ConsentStatus]string{
		"v3.1": {fapi.ConsentAwaiting: "AwaitingAuthorisation", fapi.ConsentAuthorised: "Authorised", fapi.ConsentRejected: "Rejected"},
		"v4.0": {fapi.ConsentAwaiting: "AWAU", fapi.ConsentAuthorised: "AUTH", fapi.ConsentRejected: "RJCT"},
	} {
		t.Run(version, func(t *testing.T) {
			d := newDesk(t)
			path, id := d.lodge(version)
			for state, word := range words {
				d.store.consents[id].Status = state
				got := d.call(http.MethodGet, path, "", nil)
				if got.status != http.StatusOK || got.data("Status") != word {
					t.Errorf("%s is shown as %d %v, want %s", state, got.status, got.data("Status"), word)
				}
				if reason := got.data("StatusReason") != nil; reason != (word == "AWAU") {
					t.Errorf("%s has a reason: %v", word, reason)
				}
			}
			d.store.consents[id].Status = fapi.ConsentAuthorised
			if got := d.call(http.MethodDelete, path, "", nil); got.status != http.StatusNoContent || got.raw != "" {
				t.Errorf("DELETE answers %d %s", got.status, got.raw)
			}
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				if got := d.call(method, path, "", nil); got.status != http.StatusBadRequest || got.code() == nil {
					t.Errorf("%s of a deleted one answers %d %s", method, got.status, got.raw)
				}
			}
		})
	}
}

// Row 91: past its ExpirationDateTime, 3.1 goes on showing the state, 4.0 has a word.
func TestExpiredConsent(t *testing.T) {
	d := newDesk(t)
	_, id := d.lodge("v3.1")
	c := d.store.consents[id]
	c.ExpiresAt = d.now
	for state, words := range map[fapi.ConsentStatus][2]string{
		fapi.ConsentAwaiting:   {"AwaitingAuthorisation", "EXPD"},
		fapi.ConsentAuthorised: {"Authorised", "EXPD"},
		fapi.ConsentRejected:   {"Rejected", "RJCT"},
	} {
		c.Status = state
		for i, version := range []string{"v3.1", "v4.0"} {
			got := d.call(http.MethodGet, collection(version)+"/"+id, "", nil)
			if got.data("Status") != words[i] || got.data("StatusReason") != nil {
				t.Errorf("%s in %s: %s", state, version, got.raw)
			}
		}
	}
}

// OBReadConsentResponse1: what a consent looks like.
func TestConsentAnswer(t *testing.T) {
	d := newDesk(t)
	expiry := d.now.Add(48 * time.Hour).In(time.FixedZone("", 3600))
	body := fmt.Sprintf(`{"Data":{"Permissions":["ReadAccountsDetail","ReadBalances"],"ExpirationDateTime":%q,
		"TransactionFromDateTime":"2020-05-03T00:00:00.123+00:00","TransactionToDateTime":"2020-12-03T00:00:00Z"},"Risk":{}}`, expiry.Format(time.RFC3339))
	got := d.call(http.MethodPost, collection("v3.1"), body, nil)
	if got.status != http.StatusCreated || got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %s", got.status, got.raw)
	}
	if members := slices.Sorted(maps.Keys(got.body)); !slices.Equal(members, []string{"Data", "Links", "Meta", "Risk"}) {
		t.Errorf("members are %v", members)
	}
	id, _ := got.data("ConsentId").(string)
	links, _ := got.body["Links"].(map[string]any)
	for name, pair := range map[string][2]any{
		"CreationDateTime":        {got.data("CreationDateTime"), d.now.UTC().Format(time.RFC3339)},
		"StatusUpdateDateTime":    {got.data("StatusUpdateDateTime"), d.now.UTC().Format(time.RFC3339)},
		"ExpirationDateTime":      {got.data("ExpirationDateTime"), expiry.UTC().Format(time.RFC3339)},
		"TransactionFromDateTime": {got.data("TransactionFromDateTime"), "2020-05-03T00:00:00.123Z"},
		"TransactionToDateTime":   {got.data("TransactionToDateTime"), "2020-12-03T00:00:00Z"},
		"Status":                  {got.data("Status"), "AwaitingAuthorisation"},
		"Self":                    {links["Self"], issuer.Audience + collection("v3.1") + "/" + id},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
		}
	}
	again := d.call(http.MethodGet, collection("v3.1")+"/"+id, "", nil)
	if again.raw != got.raw {
		t.Errorf("GET answers %s, POST answered %s", again.raw, got.raw)
	}
}

// openbanking 5.2 and 7: what is wrong with a request, in the words of both versions.
func TestConsentRefusals(t *testing.T) {
	d := newDesk(t)
	long := `{"Data":{"Permissions":["` + strings.Repeat("x", fapi.MaxBody) + `"]},"Risk":{}}`
	for _, c := range []struct {
		name, body string
		status     int
		v3, v4     string
		path       string
	}{
		{"no JSON", `{`, 400, "UK.OBIE.Resource.InvalidFormat", "U010", ""},
		{"null", `null`, 400, "UK.OBIE.Resource.InvalidFormat", "U010", ""},
		{"array", `[]`, 400, "UK.OBIE.Resource.InvalidFormat", "U010", ""},
		{"two values", good + good, 400, "UK.OBIE.Resource.InvalidFormat", "U010", ""},
		{"repeated member (G-17)", `{"Data":{"Permissions":["ReadAccountsBasic"],"Permissions":[]},"Risk":{}}`, 400, "UK.OBIE.Resource.InvalidFormat", "U010", ""},
		{"too large (G-18)", long, 413, "UK.OBIE.Resource.InvalidFormat", "U010", ""},
		{"no Data", `{"Risk":{}}`, 400, "UK.OBIE.Field.Missing", "U004", "Data"},
		{"no Risk", `{"Data":{"Permissions":["ReadAccountsBasic"]}}`, 400, "UK.OBIE.Field.Missing", "U004", "Risk"},
		{"no Permissions", `{"Data":{},"Risk":{}}`, 400, "UK.OBIE.Field.Missing", "U004", "Data.Permissions"},
		{"member in other case (G-17)", `{"data":{},"Risk":{}}`, 400, "UK.OBIE.Field.Unexpected", "U005", ""},
		{"unknown member", `{"Data":{"Permissions":["ReadAccountsBasic"],"Evil":1},"Risk":{}}`, 400, "UK.OBIE.Field.Unexpected", "U005", "Data"},
		{"something in Risk", `{"Data":{"Permissions":["ReadAccountsBasic"]},"Risk":{"a":1}}`, 400, "UK.OBIE.Field.Unexpected", "U005", "Risk"},
		{"Permissions no array", `{"Data":{"Permissions":"ReadAccountsBasic"},"Risk":{}}`, 400, "UK.OBIE.Field.Invalid", "U002", "Data.Permissions"},
		{"Permissions of numbers", `{"Data":{"Permissions":[1]},"Risk":{}}`, 400, "UK.OBIE.Field.Invalid", "U002", "Data.Permissions"},
		{"no permission", `{"Data":{"Permissions":[]},"Risk":{}}`, 400, "UK.OBIE.Field.Invalid", "U002", "Data.Permissions"},
		{"permission of null", `{"Data":{"Permissions":[null]},"Risk":{}}`, 400, "UK.OBIE.Field.Invalid", "U002", "Data.Permissions"},
		{"expiry past", dated("ExpirationDateTime", "2001-01-01T00:00:00Z"), 400, "UK.OBIE.Field.InvalidDate", "U003", "Data.ExpirationDateTime"},
		{"expiry now", dated("ExpirationDateTime", d.now.Format(time.RFC3339)), 400, "UK.OBIE.Field.InvalidDate", "U003", "Data.ExpirationDateTime"},
		{"date without zone", dated("ExpirationDateTime", "2040-01-01T00:00:00"), 400, "UK.OBIE.Field.InvalidDate", "U003", "Data.ExpirationDateTime"},
		{"date that could pass for none", dated("ExpirationDateTime", "0001-01-01T00:00:00Z"), 400, "UK.OBIE.Field.InvalidDate", "U003", "Data.ExpirationDateTime"},
		{"date beyond four digits", dated("ExpirationDateTime", "9999-12-31T23:59:59-23:00"), 400, "UK.OBIE.Field.InvalidDate", "U003", "Data.ExpirationDateTime"},
		{"date that does not exist", dated("TransactionToDateTime", "2040-02-30T00:00:00Z"), 400, "UK.OBIE.Field.InvalidDate", "U003", "Data.TransactionToDateTime"},
		{"date that is a number", `{"Data":{"Permissions":["ReadAccountsBasic"],"ExpirationDateTime":1},"Risk":{}}`, 400, "UK.OBIE.Field.Invalid", "U002", "Data.ExpirationDateTime"},
		{"period that ends before it begins", `{"Data":{"Permissions":["ReadAccountsBasic"],"TransactionFromDateTime":"2020-01-02T00:00:00Z",
			"TransactionToDateTime":"2020-01-01T00:00:00Z"},"Risk":{}}`, 400, "UK.OBIE.Field.InvalidDate", "U003", "Data.TransactionToDateTime"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.t = t
			id := uuid.NewString()
			for version, code := range map[string]string{"v3.1": c.v3, "v4.0": c.v4} {
				got := d.call(http.MethodPost, collection(version), c.body, func(r *http.Request) { r.Header.Set("x-fapi-interaction-id", id) })
				if got.status != c.status || got.code() != code || got.body["Id"] != id || got.body["Message"] == nil {
					t.Errorf("%s: %d %s", version, got.status, got.raw)
				}
				if want := `"Path":"` + c.path + `"`; c.path != "" && !strings.Contains(got.raw, want) {
					t.Errorf("no %s in %s", want, got.raw)
				}
				if strings.Contains(got.raw, "Evil") {
					t.Error("the sender's words come back")
				}
			}
		})
	}
	if len(d.store.consents) != 0 {
		t.Errorf("stored all the same: %v", d.store.consents)
	}
}

func dated(name, date string) string {
	return fmt.Sprintf(`{"Data":{"Permissions":["ReadAccountsBasic"],%q:%q},"Risk":{}}`, name, date)
}

// openbanking 7: an unknown id is 400, and so is another's: the two look the same.
func TestForeignConsents(t *testing.T) {
	d := newDesk(t)
	path, id := d.lodge("v3.1")
	asRival := func(r *http.Request) { r.Header.Set(consent.HeaderClient, rival) }
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		foreign := d.call(method, path, "", asRival)
		for name, got := range map[string]reply{
			"another's": foreign,
			"unknown":   d.call(method, collection("v3.1")+"/"+uuid.NewString(), "", nil),
			"no UUID":   d.call(method, collection("v3.1")+"/1%27%20OR%201=1", "", nil),
		} {
			if got.status != http.StatusBadRequest || got.code() != "UK.OBIE.Resource.NotFound" || got.body["Message"] != foreign.body["Message"] {
				t.Errorf("%s %s: %d %s", method, name, got.status, got.raw)
			}
		}
	}
	if d.store.consents[id].Status != fapi.ConsentAwaiting || d.revoked.Load() != 0 {
		t.Error("a stranger has moved the consent")
	}
	d.store.consents[id].Status = fapi.ConsentRejected
	if got := d.call(http.MethodDelete, path, "", nil); got.code() != "UK.OBIE.Resource.InvalidConsentStatus" {
		t.Errorf("DELETE of a rejected one: %d %s", got.status, got.raw)
	}
}

// Only the certificate of a registered resource server makes the headers true.
func TestConsentCallers(t *testing.T) {
	d := newDesk(t)
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
	}
	for _, c := range []struct {
		name, certOf string
		edit         func(*http.Request)
		status       int
		code         string
	}{
		{"no certificate", "", nil, 401, "invalid_client"},
		{"another's certificate", tpp, nil, 401, "invalid_client"},
		{"a TPP with its own certificate", tpp, header(consent.HeaderResourceServer, tpp), 400, "unauthorized_client"},
		{"no resource server named", gateway, header(consent.HeaderResourceServer), 401, "invalid_client"},
		{"two resource servers named", gateway, header(consent.HeaderResourceServer, gateway, tpp), 401, "invalid_client"},
		{"no client named", gateway, header(consent.HeaderClient), 401, "invalid_client"},
		{"two clients named", gateway, header(consent.HeaderClient, tpp, rival), 401, "invalid_client"},
		{"an empty client", gateway, header(consent.HeaderClient, ""), 401, "invalid_client"},
		{"an unknown client", gateway, header(consent.HeaderClient, "nobody"), 403, "access_denied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.t = t
			got := d.callAs(c.certOf, http.MethodPost, collection("v3.1"), good, c.edit)
			if got.status != c.status || got.body["error"] != c.code {
				t.Errorf("got %d %s, want %d %s", got.status, got.raw, c.status, c.code)
			}
		})
	}
	if len(d.store.consents) != 0 {
		t.Error("stored all the same")
	}
}

// openbanking 5.3, row 89: media types, methods, versions.
func TestConsentHTTP(t *testing.T) {
	d := newDesk(t)
	path, _ := d.lodge("v3.1")
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		name, method, path, body string
		edit                     func(*http.Request)
		status                   int
	}{
		{"wrong content type", http.MethodPost, collection("v3.1"), good, set("Content-Type", "text/plain"), 415},
		{"form", http.MethodPost, collection("v3.1"), good, set("Content-Type", "application/x-www-form-urlencoded"), 415},
		{"no content type", http.MethodPost, collection("v3.1"), good, func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		{"accepts only XML", http.MethodGet, path, "", set("Accept", "application/xml"), 406},
		{"refuses JSON", http.MethodGet, path, "", set("Accept", "application/json;q=0, text/html"), 406},
		{"accepts JSON with charset", http.MethodGet, path, "", set("Accept", "application/json;charset=UTF-8"), 200},
		{"accepts several", http.MethodGet, path, "", set("Accept", "application/json, application/*+json, */*"), 200},
		{"accepts anything, weakly", http.MethodGet, path, "", set("Accept", "text/html, image/gif, *; q=.2, */*; q=.2"), 200},
		{"accepts nothing in particular", http.MethodGet, path, "", set("Accept", ""), 200},
		{"GET of the collection", http.MethodGet, collection("v3.1"), "", nil, 405},
		{"POST of one", http.MethodPost, path, good, nil, 405},
		{"PUT", http.MethodPut, path, good, nil, 405},
		{"a version that is not built", http.MethodPost, collection("v2.0"), good, nil, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.t = t
			got := d.call(c.method, c.path, c.body, c.edit)
			if got.status != c.status || (got.status == http.StatusMethodNotAllowed) != (got.header.Get("Allow") != "") {
				t.Errorf("got %d %s, want %d", got.status, got.raw, c.status)
			}
		})
	}
}

func TestConsentsFailClosed(t *testing.T) {
	d := newDesk(t)
	path, _ := d.lodge("v4.0")
	d.store.down = true
	for method, target := range map[string]string{http.MethodPost: collection("v4.0"), http.MethodGet: path, http.MethodDelete: path} {
		body := ""
		if method == http.MethodPost {
			body = good
		}
		got := d.call(method, target, body, nil)
		if got.status != http.StatusServiceUnavailable || got.code() != "U000" || got.header.Get("Retry-After") == "" ||
			strings.Contains(got.raw, "database") {
			t.Errorf("%s: %d %s", method, got.status, got.raw)
		}
	}
	if d.revoked.Load() != 0 {
		t.Error("a deletion that failed was announced")
	}
}

func TestNewRefusesMissingParts(t *testing.T) {
	if _, err := consent.New(consent.Config{Issuer: issuer}, consent.Deps{}); err == nil {
		t.Error("missing dependencies are not refused")
	}
	if _, err := consent.New(consent.Config{}, consent.Deps{}); err == nil {
		t.Error("a missing issuer is not refused")
	}
}
