package fapi

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// Secret is a value that must not be seen in a log, an error or a dump: codes,
// tokens, assertions. It prints as [redacted] and refuses to be marshalled.
type Secret string

// String implements fmt.Stringer.
func (Secret) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "[redacted]" }

// Format implements fmt.Formatter, so that no verb prints the value.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// MarshalText refuses.
func (Secret) MarshalText() ([]byte, error) { return nil, errors.New("a secret is not marshalled") }

// MarshalJSON refuses.
func (Secret) MarshalJSON() ([]byte, error) { return nil, errors.New("a secret is not marshalled") }

// Reveal returns the value for the one place that sends it out.
func (s Secret) Reveal() string { return string(s) }

// Digest returns the SHA-256 by which the secret is stored and found.
func (s Secret) Digest() Digest { return sha256.Sum256([]byte(s)) }

// Digest is the SHA-256 of a secret: what the database knows of it.
type Digest [sha256.Size]byte

// Bytes returns the digest for a bytea column.
func (d Digest) Bytes() []byte { return d[:] }

// NewSecret draws n random bytes and returns them base64url encoded.
func NewSecret(random io.Reader, n int) (Secret, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("drawing a secret: %w", err)
	}
	return Secret(base64.RawURLEncoding.EncodeToString(b)), nil
}
