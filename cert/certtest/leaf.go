package certtest

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/procura/procura/cert"
)

// leafLife is how long Server and Client leaves live.
const leafLife = 90 * 24 * time.Hour

// Template describes a leaf. Server and Client return good ones; a test changes
// one field to get a bad one.
type Template struct {
	Subject    string // RFC 4514 text
	RawSubject []byte // DER; wins over Subject
	DNS        []string
	IPs        []net.IP
	URIs       []string
	Emails     []string

	NotBefore, NotAfter time.Time
	KeyUsage            x509.KeyUsage
	ExtKeyUsage         []x509.ExtKeyUsage
	IsCA                bool
	RSA                 bool          // RSA 2048 instead of EC P-256
	Key                 crypto.Signer // wins over RSA
	Signature           x509.SignatureAlgorithm
	Extra               []pkix.Extension
}

// Server returns the template of a TLS server for DNS names and IP addresses.
func Server(now time.Time, hosts ...string) Template {
	t := leaf(now, x509.ExtKeyUsageServerAuth)
	t.Subject = "O=Procura throw-away"
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			t.IPs = append(t.IPs, ip)
		} else {
			t.DNS = append(t.DNS, host)
		}
	}
	return t
}

// Client returns the template of a third party provider's TLS client certificate.
func Client(now time.Time, subject string) Template {
	t := leaf(now, x509.ExtKeyUsageClientAuth)
	t.Subject = subject
	return t
}

func leaf(now time.Time, usage x509.ExtKeyUsage) Template {
	return Template{
		NotBefore:   now.Add(-time.Hour),
		NotAfter:    now.Add(leafLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
}

// Leaf is an issued certificate with its key and the CA above it.
type Leaf struct {
	Cert   *x509.Certificate
	Key    crypto.Signer
	Issuer *x509.Certificate
}

// Issue signs a leaf with the issuing CA.
func (ca *CA) Issue(t Template) (*Leaf, error) {
	c, err := t.certificate()
	if err != nil {
		return nil, err
	}
	key := t.Key
	if key == nil {
		if key, err = newKey(t.RSA); err != nil {
			return nil, err
		}
	}
	issued, err := create(c, ca.Issuer, key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("issuing %s: %w", t.Subject, err)
	}
	return &Leaf{Cert: issued, Key: key, Issuer: ca.Issuer}, nil
}

func (t Template) certificate() (*x509.Certificate, error) {
	if t.NotBefore.IsZero() || t.NotAfter.IsZero() {
		return nil, errors.New("a leaf needs a validity period")
	}
	subject, err := t.subject()
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		RawSubject:            subject,
		NotBefore:             t.NotBefore,
		NotAfter:              t.NotAfter,
		KeyUsage:              t.KeyUsage,
		ExtKeyUsage:           t.ExtKeyUsage,
		BasicConstraintsValid: true,
		IsCA:                  t.IsCA,
		SignatureAlgorithm:    t.Signature,
		DNSNames:              t.DNS,
		IPAddresses:           t.IPs,
		EmailAddresses:        t.Emails,
		ExtraExtensions:       t.Extra,
	}
	for _, text := range t.URIs {
		u, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("reading URI: %w", err)
		}
		c.URIs = append(c.URIs, u)
	}
	return c, nil
}

func (t Template) subject() ([]byte, error) {
	if t.RawSubject != nil {
		return t.RawSubject, nil
	}
	dn, err := cert.ParseDN(t.Subject)
	if err != nil {
		return nil, fmt.Errorf("reading subject %q: %w", t.Subject, err)
	}
	der, err := asn1.Marshal(dn.RDNSequence())
	if err != nil {
		return nil, fmt.Errorf("encoding subject: %w", err)
	}
	return der, nil
}

// Chain returns what the peer sends: the leaf and the issuing CA.
func (l *Leaf) Chain() []*x509.Certificate { return []*x509.Certificate{l.Cert, l.Issuer} }

// Peer returns the leaf as a server sees it after the handshake.
func (l *Leaf) Peer() *cert.Peer { return cert.NewPeer(l.Chain()) }

// TLS returns the leaf for a tls.Config.
func (l *Leaf) TLS() tls.Certificate {
	return tls.Certificate{
		Certificate: [][]byte{l.Cert.Raw, l.Issuer.Raw},
		PrivateKey:  l.Key,
		Leaf:        l.Cert,
	}
}

// CertPEM returns the leaf and the issuing CA.
func (l *Leaf) CertPEM() []byte { return certPEM(l.Cert, l.Issuer) }

// KeyPEM returns the private key.
func (l *Leaf) KeyPEM() ([]byte, error) { return keyPEM(l.Key) }
