// Package certtest makes throw-away certificates: a root, an issuing CA below it,
// and leaves of good and of every bad kind. It is for tests and for the sandbox;
// its keys are worth nothing. What it issues is otherwise as strict clients want
// it: key usage, subject and authority key identifiers are set.
package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"
)

// Options describe a CA. Name and Now are required.
type Options struct {
	Name string    // stands in the CAs' common names
	Now  time.Time // the CAs are valid from an hour before
	Life time.Duration
	RSA  bool // RSA 2048 keys instead of EC P-256
	// LocalOnly puts a critical name constraint on the root: DNS localhost and
	// the loopback addresses. Whoever imports such a root risks little.
	LocalOnly bool
}

// CA is an issuing CA and the root above it.
type CA struct {
	Root    *x509.Certificate
	Issuer  *x509.Certificate
	rootKey crypto.Signer
	key     crypto.Signer
	rsa     bool
}

// caLife is how long a CA lives when its Options do not say.
const caLife = 10 * 365 * 24 * time.Hour

// NewCA makes a root and an issuing CA.
func NewCA(o Options) (*CA, error) {
	if o.Name == "" || o.Now.IsZero() {
		return nil, errors.New("a CA needs a name and a time")
	}
	if o.Life == 0 {
		o.Life = caLife
	}
	ca := &CA{rsa: o.RSA}
	var err error
	if ca.rootKey, err = newKey(o.RSA); err != nil {
		return nil, err
	}
	if ca.Root, err = signCA(rootTemplate(o), nil, ca.rootKey, ca.rootKey); err != nil {
		return nil, fmt.Errorf("making the root: %w", err)
	}
	if ca.key, err = newKey(o.RSA); err != nil {
		return nil, err
	}
	issuing := caTemplate(o.Name+" Issuing CA", o.Now.Add(-time.Hour), o.Now.Add(o.Life))
	issuing.MaxPathLenZero = true
	if ca.Issuer, err = signCA(issuing, ca.Root, ca.key, ca.rootKey); err != nil {
		return nil, fmt.Errorf("making the issuing CA: %w", err)
	}
	return ca, nil
}

// IssueCA signs another issuing CA with the root after edit has changed its
// template: bad CAs are made of good ones.
func (ca *CA) IssueCA(name string, edit func(*x509.Certificate)) (*CA, error) {
	t := caTemplate(name, ca.Root.NotBefore, ca.Root.NotAfter)
	if edit != nil {
		edit(t)
	}
	return ca.sign(t, ca.Root, ca.rootKey)
}

// IssueBelow is IssueCA with the issuing CA as signer: a path of two
// intermediates, which the issuing CA's own path length forbids.
func (ca *CA) IssueBelow(name string) (*CA, error) {
	return ca.sign(caTemplate(name, ca.Issuer.NotBefore, ca.Issuer.NotAfter), ca.Issuer, ca.key)
}

func (ca *CA) sign(t, parent *x509.Certificate, with crypto.Signer) (*CA, error) {
	key, err := newKey(ca.rsa)
	if err != nil {
		return nil, err
	}
	issuer, err := signCA(t, parent, key, with)
	if err != nil {
		return nil, fmt.Errorf("making %s: %w", t.Subject.CommonName, err)
	}
	return &CA{Root: ca.Root, Issuer: issuer, rootKey: ca.rootKey, key: key, rsa: ca.rsa}, nil
}

func rootTemplate(o Options) *x509.Certificate {
	t := caTemplate(o.Name+" Root CA", o.Now.Add(-time.Hour), o.Now.Add(o.Life))
	if o.LocalOnly {
		t.PermittedDNSDomainsCritical = true
		t.PermittedDNSDomains = []string{"localhost"}
		t.PermittedIPRanges = []*net.IPNet{
			{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
			{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
		}
	}
	return t
}

func caTemplate(name string, from, to time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Procura throw-away"}, CommonName: name},
		NotBefore:             from,
		NotAfter:              to,
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// signCA signs t for key; with no parent it signs itself.
func signCA(t, parent *x509.Certificate, key, with crypto.Signer) (*x509.Certificate, error) {
	if parent == nil {
		parent = t
	}
	return create(t, parent, key.Public(), with)
}

func create(t, parent *x509.Certificate, pub crypto.PublicKey, with crypto.Signer) (*x509.Certificate, error) {
	id, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	t.SubjectKeyId = id
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, with)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// keyID is RFC 7093 §2 method 1.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("encoding the public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}

func newKey(wantRSA bool) (crypto.Signer, error) {
	if wantRSA {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// Pool returns a pool with the root alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Root)
	return pool
}

// RootPEM returns the root.
func (ca *CA) RootPEM() []byte { return certPEM(ca.Root) }

// IssuerPEM returns the issuing CA.
func (ca *CA) IssuerPEM() []byte { return certPEM(ca.Issuer) }

func certPEM(chain ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
