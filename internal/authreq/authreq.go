// Package authreq turns what a client sent into one checked set of effective
// parameters. /par and the front channel share it, so that nothing is first
// discovered by the customer. It decides everything except what only /authorize
// can know: whose intent it is and whether the bank can reach the acr.
//
// It refuses mixtures: parameters come from the request object alone where the
// rules demand one, and what stands outside is ignored (RFC 9101 §5).
package authreq

import (
	"context"
	"errors"
	"time"

	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/wire"
)

// HintReader verifies an id token of ours that comes back as id_token_hint.
type HintReader interface {
	ReadIDTokenHint(token string) (subject string, audience []string, err error)
}

// Config names the issuer that request objects must be meant for.
type Config struct {
	Issuer fapi.Issuer
}

// Deps are what the checks need of the house.
type Deps struct {
	Decrypters func() []jose.Decrypter // the issuer's keys for encrypted objects
	Hints      HintReader
	Now        func() time.Time
}

// Validator reads and checks authorization requests.
type Validator struct {
	issuer fapi.Issuer
	deps   Deps
}

// New refuses missing dependencies.
func New(cfg Config, deps Deps) (*Validator, error) {
	if cfg.Issuer.URL == "" || deps.Decrypters == nil || deps.Hints == nil || deps.Now == nil {
		return nil, errors.New("authreq: the issuer or a dependency is missing")
	}
	return &Validator{issuer: cfg.Issuer, deps: deps}, nil
}

// Return says where an error of a request may be sent: nowhere unless the
// redirect URI is the client's own, byte for byte (RFC 6749 §4.1.2.1).
type Return struct {
	RedirectURI string // "" means an error page
	Mode        string // effective response mode
	State       string
}

// Refusal is an error with the place it may be returned to.
type Refusal struct {
	Err    error
	Return Return
}

// Error implements error.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Err }

// ReadPushed checks what an authenticated client pushed (RFC 9126 §2.1).
func (v *Validator) ReadPushed(ctx context.Context, c *clients.Registered, p wire.Params) (*fapi.AuthorizationRequest, error) {
	if p.Has("request_uri") {
		return nil, fapi.InvalidRequest("request_uri cannot be pushed") // RFC 9126 §2.1-2
	}
	d := &draft{client: c, rules: &c.Rules, issuer: &v.issuer, now: v.deps.Now(), hints: v.deps.Hints, pushed: true}
	if err := v.fill(ctx, d, p); err != nil {
		return nil, err
	}
	return d.check()
}

// ReadFront checks a request that came through the browser with its parameters,
// not with a request_uri. Every error is a *Refusal.
func (v *Validator) ReadFront(ctx context.Context, c *clients.Registered, p wire.Params) (*fapi.AuthorizationRequest, error) {
	d := &draft{client: c, rules: &c.Rules, issuer: &v.issuer, now: v.deps.Now(), hints: v.deps.Hints}
	mode := p.Get("response_mode")
	if mode == "" && p.Has("request") {
		mode = unspokenMode(c, p.Get("response_type"))
	}
	d.back = returnTo(c, p.Get("redirect_uri"), p.Get("response_type"), mode, "")
	if c.Rules.RequestObjectRequired && !p.Has("request") {
		d.back.State = p.Get("state")
	}
	if err := v.fill(ctx, d, p); err != nil {
		return nil, &Refusal{Err: err, Return: d.back}
	}
	request, err := d.check()
	if err != nil {
		return nil, &Refusal{Err: err, Return: d.back}
	}
	return request, nil
}

// fill puts the effective parameters into d, from the request object or, where
// the rules allow it, from the plain parameters.
func (v *Validator) fill(ctx context.Context, d *draft, p wire.Params) error {
	switch {
	case p.Has("registration"):
		return fapi.NewError("registration_not_supported", "the registration parameter is not supported") // OIDC Core §3.1.2.6
	case p.Has("request"):
		return v.readObject(ctx, d, p.Get("request"))
	case d.rules.RequestObjectRequired || d.client.RequireSignedJAR:
		return fapi.InvalidRequest("a signed request object is required") // FAPI 1 Advanced §5.2.2-1
	default:
		d.in = plain(p)
		d.back = returnTo(d.client, d.in.RedirectURI, d.in.ResponseType, d.in.ResponseMode, d.in.State)
		return nil
	}
}
