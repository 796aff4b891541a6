// Package wire is the OAuth wire format of the back channel in both directions:
// it reads forms, refusing what is repeated, oversized or in the wrong place,
// and writes JSON answers and errors. Every error that leaves a back channel
// endpoint leaves through WriteError.
package wire

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
)

// maxParams bounds how many parameters one request may carry.
const maxParams = 64

// Params are request parameters without repeats; an empty value counts as absent
// (RFC 6749 §3.1).
type Params map[string]string

// Get returns the value, "" when absent.
func (p Params) Get(name string) string { return p[name] }

// Has reports whether the parameter is present with a value.
func (p Params) Has(name string) bool { return p[name] != "" }

// ParseForm reads the parameters of a back channel request from its body alone
// (RFC 6749 §2.3.1: credentials never stand in a URI). The caller has capped the
// body.
func ParseForm(r *http.Request) (Params, error) {
	if r.URL.RawQuery != "" {
		return nil, fapi.InvalidRequest("parameters belong into the request body, not into the query")
	}
	return parseBody(r)
}

func parseBody(r *http.Request) (Params, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, fapi.InvalidRequest("the content type must be application/x-www-form-urlencoded")
	}
	body, err := ReadBody(r)
	if err != nil {
		return nil, err
	}
	return ParseQuery(string(body))
}

// ReadBody reads at most fapi.MaxBody bytes; more is refused with 413 (RFC 9126 §2.3).
func ReadBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, fapi.MaxBody+1))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge) || len(body) > fapi.MaxBody:
		return nil, &fapi.Error{Code: "invalid_request", Description: "the request body is too large",
			Status: http.StatusRequestEntityTooLarge}
	case err != nil:
		return nil, fapi.InvalidRequest("the request body could not be read").Because(err)
	}
	return body, nil
}

// ParseFront reads the parameters of an authorization request: the query of a
// GET, the body of a POST (OIDC Core §3.1.2.1).
func ParseFront(r *http.Request) (Params, error) {
	if r.Method == http.MethodPost {
		if r.URL.RawQuery != "" {
			return nil, fapi.InvalidRequest("parameters belong either into the query or into the body")
		}
		return parseBody(r)
	}
	return ParseQuery(r.URL.RawQuery)
}

// ParseQuery reads a form-encoded string strictly: repeated parameters
// (RFC 6749 §3.1), semicolons, NUL and invalid UTF-8 are refused.
func ParseQuery(raw string) (Params, error) {
	if len(raw) > fapi.MaxBody || strings.Count(raw, "&") >= maxParams {
		return nil, fapi.InvalidRequest("the request is too large")
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fapi.InvalidRequest("the parameters are not properly form encoded").Because(err)
	}
	p := make(Params, len(values))
	for name, v := range values {
		if len(v) > 1 {
			return nil, fapi.InvalidRequest("a parameter is repeated")
		}
		if !isText(name) || !isText(v[0]) {
			return nil, fapi.InvalidRequest("a parameter holds characters that are not allowed")
		}
		if v[0] != "" {
			p[name] = v[0]
		}
	}
	return p, nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// WriteJSON answers with status and body, never cached.
func WriteJSON(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error":"server_error","error_description":"internal error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // the peer is gone when this fails; there is nobody to tell
}

// WriteError maps any error to its answer (RFC 6749 §5.2) and records the cause
// in the request's event. A challenge goes only to a client that came with an
// Authorization header: others read the JSON.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	e := fapi.Outward(err)
	obs.From(r.Context()).Fail(e.Code, err)
	if e.Status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if strings.EqualFold(scheme, "Basic") && w.Header().Get("WWW-Authenticate") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="procura"`)
		}
	}
	if e.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	WriteJSON(w, e.Status, map[string]string{"error": e.Code, "error_description": e.Description})
}
