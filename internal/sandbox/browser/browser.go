// Package browser is as much of a web browser as a customer needs to log in and
// to consent: cookies, redirects, HTML forms. It runs no script, so that a page
// that works here works without JavaScript. It refuses endless redirects,
// oversized pages and anything that is not https.
package browser

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"crypto/tls"
)

const (
	maxRedirects = 20
	maxPage      = 1 << 20
)

// Config says whom the browser trusts and where its journey ends.
type Config struct {
	Roots *x509.CertPool
	// Home is told every URL before it is opened; true ends the journey there, as
	// a page that is not fetched. A TPP puts its redirect URI here.
	Home func(*url.URL) bool
}

// Browser is one customer's browser, with its own cookies. Not safe for
// concurrent use, as no customer is.
type Browser struct {
	cfg    Config
	client *http.Client
	trail  []string
}

// New makes a browser without cookies.
func New(cfg Config) (*Browser, error) {
	if cfg.Roots == nil || cfg.Home == nil {
		return nil, errors.New("browser: Roots and Home are needed")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("making a cookie jar: %w", err)
	}
	return &Browser{cfg: cfg, client: &http.Client{
		Jar:           jar,
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12},
		},
	}}, nil
}

// Close lets go of kept connections.
func (b *Browser) Close() { b.client.CloseIdleConnections() }

// Trail returns the pages and redirects since the last call, without their
// parameters.
func (b *Browser) Trail() []string {
	t := b.trail
	b.trail = nil
	return t
}

// Open goes to an address and follows redirects.
func (b *Browser) Open(ctx context.Context, address string) (*Page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("opening a page: %w", err)
	}
	return b.follow(req)
}

// Submit presses a button of a page and follows redirects. The form's own
// fields are sent with it, as a browser would.
func (b *Browser) Submit(ctx context.Context, p *Page, button string) (*Page, error) {
	form, target, err := p.press(button)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("submitting a form: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", origin(p.URL))
	req.Header.Set("Sec-Fetch-Site", relation(p.URL, target))
	return b.follow(req)
}

func (b *Browser) follow(req *http.Request) (*Page, error) {
	for range maxRedirects {
		b.trail = append(b.trail, req.Method+" "+bare(req.URL))
		if b.cfg.Home(req.URL) {
			return &Page{URL: req.URL, Home: true}, nil
		}
		next, page, err := b.fetch(req)
		if err != nil || page != nil {
			return page, err
		}
		req, err = http.NewRequestWithContext(req.Context(), http.MethodGet, next.String(), nil)
		if err != nil {
			return nil, fmt.Errorf("following a redirect: %w", err)
		}
	}
	return nil, errors.New("following redirects: there is no end to them")
}

// fetch makes one request and returns either where it leads or what it shows.
func (b *Browser) fetch(req *http.Request) (*url.URL, *Page, error) {
	if req.URL.Scheme != "https" {
		return nil, nil, fmt.Errorf("opening %s: not https", bare(req.URL))
	}
	res, err := b.client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("opening %s: %w", bare(req.URL), errors.Unwrap(err))
	}
	defer res.Body.Close()
	if next, err := res.Location(); err == nil && res.StatusCode/100 == 3 {
		if res.StatusCode == http.StatusTemporaryRedirect || res.StatusCode == http.StatusPermanentRedirect {
			return nil, nil, fmt.Errorf("opening %s: redirect %d would repeat the form elsewhere", bare(req.URL), res.StatusCode)
		}
		return next, nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", bare(req.URL), err)
	}
	page, err := parse(req.URL, res.StatusCode, body)
	return nil, page, err
}

func bare(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

func relation(from, to *url.URL) string {
	if origin(from) == origin(to) {
		return "same-origin"
	}
	return "cross-site"
}
