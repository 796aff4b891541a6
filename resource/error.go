package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Error codes of RFC 6750 §3.1 and RFC 6749 §4.1.2.1 that a Verifier answers with.
const (
	CodeInvalidRequest    = "invalid_request"
	CodeInvalidToken      = "invalid_token"
	CodeInsufficientScope = "insufficient_scope"
	CodeUnavailable       = "temporarily_unavailable"
)

// Error is a refusal and what may be said of it outside. The cause is for the
// log.
type Error struct {
	Code        string // one of the Code constants; "" when the request carried no token at all
	Description string // our own words, ASCII without quote and backslash
	Status      int
	Scope       string // with insufficient_scope: the scope that would have sufficed

	realm string
	cause error
}

// Error implements error; the text is for the log, not for the wire.
func (e *Error) Error() string {
	text := e.Code
	if text == "" {
		text = "no token"
	}
	if e.Description != "" {
		text += ": " + e.Description
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Challenge returns the WWW-Authenticate value of a 401 or 403, "" for any other
// status. A request without a token learns no error code (RFC 6750 §3.1).
func (e *Error) Challenge() string {
	switch {
	case e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden:
		return ""
	case e.Code == "":
		return fmt.Sprintf("Bearer realm=%q", e.realm)
	}
	text := fmt.Sprintf("Bearer error=%q, error_description=%q", e.Code, e.Description)
	if e.Scope != "" {
		text += fmt.Sprintf(", scope=%q", e.Scope)
	}
	return text
}

// InvalidToken is RFC 6750 §3.1 invalid_token, status 401.
func InvalidToken(description string, cause error) *Error {
	return &Error{Code: CodeInvalidToken, Description: description,
		Status: http.StatusUnauthorized, cause: cause}
}

// InsufficientScope is RFC 6750 §3.1 insufficient_scope, status 403.
func InsufficientScope(description, scope string) *Error {
	return &Error{Code: CodeInsufficientScope, Description: description,
		Status: http.StatusForbidden, Scope: scope}
}

// Unavailable says that the verdict cannot be given now, status 503: no token is
// accepted on doubt.
func Unavailable(cause error) *Error {
	return &Error{Code: CodeUnavailable, Description: "try again later",
		Status: http.StatusServiceUnavailable, cause: cause}
}

func invalidRequest(description string) *Error {
	return &Error{Code: CodeInvalidRequest, Description: description, Status: http.StatusBadRequest}
}

// AsError returns the *Error in err's chain. What is not one becomes a 500
// without detail.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: "server_error", Description: "internal error",
		Status: http.StatusInternalServerError, cause: err}
}

// WriteError answers a refused request: the challenge where there is one, and a
// JSON body, except with 401, whose body stays empty as UK Open Banking asks.
func WriteError(w http.ResponseWriter, err error) {
	e := AsError(err)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if challenge := e.Challenge(); challenge != "" {
		h.Set("WWW-Authenticate", challenge)
	}
	if e.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	if e.Status == http.StatusUnauthorized {
		w.WriteHeader(e.Status)
		return
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(e.Status)
	// The peer is gone when this fails; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(map[string]string{"error": e.Code, "error_description": e.Description})
}
