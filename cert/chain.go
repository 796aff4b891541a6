package cert

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"time"
)

// maxSent bounds how many certificates of the peer help to build a path; what
// comes after is not looked at. Ours.
const maxSent = 10

// Extensions that are looked up by their presence: an absent one and one that
// parses to nothing are not the same.
func oidKeyUsage() asn1.ObjectIdentifier    { return asn1.ObjectIdentifier{2, 5, 29, 15} }
func oidSubjectAlt() asn1.ObjectIdentifier  { return asn1.ObjectIdentifier{2, 5, 29, 17} }
func oidExtKeyUsage() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 37} }

// extension returns the contents of an extension; the parser has refused repeats.
func extension(c *x509.Certificate, id asn1.ObjectIdentifier) ([]byte, bool) {
	for _, e := range c.Extensions {
		if e.Id.Equal(id) {
			return e.Value, true
		}
	}
	return nil, false
}

func has(c *x509.Certificate, id asn1.ObjectIdentifier) bool {
	_, ok := extension(c, id)
	return ok
}

// chains builds the paths from the leaf to an anchor (RFC 5280 §6.1): signatures,
// validity, basic constraints, path length, keyCertSign, name constraints and
// unknown critical extensions by the standard library, key strength by us. The
// order in which the peer sends intermediates does not matter (MT-03).
func chains(_ context.Context, e *examination) *Refusal {
	found, err := earlier(e.peer.Leaf, e.trust.skew).Verify(x509.VerifyOptions{
		Roots:         e.trust.roots, // never nil: nil would mean the machine's store
		Intermediates: helpers(e),
		CurrentTime:   e.now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // asked in mayAuthenticate
	})
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return refuse(ReasonUntrusted, err.Error())
	case err != nil:
		return refuse(ReasonChainInvalid, err.Error())
	}
	e.paths = slices.DeleteFunc(found, isWeak)
	if len(e.paths) == 0 {
		return refuse(ReasonWeakKey, "an issuer's key or signature is too weak")
	}
	return nil
}

func helpers(e *examination) *x509.CertPool {
	pool := e.trust.intermediates.Clone()
	for _, c := range e.peer.Chain[1:min(len(e.peer.Chain), maxSent)] {
		pool.AddCert(earlier(c, e.trust.skew))
	}
	return pool
}

// isWeak looks at every key that the leaf rests on, the anchor's too, and at
// every signature between: the anchor's own counts for nothing.
func isWeak(path []*x509.Certificate) bool {
	return slices.ContainsFunc(path, func(c *x509.Certificate) bool { return !strongKey(c) }) ||
		slices.ContainsFunc(between(path), func(c *x509.Certificate) bool { return !strongSignature(c) })
}

// between returns the issuers on a path without its anchor.
func between(path []*x509.Certificate) []*x509.Certificate {
	if len(path) < 3 {
		return nil
	}
	return path[1 : len(path)-1]
}

// latestEnd is how long at least one of the paths stays valid as a whole.
func latestEnd(paths [][]*x509.Certificate) time.Time {
	var latest time.Time
	for _, path := range paths {
		end := path[0].NotAfter
		for _, c := range path[1:] {
			end = earliest(end, c.NotAfter)
		}
		if end.After(latest) {
			latest = end
		}
	}
	return latest
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
