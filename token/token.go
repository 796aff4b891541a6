// Package token is the token endpoint and what belongs to issued tokens:
// introspection, revocation, userinfo and the feed by which resource servers
// learn what was revoked.
//
// It refuses to issue a token that is not bound to the client's certificate,
// and nothing that it issues outlives the statement that spent what it was
// issued for.
package token

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/engine"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/wire"
)

// Codes reads and spends authorization codes.
type Codes interface {
	ReadCode(ctx context.Context, issuer string, d fapi.Digest) (*fapi.CodeState, error)
	SpendCode(ctx context.Context, r fapi.Redemption) error
	RevokeGrant(ctx context.Context, r fapi.GrantRevocation) error
}

// Refreshes reads refresh tokens and spends assertions.
type Refreshes interface {
	ReadRefresh(ctx context.Context, issuer string, d fapi.Digest, once fapi.Once) (*fapi.RefreshState, error)
	SpendOnce(ctx context.Context, once fapi.Once) error
}

// Store is what the endpoint keeps and reads.
type Store interface {
	Codes
	Refreshes
}

// Engine issues tokens.
type Engine interface {
	Redeem(ctx context.Context, in engine.Redemption) (*engine.Tokens, error)
	ClientCredentials(ctx context.Context, in engine.ClientGrant) (*engine.Tokens, error)
	Refresh(ctx context.Context, in engine.Refreshment) (*engine.Tokens, error)
}

// Clients authenticates clients and says what their tokens are bound to.
type Clients interface {
	Authenticate(ctx context.Context, r clientauth.Request) (clientauth.Result, error)
	Confirm(ctx context.Context, c *clients.Registered, p *cert.Peer) (fapi.Confirmation, error)
}

// Config names the issuer.
type Config struct{ Issuer fapi.Issuer }

// Deps are the endpoint's collaborators.
type Deps struct {
	Store   Store
	Clients Clients
	Engine  Engine
	// Revoked is called when a grant was revoked here, so that the feed need not
	// wait for its next look.
	Revoked func()
	Now     func() time.Time
	Rand    io.Reader
}

// Service is the token endpoint.
type Service struct {
	issuer fapi.Issuer
	deps   Deps
}

// New refuses missing parts.
func New(cfg Config, deps Deps) (*Service, error) {
	if cfg.Issuer.URL == "" || deps.Store == nil || deps.Clients == nil || deps.Engine == nil ||
		deps.Revoked == nil || deps.Now == nil || deps.Rand == nil {
		return nil, errors.New("token: a part is missing")
	}
	return &Service{issuer: cfg.Issuer, deps: deps}, nil
}

// request is an authenticated token request.
type request struct {
	params wire.Params
	client *clients.Registered
	once   fapi.Once
	bound  fapi.Confirmation
	now    time.Time
}

// grants is the dispatch table of the endpoint.
var grants = map[string]func(*Service, context.Context, *request) (*engine.Tokens, error){
	fapi.GrantAuthorizationCode: (*Service).exchangeCode,
	fapi.GrantRefreshToken:      (*Service).refresh,
	fapi.GrantClientCredentials: (*Service).clientCredentials,
}

// Exchange answers a token request (RFC 6749 §3.2). A refused request spends the
// assertion's jti alone, so that it cannot be tried again elsewhere.
func (s *Service) Exchange(ctx context.Context, in clientauth.Request) (*engine.Tokens, error) {
	who, err := s.deps.Clients.Authenticate(ctx, in)
	if err != nil {
		return nil, err
	}
	obs.From(ctx).Set("client_id", who.Client.ID)
	r := &request{params: in.Params, client: who.Client, once: who.Once, now: s.deps.Now()}
	tokens, err := s.exchange(ctx, r, in.Peer)
	if err != nil && !r.once.IsZero() {
		if spent := s.deps.Store.SpendOnce(ctx, r.once); spent != nil {
			err = spent
		}
	}
	if errors.Is(err, fapi.ErrReplayed) {
		err = fapi.InvalidClient("the client assertion was used before").Because(err)
	}
	return tokens, err
}

func (s *Service) exchange(ctx context.Context, r *request, peer *cert.Peer) (*engine.Tokens, error) {
	grantType := r.params.Get("grant_type")
	obs.From(ctx).Set("grant_type", known(grantType))
	handle, ok := grants[grantType]
	switch {
	case grantType == "":
		return nil, fapi.InvalidRequest("grant_type is missing")
	case !ok:
		return nil, fapi.NewError("unsupported_grant_type", "this grant_type is not supported")
	case !r.client.MayUseGrant(grantType):
		return nil, fapi.UnauthorizedClient("the client is not registered for this grant_type")
	}
	bound, err := s.bind(ctx, r.client, peer)
	if err != nil {
		return nil, err
	}
	r.bound = bound
	return handle(s, ctx, r)
}

func known(grantType string) string {
	if _, ok := grants[grantType]; ok {
		return grantType
	}
	return "other"
}

// bind finds the key that the token will be bound to (RFC 8705 §3, FAPI 1
// Advanced §5.2.2-5): without one there is no token.
func (s *Service) bind(ctx context.Context, c *clients.Registered, peer *cert.Peer) (fapi.Confirmation, error) {
	if !c.Rules.CertificateBound && !c.CertificateBound {
		return fapi.Confirmation{}, fapi.UnauthorizedClient("the client's tokens are not bound to anything")
	}
	return s.deps.Clients.Confirm(ctx, c, peer)
}

// accessFor is the template of an access token; scope is added when it is granted.
func (s *Service) accessFor(r *request) (fapi.AccessToken, error) {
	jti, err := uuid.NewRandomFromReader(s.deps.Rand)
	if err != nil {
		return fapi.AccessToken{}, err
	}
	return fapi.AccessToken{
		Issuer: s.issuer.URL, Audience: []string{s.issuer.Audience},
		ClientID: r.client.ID, Subject: r.client.ID, JTI: jti.String(), Confirmation: r.bound,
		IssuedAt: r.now, ExpiresAt: r.now.Add(r.client.Rules.AccessLife),
	}, nil
}

// accessForGrant is the template of a token that speaks for a customer.
func (s *Service) accessForGrant(r *request, g *fapi.Grant) (fapi.AccessToken, error) {
	t, err := s.accessFor(r)
	t.User, t.Subject, t.GrantID, t.ConsentID = true, g.Subject, g.ID, g.ConsentID
	t.AuthTime, t.ACR = g.AuthTime, g.ACR
	t.Audience = append(t.Audience, s.issuer.At(fapi.PathUserinfo))
	if !g.ExpiresAt.IsZero() && g.ExpiresAt.Before(t.ExpiresAt) {
		t.ExpiresAt = g.ExpiresAt
	}
	return t, err
}

// ServeHTTP serves POST /token.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	params, err := wire.ParseForm(r)
	if err != nil {
		wire.WriteError(w, r, err)
		return
	}
	peer, _ := cert.PeerFrom(r.Context())
	tokens, err := s.Exchange(r.Context(), clientauth.Request{
		Params: params, Authorization: r.Header.Get("Authorization"), Peer: peer})
	if err != nil {
		wire.WriteError(w, r, err)
		return
	}
	wire.WriteJSON(w, http.StatusOK, answer(tokens))
}

// answer is the token response (RFC 6749 §5.1); scope is always told.
func answer(t *engine.Tokens) map[string]any {
	body := map[string]any{
		"access_token": t.Access.Reveal(), "token_type": "Bearer",
		"expires_in": int64(t.Life.Seconds()), "scope": strings.Join(t.Scope, " "),
	}
	if t.Refresh != "" {
		body["refresh_token"] = t.Refresh.Reveal()
	}
	if t.IDToken != "" {
		body["id_token"] = t.IDToken.Reveal()
	}
	return body
}
