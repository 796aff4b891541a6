package config

import (
	"fmt"
	"io"
)

// Secret is a value that the configuration holds but never shows: it prints, and
// marshals to YAML, as [redacted].
type Secret string

const redacted = "[redacted]"

// Reveal returns the value for the one place that uses it.
func (s Secret) Reveal() string { return string(s) }

// Format implements fmt.Formatter, so that no verb prints the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.shown()) }

// MarshalYAML implements the YAML library's marshaler.
func (s Secret) MarshalYAML() (any, error) { return s.shown(), nil }

// MarshalText implements encoding.TextMarshaler for every other format.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.shown()), nil }

func (s Secret) shown() string {
	if s == "" {
		return ""
	}
	return redacted
}
