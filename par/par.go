// Package par is the pushed authorization request endpoint (RFC 9126): it
// authenticates the client exactly as the token endpoint does, makes every check
// that can be made before the customer comes, and stores the effective
// parameters in one statement together with the assertion's jti.
//
// It refuses request_uri in a push, unregistered redirect URIs, and unsigned
// parameters where the client's rules demand a request object.
package par

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/wire"
)

// Store keeps pushed requests.
type Store interface {
	InsertPushed(ctx context.Context, p fapi.PushedRequest, once fapi.Once) error
	SpendOnce(ctx context.Context, once fapi.Once) error
}

// Authenticator authenticates clients without spending their assertion.
type Authenticator interface {
	Authenticate(ctx context.Context, r clientauth.Request) (clientauth.Result, error)
}

// Validator checks authorization requests.
type Validator interface {
	ReadPushed(ctx context.Context, c *clients.Registered, p wire.Params) (*fapi.AuthorizationRequest, error)
}

// Config names the issuer.
type Config struct{ Issuer fapi.Issuer }

// Deps are the room's collaborators.
type Deps struct {
	Store         Store
	Authenticator Authenticator
	Validator     Validator
	Now           func() time.Time
	Rand          io.Reader
}

// Service is the room.
type Service struct {
	issuer string
	deps   Deps
}

// New refuses missing parts.
func New(cfg Config, deps Deps) (*Service, error) {
	if cfg.Issuer.URL == "" || deps.Store == nil || deps.Authenticator == nil || deps.Validator == nil ||
		deps.Now == nil || deps.Rand == nil {
		return nil, errors.New("par: a part is missing")
	}
	return &Service{issuer: cfg.Issuer.URL, deps: deps}, nil
}

// Receipt answers a push (RFC 9126 §2.2).
type Receipt struct {
	RequestURI fapi.Secret
	ExpiresIn  time.Duration
}

// ServeHTTP serves POST /par.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	params, err := wire.ParseForm(r)
	if err != nil {
		wire.WriteError(w, r, err)
		return
	}
	peer, _ := cert.PeerFrom(r.Context())
	receipt, err := s.Push(r.Context(), clientauth.Request{
		Params: params, Authorization: r.Header.Get("Authorization"), Peer: peer})
	if err != nil {
		wire.WriteError(w, r, err)
		return
	}
	wire.WriteJSON(w, http.StatusCreated, map[string]any{
		"request_uri": receipt.RequestURI.Reveal(), "expires_in": int64(receipt.ExpiresIn.Seconds())})
}

// Push authenticates, checks and stores. A refused request still spends the
// assertion's jti, alone.
func (s *Service) Push(ctx context.Context, in clientauth.Request) (*Receipt, error) {
	who, err := s.deps.Authenticator.Authenticate(ctx, in)
	if err != nil {
		return nil, err
	}
	obs.From(ctx).Set("client_id", who.Client.ID)
	receipt, err := s.push(ctx, who, in.Params)
	if errors.Is(err, fapi.ErrReplayed) {
		return nil, fapi.InvalidClient("the client assertion was used before").Because(err)
	}
	return receipt, err
}

func (s *Service) push(ctx context.Context, who clientauth.Result, params wire.Params) (*Receipt, error) {
	request, err := s.deps.Validator.ReadPushed(ctx, who.Client, params)
	if err != nil {
		if spent := s.deps.Store.SpendOnce(ctx, who.Once); spent != nil {
			return nil, spent
		}
		return nil, err
	}
	reference, err := fapi.NewSecret(s.deps.Rand, 32)
	if err != nil {
		return nil, err
	}
	uri := fapi.Secret(fapi.RequestURIPrefix + reference.Reveal())
	now, life := s.deps.Now(), who.Client.Rules.PARLife
	err = s.deps.Store.InsertPushed(ctx, fapi.PushedRequest{
		Digest: uri.Digest(), Issuer: s.issuer, ClientID: who.Client.ID, Request: *request,
		CreatedAt: now, ExpiresAt: now.Add(life),
	}, who.Once)
	if err != nil {
		return nil, err
	}
	return &Receipt{RequestURI: uri, ExpiresIn: life}, nil
}
