// Package cert judges the certificates that clients show in mutual TLS: whether
// one is to be trusted (Validator) and whose it is (MatchClient). It is meant to
// be read alone by an auditor.
//
// Trust is asked step by step, in one ordered table (checks.go); the first
// failure ends it with a Refusal that carries a reason code. Nothing outside the
// configured trust set counts: the machine's own certificate store is never
// asked. Not asked yet, and named in the table where they will stand: the status
// of the issuer on a trusted list, revocation, and the statements of qualified
// and PSD2 certificates.
//
// A certificate's identity is compared value by value as RFC 8705 §2.1.2 wants
// it. A common name is never taken for a host name, and wildcards are not
// expanded.
package cert
