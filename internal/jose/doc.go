// Package jose reads and makes JOSE objects: JWS, JWE, JWK. It is the only door
// to go-jose, and what it lets through is small on purpose.
//
// It refuses everything but compact serialisation, any character outside
// base64url, objects above the limits of package fapi, headers with repeated or
// differently cased names, crit, b64 and zip, algorithms that the caller does
// not list, keys whose type, curve, use or alg do not fit, and JSON that is
// nested too deeply. Keys and certificates inside a header are never looked at.
//
// What it does not check: the claims. Who may say what is decided by the rooms.
package jose

import "errors"

// Algorithms (RFC 7518), a closed list: FAPI 1 Advanced §8.6 and §8.6.1.
const (
	ES256        = "ES256"
	PS256        = "PS256"
	RSAOAEP256   = "RSA-OAEP-256"
	ECDHES       = "ECDH-ES"
	A256GCM      = "A256GCM"
	A128CBCHS256 = "A128CBC-HS256" // what registered encryption without enc means (OIDC Registration §2)
)

// Uses of a key (RFC 7517 §4.2).
const (
	UseSig = "sig"
	UseEnc = "enc"
)

// Errors of this package. They carry nothing of what the sender wrote.
var (
	// ErrMalformed: not a compact JOSE object, or not strict JSON.
	ErrMalformed = errors.New("malformed JOSE object")
	// ErrAlgorithm: alg or enc is not on the caller's list.
	ErrAlgorithm = errors.New("algorithm not allowed")
	// ErrKey: no key fits kid, algorithm and use.
	ErrKey = errors.New("no fitting key")
	// ErrSignature: a key fits and the signature is not its own.
	ErrSignature = errors.New("signature not valid")
	// ErrDecrypt: the one answer to every JWE that does not open, so that a
	// sender learns nothing about the reason (RFC 8725 §3.4).
	ErrDecrypt = errors.New("decryption refused")
)

// Bounds of our own, where no clause sets the figure.
const (
	maxDepth  = 16       // nesting of JSON
	maxKID    = 256      // characters of a kid
	maxKeys   = 50       // keys in a set
	maxKeySet = 64 << 10 // bytes of a set
	maxTries  = 8        // keys tried for an object without kid
	minRSA    = 2048     // bits (FAPI 1 Baseline §5.2.2-5)
	maxRSA    = 4096     // bits: a verification must stay cheap
)
