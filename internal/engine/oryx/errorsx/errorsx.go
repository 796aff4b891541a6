// Package errorsx is what fosite needs of the package of the same name in
// github.com/ory/x, and nothing else: the original links four trace exporters,
// gRPC and three loggers into every program. See docs/adr/0002.
package errorsx

import "errors"

// WithStack returns err itself. fosite calls it on its success path too, where
// a captured stack would cost more than the handler that asked for it.
func WithStack(err error) error { return err }

// Cause returns the innermost error of the chain.
func Cause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			if c, ok := err.(interface{ Cause() error }); ok && c.Cause() != nil {
				err = c.Cause()
				continue
			}
			return err
		}
		err = next
	}
}

// StatusCodeCarrier is an error that knows its HTTP status code.
type StatusCodeCarrier interface{ StatusCode() int }

// RequestIDCarrier is an error that knows the request it belongs to.
type RequestIDCarrier interface{ RequestID() string }

// ReasonCarrier is an error that knows why it happened.
type ReasonCarrier interface{ Reason() string }

// DebugCarrier is an error with detail that must not leave the process.
type DebugCarrier interface{ Debug() string }

// StatusCarrier is an error that knows its HTTP status text.
type StatusCarrier interface{ Status() string }

// DetailsCarrier is an error with structured detail.
type DetailsCarrier interface{ Details() map[string]any }
