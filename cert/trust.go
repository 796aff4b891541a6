package cert

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// TrustSet is whom a Validator believes and how strictly.
type TrustSet struct {
	Name string // for events and error texts
	// Anchors end a path. One need not be self-signed; its own signature is never
	// looked at.
	Anchors []*x509.Certificate
	// Intermediates help to build a path when the peer does not send them; they
	// are not trusted by themselves.
	Intermediates []*x509.Certificate
	// Tolerate lists departures from "clientAuth is stated".
	Tolerate EKUTolerance
}

// EKUTolerance says which leaves without clientAuth pass all the same: some
// issuers leave it out since browsers' root programs forbid it in theirs. The
// zero value tolerates nothing.
type EKUTolerance struct {
	ServerAuth bool // states serverAuth only
	Any        bool // states anyExtendedKeyUsage
	Absent     bool // has no extended key usage at all
}

// trust is a TrustSet made ready: immutable, shared by all requests.
type trust struct {
	TrustSet
	roots         *x509.CertPool
	intermediates *x509.CertPool
	skew          time.Duration
	version       [sha256.Size]byte // a verdict is valid for one version only
}

func newTrust(set TrustSet, skew time.Duration) (*trust, error) {
	if set.Name == "" {
		return nil, errors.New("a trust set needs a name")
	}
	if len(set.Anchors) == 0 {
		return nil, fmt.Errorf("trust set %s: no anchors: no certificate could be accepted", set.Name)
	}
	t := &trust{TrustSet: set, skew: skew, roots: x509.NewCertPool(), intermediates: x509.NewCertPool()}
	for _, c := range set.Anchors {
		t.roots.AddCert(earlier(c, skew))
	}
	for _, c := range set.Intermediates {
		t.intermediates.AddCert(earlier(c, skew))
	}
	t.version = versionOf(set, skew)
	return t, nil
}

// earlier returns a copy of c whose validity begins skew earlier. The standard
// library compares every certificate of a path with one instant; a copy lets it
// tolerate another clock at the one end where we do, and not at the other.
func earlier(c *x509.Certificate, skew time.Duration) *x509.Certificate {
	moved := *c
	moved.NotBefore = c.NotBefore.Add(-skew)
	return &moved
}

func versionOf(set TrustSet, skew time.Duration) [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%q %v %d\n", set.Name, set.Tolerate, skew)
	for _, part := range [][]*x509.Certificate{set.Anchors, set.Intermediates} {
		digest := digestOf(part)
		h.Write(digest[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}
