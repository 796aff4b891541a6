package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/procura/procura/resource"
)

// Assembly names everything that a running gateway is made of; all but Check,
// AllowHosts and UpstreamRoots is required.
type Assembly struct {
	Issuer, Audience string
	MTLSBase         string          // of the authorization server
	ClientID         string          // the gateway's own there
	Certificate      tls.Certificate // that it shows there
	Roots            *x509.CertPool  // that it trusts there
	AllowHosts       []string        // private host:port from which keys may be fetched
	Upstream         string
	UpstreamRoots    *x509.CertPool // for an https upstream; nil is the system's
	MaxFeedAge       time.Duration
	Check            CheckConfig
	Now              func() time.Time
	Rand             io.Reader
	Log              func(Record)
	FeedReport       func(error)
}

// Running is an assembled gateway. Handler refuses every token until Feed runs.
type Running struct {
	Handler  http.Handler
	Feed     *resource.Feed
	Verifier *resource.Verifier
}

// Assemble makes a gateway with the usual limits.
func Assemble(a Assembly) (*Running, error) {
	client, err := resource.NewClient(a.Certificate, a.Roots)
	if err != nil {
		return nil, fmt.Errorf("assembling a gateway: %w", err)
	}
	feed, err := resource.NewFeed(resource.DefaultFeedConfig(a.MTLSBase+"/revocations", a.ClientID),
		resource.FeedDeps{Client: client, Now: a.Now, Report: a.FeedReport})
	if err != nil {
		return nil, fmt.Errorf("assembling a gateway: %w", err)
	}
	verifier, err := a.verifier(feed)
	if err != nil {
		return nil, fmt.Errorf("assembling a gateway: %w", err)
	}
	cfg := DefaultConfig(a.MTLSBase, a.ClientID, a.Upstream)
	cfg.Check = a.Check
	h, err := New(cfg, Deps{Verifier: verifier, Client: client, Upstream: a.upstream(cfg.Timeout),
		Now: a.Now, Rand: a.Rand, Log: a.Log})
	if err != nil {
		return nil, fmt.Errorf("assembling a gateway: %w", err)
	}
	return &Running{Handler: h, Feed: feed, Verifier: verifier}, nil
}

func (a *Assembly) verifier(feed *resource.Feed) (*resource.Verifier, error) {
	fetch, err := resource.NewFetcher(a.Roots, a.AllowHosts...)
	if err != nil {
		return nil, err
	}
	cfg := resource.DefaultConfig(a.Issuer, a.Audience)
	cfg.MaxFeedAge = a.MaxFeedAge
	return resource.New(cfg, resource.Deps{Fetch: fetch, Revocations: feed, Now: a.Now})
}

// idleUpstream is how many connections to the API are kept open.
const idleUpstream = 64

func (a *Assembly) upstream(timeout time.Duration) http.RoundTripper {
	return &http.Transport{
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: a.UpstreamRoots},
		MaxIdleConnsPerHost:   idleUpstream,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: timeout,
	}
}

// Ready reports why no request could be allowed now.
func (r *Running) Ready(ctx context.Context) error {
	if err := r.Verifier.Ready(ctx); err != nil {
		return fmt.Errorf("asking the gateway: %w", err)
	}
	return nil
}

// TLSConfig is the policy of FAPI 1 Advanced §8.5 for the gateway's listener: TLS
// 1.3, or 1.2 with the two suites that are left of the list, which need an RSA
// certificate. A client certificate is asked for and not verified: what counts is
// that the client holds its key (RFC 8705 §6.2).
func TLSConfig(certificates []tls.Certificate) (*tls.Config, error) {
	if len(certificates) == 0 {
		return nil, errors.New("the gateway's listener needs a certificate")
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: certificates,
		ClientAuth:   tls.RequestClientCert,
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384},
		NextProtos:   []string{"h2", "http/1.1"},
	}, nil
}
