// Package otelx is the one function of the package of the same name in
// github.com/ory/x that fosite calls. See docs/adr/0002.
package otelx

import "go.opentelemetry.io/otel/trace"

// End finishes a span and records the error it ended with, if any.
func End(span trace.Span, err *error) {
	if err != nil && *err != nil {
		span.RecordError(*err)
	}
	span.End()
}
