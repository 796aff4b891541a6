package wire_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/wire"
)

const form = "application/x-www-form-urlencoded"

func post(target, contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

func TestParseForm(t *testing.T) {
	for _, c := range []struct {
		name, clause string
		r            *http.Request
		status       int
	}{
		{"good", "", post("/token", form, "a=1&b=2"), 0},
		{"charset is no other media type", "foreign clients 8", post("/token", form+";charset=UTF-8", "a=1"), 0},
		{"repeated", "RFC 6749 3.2", post("/token", form, "a=1&a=2"), 400},
		{"repeated with an empty value", "RFC 6749 3.2", post("/token", form, "a=&a=2"), 400},
		{"in the query", "RFC 6749 2.3.1", post("/token?client_id=x", form, "a=1"), 400},
		{"JSON", "RFC 9126 2.1", post("/token", "application/json", "{}"), 400},
		{"multipart", "attack 13", post("/token", "multipart/form-data; boundary=x", "--x--"), 400},
		{"no content type", "RFC 9126 2.1", post("/token", "", "a=1"), 400},
		{"semicolons", "attack 36", post("/token", form, "a=1;b=2"), 400},
		{"NUL", "attack 36", post("/token", form, "a=%00"), 400},
		{"NUL in a name", "attack 36", post("/token", form, "a%00=1"), 400},
		{"overlong UTF-8", "attack 36", post("/token", form, "a=%c0%af"), 400},
		{"bad escape", "attack 36", post("/token", form, "a=%zz"), 400},
		{"too many", "ours", post("/token", form, strings.Repeat("a=1&", 100)), 400},
		{"too large", "RFC 9126 2.3", post("/token", form, "a="+strings.Repeat("x", fapi.MaxBody)), 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := wire.ParseForm(c.r)
			if c.status == 0 {
				if err != nil {
					t.Errorf("%s: %v", c.clause, err)
				}
				return
			}
			if e := fapi.Outward(err); err == nil || e.Status != c.status || e.Code != "invalid_request" {
				t.Errorf("%s: %v", c.clause, err)
			}
		})
	}
}

// RFC 6749 §3.1: a parameter without a value is as if it were not there.
func TestEmptyIsAbsent(t *testing.T) {
	p, err := wire.ParseForm(post("/token", form, "a=&b=2"))
	if err != nil || p.Has("a") || p.Get("b") != "2" {
		t.Errorf("%v %v", p, err)
	}
}

func TestErrorsTellNothingOfTheirCause(t *testing.T) {
	for _, c := range []struct {
		err          error
		status       int
		code, within string
	}{
		{fapi.InvalidClient("no").Because(errors.New("secret cause")), 401, "invalid_client", "no"},
		{errors.New("secret cause"), 500, "server_error", "internal error"},
		{fapi.ErrUnavailable, 503, "temporarily_unavailable", ""},
	} {
		w := httptest.NewRecorder()
		wire.WriteError(w, post("/token", form, ""), c.err)
		var body map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		if w.Code != c.status || body["error"] != c.code || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if h := w.Header(); h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "application/json" || h.Get("WWW-Authenticate") != "" {
			t.Errorf("headers %v", h)
		}
	}
}

// Only who came with an Authorization header is challenged: others would not
// read the JSON (foreign clients 14).
func TestChallengeOnlyForWhoAuthorized(t *testing.T) {
	r := post("/token", form, "")
	r.SetBasicAuth("a", "b")
	w := httptest.NewRecorder()
	wire.WriteError(w, r, fapi.InvalidClient("no"))
	if !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
		t.Error("no challenge")
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add("a=1&b=2")
	f.Add("a=%00;&a=1")
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := wire.ParseQuery(raw)
		if err != nil {
			return
		}
		values, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("accepted what does not parse: %q", raw)
		}
		for name, value := range p {
			if len(values[name]) != 1 || values.Get(name) != value {
				t.Fatalf("parameter %q is not what was sent", name)
			}
		}
	})
}
