package fapi

import "time"

// Limits on what a stranger may send. Sizes in bytes; "ours" where no clause
// sets the figure.
const (
	MaxBody        = 64 << 10 // ours; RFC 9126 §2.3 allows 413
	MaxJWT         = 16 << 10 // ours
	MaxJWE         = 32 << 10 // ours: base64 of an encrypted MaxJWT
	MaxState       = 2 << 10  // FAPI 2 §5.3.2.2 note expects more than 1000
	MaxNonce       = 384      // conformance suite sends 384
	MaxRedirectURI = 2 << 10  // ours
	MaxRequestURI  = 512      // ours
	MaxScope       = 1 << 10  // ours
	MaxVerifier    = 128      // RFC 7636 §4.1
	MinVerifier    = 43       // RFC 7636 §4.1
	MaxJTI         = 512      // ours
	MaxClaims      = 8 << 10  // ours: the claims parameter
)

// Lifetimes and tolerances.
const (
	// ClockSkew is how far ahead of our clock a client's iat or nbf may be: at
	// least 10 s and at most 60 s (FAPI 2 §5.3.2.1-13).
	ClockSkew = 30 * time.Second
	// MaxObjectAge bounds exp-nbf and the age of nbf in request objects (FAPI 1
	// Advanced §5.2.2-13 and -17).
	MaxObjectAge = time.Hour
	// MaxAssertionLife is how far ahead exp of a client assertion may be; its jti
	// is remembered that long. Clients in use send an hour.
	MaxAssertionLife = time.Hour
	// InteractionLife is how long a customer may take to log in and consent. Ours.
	InteractionLife = 15 * time.Minute
	// ChallengeLife is how long the bank's login application has to answer; the
	// interaction bounds it anyway.
	ChallengeLife = InteractionLife
)

// Grant and assertion types.
const (
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"

	// AssertionTypeJWT is RFC 7523 §2.2's client_assertion_type.
	AssertionTypeJWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// RequestURIPrefix begins every request_uri that /par hands out (RFC 9126 §2.2).
	RequestURIPrefix = "urn:ietf:params:oauth:request_uri:"
)
