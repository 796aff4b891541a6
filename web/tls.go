package web

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
)

// policy is the handshake both TLS listeners speak (FAPI 1 Advanced §8.5, RFC
// 10015 §3): TLS 1.3, or TLS 1.2 with the two ECDHE_RSA GCM suites; nothing with
// CBC, static RSA, DHE, renegotiation or compression. Without an RSA certificate
// those suites cannot be spoken, and the listener says so by refusing the version.
//
// Each listener calls it anew and no ticket key is ever set: Go then draws ticket
// keys per listener, so that a session of one never opens the other. A resumed
// session carries its old certificate unverified, which is why the verdict on a
// peer is taken per request and never here.
func policy(l Listener) *tls.Config {
	cfg := &tls.Config{
		Certificates: append([]tls.Certificate(nil), l.Certificates...),
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if hasRSA(l.Certificates) {
		cfg.MinVersion = tls.VersionTLS12
		cfg.CipherSuites = []uint16{
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		}
	}
	if l.ClientCerts {
		// Not required: a refusal in the handshake would hide the OAuth error,
		// and the suite probes with no certificate at all.
		cfg.ClientAuth = tls.RequestClientCert
	}
	return cfg
}

func hasRSA(certs []tls.Certificate) bool {
	for _, c := range certs {
		if signer, ok := c.PrivateKey.(crypto.Signer); ok {
			if _, isRSA := signer.Public().(*rsa.PublicKey); isRSA {
				return true
			}
		}
	}
	return false
}
