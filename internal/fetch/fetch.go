// Package fetch is the one door to the network for URLs that somebody else chose:
// a client's jwks_uri today. It refuses everything but https to public addresses,
// follows no redirect, sends no cookie, uses no proxy, and bounds size and time
// (RFC 8725bis §3.10; attacks 65 and 66). The address is judged when it is dialled,
// after resolution: a name that resolves differently the second time gains nothing.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ErrRefused marks a URL or an answer that will not do, however often one asks:
// the fault of whoever named the URL. Other errors may pass with time.
var ErrRefused = errors.New("refused")

// maxHeader bounds the header of an answer: ours.
const maxHeader = 16 << 10

// Config bounds what is fetched. Timeout and MaxBytes are required.
type Config struct {
	// AllowHosts lists host:port, as URLs name them, that may have a private
	// address: the bank's own directory, the sandbox.
	AllowHosts []string
	RootCAs    *x509.CertPool // nil: the machine's certificate store
	Timeout    time.Duration  // for the whole exchange, body included
	MaxBytes   int64
}

// Fetcher gets documents. Safe for concurrent use.
type Fetcher struct {
	client   *http.Client
	maxBytes int64
	allowed  map[string]bool
	dialer   net.Dialer
}

// New returns a Fetcher, or says which bound is missing.
func New(cfg Config) (*Fetcher, error) {
	if cfg.Timeout <= 0 || cfg.MaxBytes <= 0 {
		return nil, errors.New("a fetcher needs a time limit and a size limit")
	}
	f := &Fetcher{maxBytes: cfg.MaxBytes, allowed: make(map[string]bool, len(cfg.AllowHosts))}
	for _, host := range cfg.AllowHosts {
		if h, port, err := net.SplitHostPort(host); err != nil || h == "" || port == "" {
			return nil, fmt.Errorf("allowed host %q: write host:port", host)
		}
		f.allowed[strings.ToLower(host)] = true
	}
	f.client = &http.Client{
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            f.dial,
			TLSClientConfig:        &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    cfg.Timeout,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true, // MaxBytes counts what is sent
			DisableKeepAlives:      true, // one exchange, one judged address
		},
	}
	return f, nil
}

// Get returns the body found at rawURL. When accept is given the answer must have
// one of these media types. Only status 200 counts.
func (f *Fetcher) Get(ctx context.Context, rawURL string, accept ...string) ([]byte, error) {
	req, err := f.request(ctx, rawURL, accept)
	if err != nil {
		return nil, fmt.Errorf("preparing the request: %w", err)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetching from %s: %w", req.URL.Host, classify(err))
	}
	defer func() { _ = res.Body.Close() }()
	if err := acceptable(res, accept); err != nil {
		return nil, fmt.Errorf("fetching from %s: %w", req.URL.Host, err)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, f.maxBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading from %s: %w", req.URL.Host, err)
	case int64(len(body)) > f.maxBytes:
		return nil, fmt.Errorf("reading from %s: more than %d bytes: %w", req.URL.Host, f.maxBytes, ErrRefused)
	}
	return body, nil
}

func (f *Fetcher) request(ctx context.Context, rawURL string, accept []string) (*http.Request, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the URL does not parse: %w", ErrRefused)
	case u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "":
		return nil, fmt.Errorf("the URL is not https: %w", ErrRefused)
	case u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("the URL has a user or a fragment: %w", ErrRefused)
	case oddAddress(u.Hostname()):
		return nil, fmt.Errorf("the URL's host is an address in another spelling: %w", ErrRefused)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	req.Header.Set("User-Agent", "procura")
	if len(accept) > 0 {
		req.Header.Set("Accept", strings.Join(accept, ", "))
	}
	return req, nil
}

// classify drops the URL that the http client puts before its errors, since a
// query may hold what no log should, and marks a host whose certificate is wrong.
func classify(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// acceptable: a redirect is an answer that will not do, a broken server is one
// that may pass.
func acceptable(res *http.Response, accept []string) error {
	switch {
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("status %d", res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("status %d: %w", res.StatusCode, ErrRefused)
	case len(accept) == 0:
		return nil
	}
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(accept, media) {
		return fmt.Errorf("media type %q: %w", media, ErrRefused)
	}
	return nil
}

// dial connects to address, which still has the URL's host name. Each address
// that it resolves to is judged right before the connection to it.
func (f *Fetcher) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := f.dialer
	if !f.allowed[strings.ToLower(address)] {
		d.Control = onlyPublic
	}
	return d.DialContext(ctx, network, address)
}

func onlyPublic(_, address string, _ syscall.RawConn) error {
	dialled, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("reading the resolved address: %w", err)
	}
	if !Public(dialled.Addr()) {
		return fmt.Errorf("address %s is not public: %w", dialled.Addr(), ErrRefused)
	}
	return nil
}
