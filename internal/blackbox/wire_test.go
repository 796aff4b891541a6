package blackbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// reply is one answer of a back channel endpoint.
type reply struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

// String is what tests compare: the status, and the error code if there is one.
func (r *reply) String() string {
	if code, _ := r.body["error"].(string); code != "" {
		return fmt.Sprintf("%d %s", r.status, code)
	}
	return fmt.Sprint(r.status)
}

func (r *reply) text(name string) string {
	s, _ := r.body[name].(string)
	return s
}

// post sends a form to a back channel endpoint and checks what every answer of one
// must be: JSON that is never cached, in words that RFC 6749 §5.2 allows.
func post(t testing.TB, client *http.Client, address string, form url.Values) *reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return call(t, client, req)
}

// call sends a request whose answer must be JSON, or empty.
func call(t testing.TB, client *http.Client, req *http.Request) *reply {
	t.Helper()
	r := send(t, client, req)
	if len(r.raw) == 0 {
		return r
	}
	if media, _, err := mime.ParseMediaType(r.header.Get("Content-Type")); err != nil || media != "application/json" {
		t.Errorf("%s: content type %q", req.URL.Path, r.header.Get("Content-Type"))
	}
	if !strings.Contains(r.header.Get("Cache-Control"), "no-store") {
		t.Errorf("%s: Cache-Control %q", req.URL.Path, r.header.Get("Cache-Control"))
	}
	if err := json.Unmarshal(r.raw, &r.body); err != nil {
		t.Fatalf("%s: %v: %.200s", req.URL.Path, err, r.raw)
	}
	for _, name := range []string{"error", "error_description"} {
		checkWords(t, name, r.text(name))
	}
	return r
}

// send sends a request and reads the answer, whatever it is. No answer may be a
// fault of the server's.
func send(t testing.TB, client *http.Client, req *http.Request) *reply {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode >= http.StatusInternalServerError {
		t.Errorf("%s %s answers %s: %.300s", req.Method, req.URL.Path, res.Status, raw)
	}
	return &reply{status: res.StatusCode, header: res.Header, raw: raw}
}

// checkWords: RFC 6749 §4.1.2.1 and §5.2 leave out quote, backslash and all that
// is not printable ASCII.
func checkWords(t testing.TB, name, text string) {
	t.Helper()
	for _, c := range []byte(text) {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("%s holds %q", name, c)
		}
	}
}

// want compares an outcome with what is wanted, in words.
func want(t testing.TB, got fmt.Stringer, wanted string) {
	t.Helper()
	if got.String() != wanted {
		t.Errorf("got %s, want %s", got, wanted)
	}
}

// merged joins forms; a later one wins.
func merged(forms ...url.Values) url.Values {
	out := url.Values{}
	for _, f := range forms {
		for name, v := range f {
			if v == nil {
				delete(out, name)
			} else {
				out[name] = v
			}
		}
	}
	return out
}
