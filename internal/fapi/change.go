package fapi

import "time"

// Kinds of changes that travel through the feed within a second.
const (
	ChangeToken   = "token"   // Value is a jti
	ChangeGrant   = "grant"   // Value is a grant id
	ChangeConsent = "consent" // Value is a consent id
	ChangeClient  = "client"  // Value is a client id: disabled or changed; Revoked tells which
	ChangeKeys    = "keys"    // Value is the issuer: the server's own processes reload
)

// Change is one entry of the feed: what ended, or what must be read again. It
// lives as long as the longest access token that it can speak of.
type Change struct {
	ID        string // UUID; readers drop ids that they know
	Issuer    string
	Kind      string
	Value     string
	Revoked   bool // tokens that name Value are dead
	CreatedAt time.Time
	ExpiresAt time.Time
}

// SigningKey is a stored key pair. The private half is sealed; only package keys
// opens it.
type SigningKey struct {
	KID       string
	Issuer    string
	Use       string // "sig" or "enc"
	Alg       string // ES256, PS256; RSA-OAEP-256, ECDH-ES
	State     string // KeyNext, KeyCurrent, KeyRetired
	Public    []byte // JWK
	Sealed    []byte
	CreatedAt time.Time
	RetireAt  time.Time // when a retired key leaves the JWKS; zero otherwise
}

// States of a key: published before it signs, and after.
const (
	KeyNext    = "next"
	KeyCurrent = "current"
	KeyRetired = "retired"
)
