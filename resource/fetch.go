package resource

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/procura/procura/internal/fetch"
)

// maxDocument bounds discovery documents and key sets.
const maxDocument = 64 << 10

// NewFetcher returns a Deps.Fetch that reads by https alone, follows no redirect
// and calls private addresses only at allowHosts (host:port). roots nil means the
// system's.
func NewFetcher(roots *x509.CertPool, allowHosts ...string) (func(ctx context.Context, url string) ([]byte, error), error) {
	f, err := fetch.New(fetch.Config{AllowHosts: allowHosts, RootCAs: roots,
		Timeout: fetchTimeout, MaxBytes: maxDocument})
	if err != nil {
		return nil, fmt.Errorf("making a fetcher: %w", err)
	}
	return func(ctx context.Context, url string) ([]byte, error) {
		return f.Get(ctx, url, "application/json", "application/jwk-set+json")
	}, nil
}

// Limits of the connections to the issuer. Ours.
const (
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 5 * time.Second
	idleTimeout      = 60 * time.Second
	idleConnections  = 16
)

// NewClient returns the HTTP client with which a resource server speaks to its
// authorization server: it shows the certificate (RFC 8705 §2.1), trusts roots
// alone (nil means the system's) and follows no redirect. It keeps to HTTP/1.1, where a request that was
// given up takes its connection with it: a dead one must not be used again.
func NewClient(certificate tls.Certificate, roots *x509.CertPool) (*http.Client, error) {
	if len(certificate.Certificate) == 0 {
		return nil, errors.New("a mutual TLS client needs a certificate")
	}
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Protocols:   &http1,
			DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots,
				Certificates: []tls.Certificate{certificate}},
			TLSHandshakeTimeout: handshakeTimeout,
			IdleConnTimeout:     idleTimeout,
			MaxIdleConnsPerHost: idleConnections,
		},
	}, nil
}
