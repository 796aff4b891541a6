package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/procura/procura/resource"
)

// refusal is an answer of the gateway that is no matter of the token.
type refusal struct {
	status  int
	code    code
	message string // our own words
	allow   string // methods, with 405
	cause   error
}

// Error implements error; the text is for the log.
func (r *refusal) Error() string {
	if r.cause != nil {
		return fmt.Sprintf("%s: %v", r.message, r.cause)
	}
	return r.message
}

// Unwrap returns the cause.
func (r *refusal) Unwrap() error { return r.cause }

// code is an error code of UK Open Banking in the words of version 3.1.
type code string

// Neither version has a code for a path, a method or a permission that is not
// there: the nearest stands in, with a message of ours.
const (
	codeUnexpected code = "UK.OBIE.Field.Unexpected"
	codeHeader     code = "UK.OBIE.Header.Invalid"
	codeForbidden  code = "UK.OBIE.Resource.ConsentMismatch"
	codeFault      code = "UK.OBIE.UnexpectedError"
)

// in returns the code in the words of the version that the path belongs to.
func (c code) in(path string) string {
	if !strings.HasPrefix(path, "/open-banking/v4.0/") {
		return string(c)
	}
	switch c {
	case codeUnexpected:
		return "U005"
	case codeHeader:
		return "U006"
	case codeForbidden:
		return "U008"
	default:
		return "U000"
	}
}

func tooLarge() *refusal {
	return &refusal{status: http.StatusRequestEntityTooLarge, code: codeUnexpected,
		message: "the request body is too large"}
}

// outward turns any error into what may be said outside.
func outward(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	e := resource.AsError(err)
	r = &refusal{status: e.Status, message: e.Description, cause: err}
	switch {
	case e.Status >= http.StatusInternalServerError:
		r.code = codeFault
	case e.Status == http.StatusForbidden:
		r.code = codeForbidden
	default:
		r.code = codeUnexpected
	}
	return r
}

// problem is the error body of UK Open Banking.
type problem struct {
	Code    string        `json:"Code"`
	ID      string        `json:"Id"`
	Message string        `json:"Message"`
	Errors  []problemPart `json:"Errors"`
}

type problemPart struct {
	ErrorCode string `json:"ErrorCode"`
	Message   string `json:"Message"`
}

// refuse answers with err. The interaction id stands in the headers already; a
// 401 has a challenge and no body.
func refuse(w http.ResponseWriter, path string, err error) {
	out := outward(err)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	challenge(h, err)
	if out.allow != "" {
		h.Set("Allow", out.allow)
	}
	if out.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	if out.status == http.StatusUnauthorized {
		w.WriteHeader(out.status)
		return
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(out.status)
	// The peer is gone when this fails; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(problem{
		Code: fmt.Sprintf("%d %s", out.status, http.StatusText(out.status)), ID: h.Get(resource.InteractionHeader),
		Message: out.message, Errors: []problemPart{{ErrorCode: out.code.in(path), Message: out.message}}})
}

// challenge sets WWW-Authenticate for refusals of the token (RFC 6750 §3).
func challenge(h http.Header, err error) {
	var e *resource.Error
	if !errors.As(err, &e) {
		return
	}
	if c := e.Challenge(); c != "" {
		h.Set("WWW-Authenticate", c)
	}
}
