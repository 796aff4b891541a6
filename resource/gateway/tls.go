package gateway

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"slices"
)

// TLSConfig is the policy of FAPI 1 Advanced §8.5 for the gateway's listener: TLS
// 1.3, or 1.2 with the two suites that RFC 10015 leaves of its list, for which
// there must be an RSA certificate. A client certificate is asked for and not
// verified: what counts is that the client holds its key (RFC 8705 §6.2), and the
// refusal of a request without one is to be an HTTP answer.
func TLSConfig(certificates []tls.Certificate) (*tls.Config, error) {
	if len(certificates) == 0 {
		return nil, errors.New("the gateway's listener needs a certificate")
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: certificates,
		ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2", "http/1.1"}}
	if slices.ContainsFunc(certificates, isRSA) {
		cfg.MinVersion = tls.VersionTLS12
		cfg.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}
	}
	return cfg, nil
}

func isRSA(c tls.Certificate) bool {
	signer, ok := c.PrivateKey.(crypto.Signer)
	if !ok {
		return false
	}
	_, ok = signer.Public().(*rsa.PublicKey)
	return ok
}
