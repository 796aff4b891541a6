package blackbox_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/sandbox/browser"
)

// outcome is where an authorization request ended: refused by the push, on a page
// of the server, or back at the client.
type outcome struct {
	where  string // par, page, query, fragment, jarm, left
	what   string // the status and error of a push or a page
	params url.Values
	state  bool // the request had a state that did not come back
}

// String is what tests compare, such as "fragment access_denied".
func (o *outcome) String() string {
	words := []string{o.where}
	for _, w := range []string{o.what, o.params.Get("error")} {
		if w != "" {
			words = append(words, w)
		}
	}
	for _, name := range []string{"code", "id_token"} {
		if o.params.Has(name) {
			words = append(words, name)
		}
	}
	if o.state {
		words = append(words, "without state")
	}
	return strings.Join(words, " ")
}

// pageOutcome reads a refusal page: it says what everybody looks for.
func pageOutcome(t testing.TB, p *browser.Page) *outcome {
	t.Helper()
	if !strings.Contains(p.Text, "authorization request was refused") {
		t.Errorf("the page does not say so: %s", p.Text)
	}
	_, rest, _ := strings.Cut(p.Text, "Details for support Error ")
	code, _, _ := strings.Cut(rest, " ")
	return &outcome{where: "page", what: fmt.Sprintf("%d %s", p.Status, code)}
}

// read reads what the browser brought back to the client, and checks what every
// answer must be.
func (r *request) read(t testing.TB, at *url.URL) *outcome {
	t.Helper()
	home := r.by.redirect
	whole := at.String()
	base, fragment, inFragment := strings.Cut(whole, "#")
	rest, isHome := strings.CutPrefix(base, home)
	if !isHome || rest != "" && rest[0] != '?' && rest[0] != '&' {
		t.Fatalf("sent to %s, which is not %s", base, home)
	}
	o := &outcome{where: "query"}
	if rest != "" {
		o.params = query(t, rest[1:])
	}
	if inFragment {
		if rest != "" {
			t.Errorf("parameters in query and fragment: %s", rest)
		}
		o.where, o.params = "fragment", query(t, fragment)
	}
	if o.params.Has("response") {
		if len(o.params) != 1 {
			t.Errorf("beside response stand %v", o.params)
		}
		o.where, o.params = "jarm", r.unwrap(t, o.params.Get("response"))
	}
	r.checkMembers(t, o)
	return o
}

func query(t testing.TB, raw string) url.Values {
	t.Helper()
	v, err := url.ParseQuery(raw)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// checkMembers: nothing unasked, iss always and the state that was sent (RFC 9207
// §2, suite 2.1).
func (r *request) checkMembers(t testing.TB, o *outcome) {
	t.Helper()
	allowed := []string{"code", "id_token", "state", "iss"}
	if o.params.Has("error") {
		allowed = []string{"error", "error_description", "error_uri", "state", "iss"}
	}
	for name, values := range o.params {
		if !slices.Contains(allowed, name) || len(values) != 1 {
			t.Errorf("the answer has %s=%v", name, values)
		}
	}
	if o.params.Get("iss") != house.Issuer {
		t.Errorf("iss is %q", o.params.Get("iss"))
	}
	checkWords(t, "error_description", o.params.Get("error_description"))
	switch sent := r.text("state"); {
	case o.params.Has("state"):
		if o.params.Get("state") != sent {
			t.Errorf("state %q came back as %q", sent, o.params.Get("state"))
		}
	default:
		o.state = sent != ""
	}
}

// unwrap opens a JARM answer (JARM §2.1, §2.4) and returns its members.
func (r *request) unwrap(t testing.TB, response string) url.Values {
	t.Helper()
	var claims map[string]any
	head := verify(t, response, &claims)
	if !slices.Contains(house.meta.list(t, "authorization_signing_alg_values_supported"), head.Alg) {
		t.Errorf("signed with %s, which is not published", head.Alg)
	}
	if claims["aud"] != r.by.id {
		t.Errorf("aud is %v", claims["aud"])
	}
	exp, _ := claims["exp"].(float64)
	if ahead := time.Until(time.Unix(int64(exp), 0)); ahead < 10*time.Second || ahead > 10*time.Minute {
		t.Errorf("exp is %s ahead", ahead)
	}
	params := url.Values{}
	for name, v := range claims {
		if text, is := v.(string); is && name != "aud" {
			params.Set(name, text)
		}
	}
	return params
}

// verify checks the signature of a JWT of the server's and reads its claims.
func verify(t testing.TB, compact string, claims any) jose.Header {
	t.Helper()
	head, payload, err := jose.Verify(compact, house.keys, []string{jose.PS256, jose.ES256})
	if err != nil {
		t.Fatalf("verifying a JWT of the server's: %v", err)
	}
	if head.KID == "" {
		t.Error("the JWT names no key")
	}
	if err := json.Unmarshal(payload, claims); err != nil {
		t.Fatal(err)
	}
	return head
}

// list reads a member of the metadata that is a list of strings.
func (m *metadata) list(t testing.TB, name string) []string {
	t.Helper()
	var out []string
	if err := json.Unmarshal(m.raw[name], &out); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return out
}
