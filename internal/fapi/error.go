package fapi

import (
	"errors"
	"fmt"
	"net/http"
)

// Sentinels that storage and the rooms agree on. They never reach the wire as
// they are: a room turns them into an *Error that says what its caller may know.
var (
	// ErrNotFound: there is no such row, or it belongs to somebody else.
	ErrNotFound = errors.New("not found")
	// ErrSpent: a single-use thing was used before, or somebody else won the race.
	ErrSpent = errors.New("already spent")
	// ErrReplayed: the jti of an assertion or proof was seen before.
	ErrReplayed = errors.New("jti replayed")
	// ErrConflict: the row is not in the state that the act needs.
	ErrConflict = errors.New("state conflict")
	// ErrUnavailable: a dependency did not answer; the caller may try again.
	ErrUnavailable = errors.New("temporarily unavailable")
)

// Error is what may leave the building: an OAuth error code with a description
// made of our own words only, and the cause, which goes no further than the
// request's event.
type Error struct {
	Code        string // RFC 6749 §5.2, RFC 9126 §2.3, RFC 9101 §7 and relatives
	Description string // ASCII without quote and backslash, never the caller's input
	Status      int    // HTTP status on the back channel
	cause       error
}

// Error implements error; the text is for the event, not for the wire.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Description, e.cause)
	}
	return e.Code + ": " + e.Description
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Because returns a copy that carries cause for the event.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// NewError makes an error of the given code with HTTP status 400.
func NewError(code, description string) *Error {
	return &Error{Code: code, Description: description, Status: http.StatusBadRequest}
}

// InvalidRequest is RFC 6749 §5.2 invalid_request, status 400.
func InvalidRequest(description string) *Error { return NewError("invalid_request", description) }

// InvalidClient is RFC 6749 §5.2 invalid_client, status 401.
func InvalidClient(description string) *Error {
	return &Error{Code: "invalid_client", Description: description, Status: http.StatusUnauthorized}
}

// InvalidGrant is RFC 6749 §5.2 invalid_grant, status 400.
func InvalidGrant(description string) *Error { return NewError("invalid_grant", description) }

// InvalidScope is RFC 6749 §5.2 invalid_scope, status 400.
func InvalidScope(description string) *Error { return NewError("invalid_scope", description) }

// UnauthorizedClient is RFC 6749 §5.2 unauthorized_client, status 400.
func UnauthorizedClient(description string) *Error {
	return NewError("unauthorized_client", description)
}

// InvalidRequestObject is RFC 9101 §7 invalid_request_object, status 400.
func InvalidRequestObject(description string) *Error {
	return NewError("invalid_request_object", description)
}

// InvalidRequestURI is RFC 9101 §7 invalid_request_uri, status 400.
func InvalidRequestURI(description string) *Error {
	return NewError("invalid_request_uri", description)
}

// AccessDenied is RFC 6749 §4.1.2.1 access_denied.
func AccessDenied(description string) *Error { return NewError("access_denied", description) }

// InvalidToken is RFC 6750 §3.1 invalid_token, status 401.
func InvalidToken(description string) *Error {
	return &Error{Code: "invalid_token", Description: description, Status: http.StatusUnauthorized}
}

// InsufficientScope is RFC 6750 §3.1 insufficient_scope, status 403.
func InsufficientScope(description string) *Error {
	return &Error{Code: "insufficient_scope", Description: description, Status: http.StatusForbidden}
}

// TemporarilyUnavailable says that a dependency of ours did not answer, status 503.
func TemporarilyUnavailable(cause error) *Error {
	return &Error{Code: "temporarily_unavailable", Description: "try again later",
		Status: http.StatusServiceUnavailable, cause: cause}
}

// Outward returns the *Error in err's chain, or server_error without any detail
// for everything that no room has named (status 503 when a dependency is away).
func Outward(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, ErrUnavailable) {
		return TemporarilyUnavailable(err)
	}
	return &Error{Code: "server_error", Description: "internal error",
		Status: http.StatusInternalServerError, cause: err}
}
