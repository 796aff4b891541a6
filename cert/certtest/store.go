package certtest

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Encode returns the whole CA, private keys included, as PEM that LoadCA reads:
// a sandbox keeps its CA over restarts.
func (ca *CA) Encode() ([]byte, error) {
	root, err := keyPEM(ca.rootKey)
	if err != nil {
		return nil, err
	}
	issuer, err := keyPEM(ca.key)
	if err != nil {
		return nil, err
	}
	out := append(ca.RootPEM(), root...)
	return append(append(out, ca.IssuerPEM()...), issuer...), nil
}

// LoadCA reads what Encode wrote: root, its key, issuing CA, its key.
func LoadCA(raw []byte) (*CA, error) {
	ca := &CA{}
	var err error
	if ca.Root, ca.rootKey, raw, err = readPair(raw); err != nil {
		return nil, fmt.Errorf("reading the root: %w", err)
	}
	if ca.Issuer, ca.key, _, err = readPair(raw); err != nil {
		return nil, fmt.Errorf("reading the issuing CA: %w", err)
	}
	_, ca.rsa = ca.key.(*rsa.PrivateKey)
	return ca, nil
}

func readPair(raw []byte) (*x509.Certificate, crypto.Signer, []byte, error) {
	block, raw := pem.Decode(raw)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, nil, nil, errors.New("a certificate is missing")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, nil, err
	}
	block, raw = pem.Decode(raw)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, nil, nil, errors.New("a private key is missing")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, nil, err
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, nil, nil, errors.New("the private key does not sign")
	}
	return c, key, raw, nil
}
