package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/procura/procura/resource"
)

// Config says what the gateway stands in front of. New refuses zero values;
// DefaultConfig fills in what has a usual value.
type Config struct {
	// MTLSBase is the authorization server's base URL over mutual TLS.
	MTLSBase string
	// ClientID is the gateway's own, as a resource server there.
	ClientID string
	// Upstream is the base URL of the bank's API; paths are appended to it.
	Upstream string
	Rules    []Rule
	// MaxBody bounds request bodies, in bytes.
	MaxBody int64
	// Timeout bounds one question to the authorization server and one forwarded
	// request, body included.
	Timeout time.Duration
	// MaxGrants bounds how many grants are remembered.
	MaxGrants int
	// Check lets other proxies ask for decisions; the zero value lets nobody.
	Check CheckConfig
}

// DefaultConfig is a Config with UKOpenBanking and the usual limits. They are
// ours.
func DefaultConfig(mtlsBase, clientID, upstream string) Config {
	return Config{MTLSBase: mtlsBase, ClientID: clientID, Upstream: upstream, Rules: UKOpenBanking(),
		MaxBody: 1 << 20, Timeout: 15 * time.Second, MaxGrants: 100_000}
}

// Verifier believes or refuses the token of a request; resource.Verifier is one.
type Verifier interface {
	Verify(ctx context.Context, q resource.Request) (*resource.Token, error)
}

// Deps are what the gateway works with; all are required.
type Deps struct {
	Verifier Verifier
	// Client speaks to the authorization server with the gateway's certificate;
	// see resource.NewClient.
	Client *http.Client
	// Upstream carries requests to the bank's API.
	Upstream http.RoundTripper
	Now      func() time.Time
	Rand     io.Reader
	// Log hears of every request once it is answered.
	Log func(Record)
}

// Record is the one log entry of a request. It holds no token.
type Record struct {
	InteractionID string
	Method, Path  string
	Status        int
	Client        string // "" while the token was not believed
	Consent       string
	Check         bool  // the question of another proxy
	Reason        error // why it was refused or failed; nil when it was not
	Took          time.Duration
}

// Gateway is the handler. It must see requests as they came over TLS.
type Gateway struct {
	cfg     Config
	deps    Deps
	grants  *grants
	targets map[Target]http.Handler
}

// New returns the gateway's handler.
func New(cfg Config, deps Deps) (http.Handler, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configuring the gateway: %w", err)
	}
	if deps.Verifier == nil || deps.Client == nil || deps.Client.Transport == nil || deps.Upstream == nil ||
		deps.Now == nil || deps.Rand == nil || deps.Log == nil {
		return nil, errors.New("the gateway needs Verifier, Client with a transport, Upstream, Now, Rand and Log")
	}
	ask := &introspector{url: cfg.MTLSBase + "/introspect", clientID: cfg.ClientID, client: deps.Client, timeout: cfg.Timeout}
	g := &Gateway{cfg: cfg, deps: deps, grants: newGrants(cfg.MaxGrants, deps.Now, ask.ask)}
	bank, err := g.proxy(cfg.Upstream, deps.Upstream, g.toBank)
	if err != nil {
		return nil, err
	}
	server, err := g.proxy(cfg.MTLSBase, deps.Client.Transport, g.toAuthorizationServer)
	if err != nil {
		return nil, err
	}
	g.targets = map[Target]http.Handler{Bank: bank, AuthorizationServer: server}
	return g.observe(http.HandlerFunc(g.serve))
}

func (c *Config) validate() error {
	switch {
	case !strings.HasPrefix(c.MTLSBase, "https://") || strings.HasSuffix(c.MTLSBase, "/"):
		return errors.New("the mutual TLS base of the authorization server must be an https URL without trailing slash")
	case c.ClientID == "":
		return errors.New("the client id is missing")
	case c.Upstream == "":
		return errors.New("the upstream is missing")
	case c.MaxBody <= 0 || c.Timeout <= 0 || c.MaxGrants <= 0:
		return errors.New("MaxBody, Timeout and MaxGrants must be positive")
	case len(c.Rules) == 0:
		return errors.New("the table is empty: nothing would be reachable")
	}
	for i := range c.Rules {
		if err := c.Rules[i].validate(); err != nil {
			return fmt.Errorf("rule %s %s: %w", c.Rules[i].Method, c.Rules[i].Path, err)
		}
	}
	return c.Check.validate()
}

// serve answers one request; interaction id and record are taken care of around
// it.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	if path, ok := strings.CutPrefix(r.URL.EscapedPath(), checkPath); ok && g.cfg.Check.enabled() {
		if path == "" || strings.HasPrefix(path, "/") {
			g.check(w, r, path)
			return
		}
	}
	d, err := g.admit(w, r)
	if err != nil {
		g.refuse(w, r, err)
		return
	}
	recordOf(r.Context()).allowed(d)
	ctx, cancel := context.WithTimeout(r.Context(), g.cfg.Timeout)
	defer cancel()
	g.targets[d.rule.Target].ServeHTTP(w, r.WithContext(withDecision(ctx, d)))
}

func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, err error) {
	recordOf(r.Context()).Reason = err
	refuse(w, r.URL.Path, err)
}

// admit bounds the body, before anything reads it, and decides.
func (g *Gateway) admit(w http.ResponseWriter, r *http.Request) (*decision, error) {
	if r.ContentLength > g.cfg.MaxBody {
		return nil, tooLarge()
	}
	r.Body = http.MaxBytesReader(w, r.Body, g.cfg.MaxBody)
	request, err := resource.RequestFrom(r)
	if err != nil {
		return nil, err
	}
	return g.decide(r.Context(), question{method: r.Method, path: r.URL.EscapedPath(), request: request})
}

// proxy returns the way to one target. The library takes hop-by-hop headers off
// in both directions before rewrite is asked, so that no Connection header can
// name one of ours away.
func (g *Gateway) proxy(base string, over http.RoundTripper, rewrite func(*httputil.ProxyRequest, *decision)) (http.Handler, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
		return nil, errors.New("configuring the gateway: upstreams must be http or https URLs without query")
	}
	return &httputil.ReverseProxy{
		Transport: over,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(u)
			strip(p.Out.Header)
			p.Out.Trailer = nil // they arrive after every check
			rewrite(p, decisionOf(p.In.Context()))
		},
		ModifyResponse: func(res *http.Response) error {
			if res.StatusCode == http.StatusUnauthorized { // the gateway itself was refused
				return errGatewayRefused
			}
			cleanAnswer(res.Header)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { g.refuse(w, r, upstreamFault(err)) },
		ErrorLog:     log.New(io.Discard, "", 0), // what matters is in the record
	}, nil
}

func (g *Gateway) toBank(p *httputil.ProxyRequest, d *decision) {
	d.facts().Set(p.Out.Header)
}

// toAuthorizationServer speaks to the consent API for the TPP: the server
// believes who the client is because of the gateway's own certificate.
func (g *Gateway) toAuthorizationServer(p *httputil.ProxyRequest, d *decision) {
	p.Out.URL.RawQuery = ""
	p.Out.Header.Set(resource.HeaderClient, d.token.ClientID)
	p.Out.Header.Set(headerResourceServer, g.cfg.ClientID)
}

// errGatewayRefused: what stands behind does not believe the gateway. The TPP has
// passed every check and must not be told that its own token was wrong.
var errGatewayRefused = errors.New("the upstream refused the gateway's own credentials")

// upstreamFault tells apart whose fault it was that nothing came back.
func upstreamFault(err error) error {
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tooLarge()
	case errors.Is(err, context.DeadlineExceeded):
		return &refusal{status: http.StatusGatewayTimeout, code: codeFault, message: "the API did not answer in time", cause: err}
	}
	return &refusal{status: http.StatusBadGateway, code: codeFault, message: "the API could not be reached", cause: err}
}
