package cert

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// maxLeaf bounds the size of a leaf certificate: ours.
const maxLeaf = 16 << 10

// examination is one run through the checks: what is asked about, and what the
// steps have found out so far.
type examination struct {
	peer  *Peer
	trust *trust
	now   time.Time // full seconds

	paths [][]*x509.Certificate // leaf first, anchor last; from chain on
	until time.Time             // when the verdict must be taken again
}

// check is one row of the table.
type check struct {
	name string
	// ask is nil for a check that is not made yet.
	ask func(context.Context, *examination) *Refusal
}

// checks is the table, in order; the first failure decides. What asks the network
// comes after everything that does not.
func checks() []check {
	return []check{
		{"decode", decodes},
		{"validity", isCurrent},
		{"strength", isStrong},
		{"chain", chains},
		{"issuer_status", nil}, // trusted list: not asked yet
		{"key_usage", maySign},
		{"ext_key_usage", mayAuthenticate},
		{"qualified", nil},               // QcStatements, policies: not asked yet
		{"revocation", nil},              // OCSP, CRL of the leaf: not asked yet
		{"issuer_revocation", nil},       // and of the issuers: not asked yet
		{"psd2", nil},                    // PSD2 statement: not asked yet
		{"organization_identifier", nil}, // its form: not asked yet
		{"authorization_number", nil},    // against the registration: not asked yet
		// "client_match" is MatchClient: it needs the client, not the trust set.
		{"roles", nil}, // against the scope: not asked yet
	}
}

// decodes: an X.509 v3 certificate of sensible size (RFC 5280 §4.1.2.1). The
// parser has refused repeated extensions and trailing bytes before.
func decodes(_ context.Context, e *examination) *Refusal {
	switch leaf := e.peer.Leaf; {
	case leaf.Version != 3:
		return refuse(ReasonMalformed, fmt.Sprintf("X.509 version %d", leaf.Version))
	case len(leaf.Raw) > maxLeaf:
		return refuse(ReasonMalformed, fmt.Sprintf("%d bytes", len(leaf.Raw)))
	}
	return nil
}

// isCurrent: RFC 5280 §4.1.2.5, notBefore with the skew and notAfter without.
func isCurrent(_ context.Context, e *examination) *Refusal {
	leaf := e.peer.Leaf
	switch {
	case e.now.Before(leaf.NotBefore.Add(-e.trust.skew)):
		return refuse(ReasonNotYetValid, "valid from "+leaf.NotBefore.UTC().Format(time.RFC3339))
	case e.now.After(leaf.NotAfter):
		return refuse(ReasonExpired, "valid until "+leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// isStrong: the leaf's key and the signature on it. The rest of the path is held
// to the same in chains.
func isStrong(_ context.Context, e *examination) *Refusal {
	if !strongKey(e.peer.Leaf) {
		return refuse(ReasonWeakKey, "the key must be RSA of 2048 bits or more, or EC P-256 or better")
	}
	if !strongSignature(e.peer.Leaf) {
		return refuse(ReasonWeakSignature, "signed with "+e.peer.Leaf.SignatureAlgorithm.String())
	}
	return nil
}

func strongKey(c *x509.Certificate) bool {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= 2048
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize >= 256
	case ed25519.PublicKey:
		return true
	}
	return false
}

func strongSignature(c *x509.Certificate) bool {
	switch c.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519:
		return true
	}
	return false
}

// maySign: a TLS client signs, and is no CA (RFC 5280 §4.2.1.3, §4.2.1.9). An
// absent key usage restricts nothing.
func maySign(_ context.Context, e *examination) *Refusal {
	leaf := e.peer.Leaf
	switch {
	case leaf.IsCA:
		return refuse(ReasonKeyUsage, "the certificate is a CA's")
	case leaf.KeyUsage&x509.KeyUsageCertSign != 0:
		return refuse(ReasonKeyUsage, "the key may sign certificates")
	case has(leaf, oidKeyUsage()) && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return refuse(ReasonKeyUsage, "digitalSignature is not among its usages")
	}
	return nil
}

// mayAuthenticate: the leaf states clientAuth, unless the trust set tolerates
// less, and no CA between it and the anchor is restricted to something else. One
// path that satisfies this is enough.
func mayAuthenticate(_ context.Context, e *examination) *Refusal {
	if !allowsClients(e.peer.Leaf, e.trust.Tolerate) {
		return refuse(ReasonExtKeyUsage, "clientAuth is not among its extended usages")
	}
	issuers := EKUTolerance{ServerAuth: e.trust.Tolerate.ServerAuth, Any: true, Absent: true}
	e.paths = slices.DeleteFunc(e.paths, func(path []*x509.Certificate) bool {
		return slices.ContainsFunc(between(path), func(ca *x509.Certificate) bool { return !allowsClients(ca, issuers) })
	})
	if len(e.paths) == 0 {
		return refuse(ReasonExtKeyUsage, "an issuer is restricted to other extended usages")
	}
	e.until = earliest(e.until, latestEnd(e.paths))
	return nil
}

func allowsClients(c *x509.Certificate, tolerate EKUTolerance) bool {
	states := func(u x509.ExtKeyUsage) bool { return slices.Contains(c.ExtKeyUsage, u) }
	switch {
	case states(x509.ExtKeyUsageClientAuth):
		return true
	case states(x509.ExtKeyUsageAny):
		return tolerate.Any
	case states(x509.ExtKeyUsageServerAuth):
		return tolerate.ServerAuth
	}
	return tolerate.Absent && !has(c, oidExtKeyUsage())
}
