// Package clientauth says which client speaks on the back channel: private_key_jwt
// (RFC 7523, OIDC Core §9) or tls_client_auth (RFC 8705 §2.1), whichever the client
// registered, and never a second try with another.
//
// It refuses shared secrets in every form, more than one method in a request, and
// any difference between the names a client goes by in one request. It spends
// nothing: the jti of a good assertion is handed on, so that the operation's own
// statement decides whether it was used before.
//
// What a caller is told does not depend on whether the client exists: up to the
// signature, or the match of the certificate, an unknown client is answered like a
// known one.
package clientauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/wire"
)

// Request is what a caller brings to prove who it is.
type Request struct {
	Params        wire.Params
	Authorization string     // the header's value
	Peer          *cert.Peer // nil without a client certificate
}

// Result is an authenticated client.
type Result struct {
	Client *clients.Registered
	Once   fapi.Once // to be spent by the operation; zero for a certificate
}

// Config names the issuer whose clients these are.
type Config struct {
	Issuer fapi.Issuer
}

// Clients finds registered clients.
type Clients interface {
	Find(ctx context.Context, id string) (*clients.Registered, error)
}

// Certs says whether a client certificate is to be trusted.
type Certs interface {
	Check(ctx context.Context, p *cert.Peer) error
}

// Deps are an Authenticator's dependencies.
type Deps struct {
	Clients Clients
	Certs   Certs
	Now     func() time.Time
}

// Authenticator authenticates clients. Safe for concurrent use.
type Authenticator struct {
	issuer    string
	audiences map[string]bool // what aud may name where the rules allow endpoints
	deps      Deps
}

// New returns an Authenticator, or says what is missing.
func New(cfg Config, deps Deps) (*Authenticator, error) {
	switch {
	case cfg.Issuer.URL == "" || cfg.Issuer.MTLSBase == "":
		return nil, errors.New("client authentication needs the issuer's URL and its mutual TLS base")
	case deps.Clients == nil || deps.Certs == nil || deps.Now == nil:
		return nil, errors.New("client authentication needs clients, a certificate validator and a clock")
	}
	return &Authenticator{issuer: cfg.Issuer.URL, audiences: audiences(cfg.Issuer), deps: deps}, nil
}

// Form members of client authentication.
const (
	paramClientID      = "client_id"
	paramAssertion     = "client_assertion"
	paramAssertionType = "client_assertion_type"
	paramSecret        = "client_secret"
)

// Authenticate returns the client that sent r. Every error is a *fapi.Error:
// invalid_client (RFC 6749 §5.2), invalid_request for more than one method, or 503
// when the store or the client's key host did not answer.
func (a *Authenticator) Authenticate(ctx context.Context, r Request) (Result, error) {
	if err := oneMethod(r); err != nil {
		return Result{}, err
	}
	if r.Params.Has(paramAssertion) || r.Params.Has(paramAssertionType) {
		return a.byAssertion(ctx, r)
	}
	return a.byCertificate(ctx, r)
}

// oneMethod looks at the form of the request alone (RFC 6749 §2.3, G-11). Some
// clients probe with an Authorization header beside everything else and come again
// without it: nothing may be spent on the first attempt.
func oneMethod(r Request) error {
	assertion := r.Params.Has(paramAssertion) || r.Params.Has(paramAssertionType)
	secret := r.Params.Has(paramSecret)
	header := r.Authorization != ""
	switch {
	case header && (assertion || secret), assertion && secret:
		return fapi.InvalidRequest("more than one client authentication method: send the client assertion alone, without Authorization header and client_secret")
	case header, secret:
		return fapi.InvalidClient("client secrets are not accepted: use private_key_jwt or tls_client_auth, without Authorization header")
	}
	return nil
}

// find turns the directory's errors into answers. Unknown is what the caller hears
// of a client that there is none of: the same as of one that proved nothing.
func (a *Authenticator) find(ctx context.Context, id string, unknown *fapi.Error) (*clients.Registered, error) {
	c, err := a.deps.Clients.Find(ctx, id)
	switch {
	case errors.Is(err, fapi.ErrUnavailable):
		return nil, fapi.TemporarilyUnavailable(err)
	case errors.Is(err, fapi.ErrNotFound):
		return nil, unknown.Because(fmt.Errorf("client %.100q: %w", id, err))
	case err != nil:
		return nil, fapi.Outward(fmt.Errorf("finding client: %w", err))
	}
	return c, nil
}

// because is e with a cause that names the client for the event.
func because(e *fapi.Error, c *clients.Registered, cause error) *fapi.Error {
	return e.Because(fmt.Errorf("client %s: %w", c.ID, cause))
}
