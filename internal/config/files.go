package config

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// kekSize is the length of an AES-256 key.
const kekSize = 32

// ConnectionString returns the DSN, from wherever it is configured. Its errors
// never hold it.
func (d Database) ConnectionString() (string, error) {
	if d.DSN != "" {
		return d.DSN.Reveal(), nil
	}
	raw, err := readFile(d.DSNFile)
	if err != nil {
		return "", err
	}
	dsn := strings.TrimSpace(string(raw))
	if dsn == "" {
		return "", fmt.Errorf("%s is empty", d.DSNFile)
	}
	return dsn, nil
}

// KEK returns the 32 bytes of the key encryption key.
func (c Config) KEK() ([]byte, error) {
	text := c.KeyEncryptionKey.Reveal()
	if text == "" {
		raw, err := readFile(c.KeyEncryptionKeyFile)
		if err != nil {
			return nil, err
		}
		text = string(raw)
	}
	text = strings.TrimSpace(text)
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if key, err := decode(text); err == nil && len(key) == kekSize {
			return key, nil
		}
	}
	return nil, errors.New("it does not hold 32 bytes in base64 or hexadecimal")
}

// Load returns the certificates, ECDSA before RSA: that is the order of preference
// of clients that take both.
func (t TLS) Load() ([]tls.Certificate, error) {
	var ec, other []tls.Certificate
	for _, c := range t.Certificates {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("loading %s and %s: %w", c.CertFile, c.KeyFile, err)
		}
		if _, isEC := pair.Leaf.PublicKey.(*ecdsa.PublicKey); isEC {
			ec = append(ec, pair)
		} else {
			other = append(other, pair)
		}
	}
	return slices.Concat(ec, other), nil
}

func hasRSA(certs []tls.Certificate) bool {
	return slices.ContainsFunc(certs, func(c tls.Certificate) bool {
		_, isRSA := c.Leaf.PublicKey.(*rsa.PublicKey)
		return isRSA
	})
}

// Load returns anchors and intermediates.
func (t Trust) Load() (anchors, intermediates []*x509.Certificate, err error) {
	if anchors, err = readCertificates(t.AnchorsFiles); err != nil {
		return nil, nil, err
	}
	if intermediates, err = readCertificates(t.IntermediatesFiles); err != nil {
		return nil, nil, err
	}
	return anchors, intermediates, nil
}

// Roots returns the pool for outbound TLS: the system's and those of the CA file;
// nil, which stands for the system's, when there is no file.
func (f Fetch) Roots() (*x509.CertPool, error) {
	if f.CAFile == "" {
		return nil, nil
	}
	certs, err := readCertificates([]string{f.CAFile})
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's roots: %w", err)
	}
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool, nil
}

// Keys returns the content of the key set file, nil when keys come from JWKSURI.
func (l Login) Keys() ([]byte, error) {
	if l.JWKSFile == "" {
		return nil, nil
	}
	return readFile(l.JWKSFile)
}

// Logo returns the picture, nil when there is none.
func (b Brand) Logo() ([]byte, error) {
	if b.LogoFile == "" {
		return nil, nil
	}
	return readFile(b.LogoFile)
}

// readCertificates reads PEM files that hold certificates and nothing else.
func readCertificates(files []string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, file := range files {
		raw, err := readFile(file)
		if err != nil {
			return nil, err
		}
		before := len(out)
		for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "CERTIFICATE" {
				return nil, fmt.Errorf("%s holds a %s, not only certificates", file, block.Type)
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("parsing %s: %w", file, err)
			}
			out = append(out, c)
		}
		if len(out) == before {
			return nil, fmt.Errorf("%s holds no PEM certificate", file)
		}
	}
	return out, nil
}
