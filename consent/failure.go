package consent

import (
	"errors"
	"net/http"

	"github.com/procura/procura/internal/fapi"
)

// reason is why a TPP's request is refused; each version has its own code for it.
type reason int

const (
	unexpected reason = iota // a fault of our own
	invalidField
	invalidDate
	missingField
	unexpectedField
	invalidHeader
	invalidStatus
	invalidFormat
	notFound
)

// failure is a refusal that a TPP reads: our own words only, and the cause, which
// goes no further than the request's event.
type failure struct {
	status  int
	reason  reason
	message string
	path    string // of the member at fault, "" when there is none
	cause   error
}

// Error implements error; the text is for the event.
func (f *failure) Error() string {
	text := "refusing a consent request: " + f.message
	if f.path != "" {
		text += " (" + f.path + ")"
	}
	if f.cause != nil {
		text += ": " + f.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.cause }

func (f *failure) because(cause error) *failure {
	f.cause = cause
	return f
}

func (f *failure) withStatus(status int) *failure {
	f.status = status
	return f
}

// refused makes a refusal with status 400, which is UK Open Banking's answer to
// nearly everything, an id that does not exist included.
func refused(why reason, message, path string) *failure {
	return &failure{status: http.StatusBadRequest, reason: why, message: message, path: path}
}

func unknownConsent(cause error) *failure {
	return refused(notFound, "there is no such consent", "").because(cause)
}

// outward returns the refusal in err's chain. What no one has named is a fault of
// our own: 503 while a dependency is away, 413 when the body was too large, else
// 500, without detail.
func outward(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	e := fapi.Outward(err)
	if e.Status < http.StatusInternalServerError {
		return refused(invalidFormat, e.Description, "").withStatus(e.Status).because(err)
	}
	return refused(unexpected, "try again later", "").withStatus(e.Status).because(err)
}
