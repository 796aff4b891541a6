package resource_test

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/resourcetest"
)

// api is a resource server that does everything with the library.
func api(t *testing.T, w *world) (url string, client *http.Client) {
	t.Helper()
	inner := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		token, ok := resource.FromContext(r.Context())
		body, err := io.ReadAll(r.Body)
		if !ok || err != nil {
			t.Errorf("behind the middleware: token %v, body error %v", ok, err)
			return
		}
		_, _ = io.WriteString(rw, token.Subject+"|"+string(body))
	})
	h, err := resource.WithInteractionID(w.verifier.Middleware(resource.RequireScope("accounts", inner)), rand.Reader)
	must(t, err)
	client, err = resource.NewClient(w.tpp.TLS(), w.issuer.CA.Pool())
	must(t, err)
	return resourcetest.Serve(t, w.issuer.CA, h), client
}

func send(t *testing.T, client *http.Client, method, url, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	req.Header = header
	res, err := client.Do(req)
	must(t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(raw)
}

func TestMiddlewareOverTLS(t *testing.T) {
	w := newWorld(t, nothingRevoked(), nil)
	base, client := api(t, w)
	good := w.issuer.Token(w.tpp.Cert)
	narrow := w.issuer.Claims(w.tpp.Cert)
	narrow["scope"] = "openid"
	form := "application/x-www-form-urlencoded; charset=UTF-8"
	for _, c := range []struct {
		name, token, contentType, body string
		status                         int
		challenge, answer              string
	}{
		{"good", good, "application/json", `{"a":1}`, 200, "", "pairwise-alice|" + `{"a":1}`},
		{"form without token", good, form, "a=1&b=2", 200, "", "pairwise-alice|a=1&b=2"},
		{"none (RFC 6750 §3.1: no code)", "", "", "", 401, `Bearer realm="https://api.bank.example"`, ""},
		{"invalid", "rubbish", "", "", 401, `Bearer error="invalid_token", error_description="the access token is not valid"`, ""},
		{"token in form too (attack 58)", good, form, "access_token=" + good, 400, "", ""},
		{"token in form alone (attack 58)", "", form, "a=1&access_token=" + good, 400, "", ""},
		{"form that others may read otherwise", good, form, "a=1;access_token=" + good, 400, "", ""},
		{"endless form", good, form, strings.Repeat("a", 70<<10), 413, "", ""},
		{"scope missing (F1B-16)", w.issuer.Sign("at+jwt", narrow), "", "", 403,
			`Bearer error="insufficient_scope", error_description="the access token does not carry the scope", scope="accounts"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{"Content-Type": {c.contentType}}
			if c.token != "" {
				h.Set("Authorization", "Bearer "+c.token)
			}
			res, body := send(t, client, http.MethodPost, base, c.body, h)
			if res.StatusCode != c.status || res.Header.Get("WWW-Authenticate") != c.challenge {
				t.Fatalf("%d %q, want %d %q", res.StatusCode, res.Header.Get("WWW-Authenticate"), c.status, c.challenge)
			}
			if c.status == 200 && body != c.answer {
				t.Errorf("answer %q, want %q", body, c.answer)
			}
			if c.status == 401 && body != "" {
				t.Errorf("401 with body %q, want none", body)
			}
			if json := res.Header.Get("Content-Type") == "application/json; charset=utf-8"; c.status >= 400 && c.status != 401 && !json {
				t.Errorf("error of type %q", res.Header.Get("Content-Type"))
			}
			if uuid.Validate(res.Header.Get("x-fapi-interaction-id")) != nil || res.Header.Get("Date") == "" {
				t.Errorf("answer without interaction id or date: %v", res.Header)
			}
		})
	}
}

// MT-13, attack 50 over the wire: no certificate, and another one.
func TestMiddlewareTakesTheCertificateFromTLS(t *testing.T) {
	w := newWorld(t, nothingRevoked(), nil)
	base, _ := api(t, w)
	header := http.Header{"Authorization": {"Bearer " + w.issuer.Token(w.tpp.Cert)},
		"Client-Cert": {":" + "MII" + ":"}, "X-Client-Cert": {"anything"}}
	without := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.issuer.CA.Pool()}}}
	other, err := resource.NewClient(w.issuer.ClientCertificate("tpp").TLS(), w.issuer.CA.Pool())
	must(t, err)
	for name, client := range map[string]*http.Client{"none": without, "another": other} {
		res, _ := send(t, client, http.MethodGet, base, "", header)
		if res.StatusCode != 401 || !strings.Contains(res.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: %d %q, want 401 invalid_token", name, res.StatusCode, res.Header.Get("WWW-Authenticate"))
		}
	}
}

// FAPI 1 Baseline §6.2.1-11: echoed to the byte when it is one UUID, else fresh.
func TestInteractionID(t *testing.T) {
	const sent = "C4E5F6A7-1b2c-4d3e-8f90-ABCDEF012345"
	for _, c := range []struct {
		name   string
		header []string
		echoed bool
	}{
		{"a UUID", []string{sent}, true},
		{"none", nil, false},
		{"two", []string{sent, sent}, false},
		{"braces", []string{"{" + sent + "}"}, false},
		{"urn", []string{"urn:uuid:" + sent}, false},
		{"no dashes", []string{strings.ReplaceAll(sent, "-", "")}, false},
		{"header injection", []string{sent + "\r\nX: y"}, false},
		{"not hexadecimal", []string{"g" + sent[1:]}, false},
		{"blank", []string{""}, false},
	} {
		got, err := resource.InteractionID(http.Header{resource.InteractionHeader: c.header}, rand.Reader)
		must(t, err)
		if (got == sent) != c.echoed || len(got) != 36 || uuid.Validate(got) != nil {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	if _, err := resource.InteractionID(http.Header{}, strings.NewReader("short")); err == nil {
		t.Error("an id was made without randomness")
	}
	if _, err := resource.WithInteractionID(nil, rand.Reader); err == nil {
		t.Error("accepted without a handler")
	}
}

func TestUnknownErrorsSayNothing(t *testing.T) {
	w := httptest.NewRecorder()
	resource.WriteError(w, errors.New("the password is hunter2"))
	if w.Code != 500 || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestFactsSurviveTheirHeaders(t *testing.T) {
	for _, f := range []resource.Facts{
		{},
		{Client: "tpp", Customer: "cust-1", Consent: "c", Grant: "g", Accounts: []string{"a", "b"}, Permissions: []string{"ReadBalances"}},
		{Client: "tpp", Customer: "Zoë, \"A\"%2C\r\n", Accounts: []string{"a,b", "c d", "ü%"}},
	} {
		h := http.Header{}
		f.Set(h)
		got, err := resource.ReadFacts(h)
		must(t, err)
		if diff := cmp.Diff(f, got); diff != "" {
			t.Errorf("facts changed: %s", diff)
		}
		for name, values := range h {
			if strings.ContainsAny(values[0], "\r\n") {
				t.Errorf("%s would break the request: %q", name, values[0])
			}
		}
	}
	for name, h := range map[string]http.Header{
		"twice":     {resource.HeaderCustomer: {"a", "b"}},
		"malformed": {resource.HeaderAccounts: {"a,%zz"}},
	} {
		if _, err := resource.ReadFacts(h); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// What a client sent is replaced, not added to.
	h := http.Header{resource.HeaderCustomer: {"mallory"}, resource.HeaderAccounts: {"x"}}
	(&resource.Facts{Client: "tpp"}).Set(h)
	if got, err := resource.ReadFacts(h); err != nil || got.Customer != "" || got.Accounts != nil {
		t.Errorf("old facts survived: %+v %v", got, err)
	}
}

func FuzzFormToken(f *testing.F) {
	for _, seed := range []string{"", "a=1", "access_token=x", "a=1;access_token=x", "%61ccess_token=x", "access_token", "&&access_token=&"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q, err := resource.RequestFrom(r)
		if err != nil {
			return
		}
		after, err := io.ReadAll(r.Body)
		if err != nil || string(after) != body {
			t.Fatalf("the body was %q and is now %q (%v)", body, after, err)
		}
		values, err := url.ParseQuery(body)
		if err != nil || values.Has("access_token") != q.TokenInBody {
			t.Fatalf("token in %q: %v", body, q.TokenInBody)
		}
	})
}
