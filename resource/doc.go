// Package resource is for those who guard an API: it verifies the
// certificate-bound access tokens that a Procura authorization server issues,
// without a call per request.
//
// A Verifier checks one request (RFC 9068 §4, RFC 8705 §3, FAPI 1 Advanced
// §6.2.1, FAPI 2 §5.3.4): where the token stands, its signature by a key of the
// issuer, its type, issuer, audience and times, that it is bound to the
// certificate of this very connection, and that nothing it hangs from was
// revoked. A Feed brings the revocations: it reads the issuer's stream over
// mutual TLS, and when it falls silent for longer than the configured age, no
// token is accepted any more.
//
// The package refuses bearer tokens without a binding, bindings of a kind that it
// does not know, and tokens in query or body. It does not decide what a token may
// be used for: scope, consent and accounts are the caller's, or package
// gateway's.
package resource
