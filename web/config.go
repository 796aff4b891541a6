package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
)

// Route is one endpoint of a site. Path stands below the issuer's path, with
// {names} that handlers read through Request.PathValue.
type Route struct {
	Method  string
	Path    string
	Handler http.Handler
	Public  bool // served by the public listener
	MTLS    bool // served by the listener that asks for certificates
	Front   bool // seen by browsers: refusals are pages, and HEAD is refused
	Stream  bool // answers for as long as the peer likes, ends when the server drains
}

// Site is one issuer's endpoints. It is mounted under the hosts and paths of
// Issuer.URL and Issuer.MTLSBase; a request for any other host is answered 421.
type Site struct {
	Issuer fapi.Issuer
	Routes []Route
	Pages  *Pages // how refusals of front routes look
}

// Listener is one address. The two certificates are an ECDSA and an RSA one: the
// only suites that FAPI leaves at TLS 1.2 need the RSA one.
type Listener struct {
	Addr         string // host:port; port 0 takes a free one
	Certificates []tls.Certificate
	ClientCerts  bool // ask for a client certificate, without demanding one
}

// Config says what is served and where.
type Config struct {
	Sites []Site
	// Public, MTLS and Ops are the three listeners. Ops speaks plain HTTP and
	// belongs on the loopback interface or a private network.
	Public, MTLS, Ops Listener
	// ShutdownGrace is how long requests in flight may take to finish.
	ShutdownGrace time.Duration
	// DrainDelay is how long the server keeps accepting after /readyz turned
	// 503, so that load balancers notice first. Zero: not at all.
	DrainDelay time.Duration
}

// Deps are what the server needs of others.
type Deps struct {
	Log   *obs.Logger
	Ready func(ctx context.Context) error // nil error: the process can serve
	Now   func() time.Time
	Rand  io.Reader
}

func (c Config) check() error {
	switch {
	case len(c.Sites) == 0:
		return errors.New("web: no site is configured")
	case c.ShutdownGrace <= 0:
		return errors.New("web: ShutdownGrace must be positive")
	case c.DrainDelay < 0:
		return errors.New("web: DrainDelay must not be negative")
	case c.Public.Addr == "" || c.MTLS.Addr == "" || c.Ops.Addr == "":
		return errors.New("web: each listener needs an address")
	case len(c.Public.Certificates) == 0 || len(c.MTLS.Certificates) == 0:
		return errors.New("web: the public and the mutual TLS listener need certificates")
	case c.Public.ClientCerts || !c.MTLS.ClientCerts:
		return errors.New("web: client certificates are asked for by the MTLS listener, and by it alone (RFC 8705 §5)")
	case len(c.Ops.Certificates) > 0:
		return errors.New("web: the ops listener speaks plain HTTP")
	}
	for _, s := range c.Sites {
		if err := s.check(); err != nil {
			return err
		}
	}
	return nil
}

func (d Deps) check() error {
	if d.Log == nil || d.Ready == nil || d.Now == nil || d.Rand == nil {
		return errors.New("web: Log, Ready, Now and Rand are all needed")
	}
	return nil
}

func (s Site) check() error {
	if s.Pages == nil {
		return fmt.Errorf("web: site %s has no pages", s.Issuer.URL)
	}
	for _, base := range []string{s.Issuer.URL, s.Issuer.MTLSBase} {
		if _, err := parseBase(base); err != nil {
			return err
		}
	}
	for _, r := range s.Routes {
		if r.Handler == nil || r.Method == "" || !strings.HasPrefix(r.Path, "/") {
			return fmt.Errorf("web: route %q %q of %s needs a method, a path and a handler", r.Method, r.Path, s.Issuer.URL)
		}
		if !r.Public && !r.MTLS {
			return fmt.Errorf("web: route %s %s of %s is on no listener", r.Method, r.Path, s.Issuer.URL)
		}
	}
	return nil
}

// base is where a site is mounted on one listener.
type base struct {
	host string // lower case, with the port unless it is 443
	path string // "" or "/brand"
}

// parseBase reads an issuer URL or MTLS base: https, nothing but host and path,
// no trailing slash (RFC 8414 §2).
func parseBase(raw string) (base, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" ||
		u.Fragment != "" || strings.HasSuffix(raw, "/") || strings.ContainsAny(raw, "?#{}%") {
		return base{}, fmt.Errorf("web: %q is not an https URL of host and path alone, without a trailing slash", raw)
	}
	host, ok := canonicalHost(u.Host)
	if !ok {
		return base{}, fmt.Errorf("web: the host of %q cannot be served", raw)
	}
	return base{host: host, path: u.Path}, nil
}
