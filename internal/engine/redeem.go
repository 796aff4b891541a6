package engine

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// Redemption is an authenticated client's code, already found and unexpired,
// with PKCE and binding checked.
type Redemption struct {
	Client      *fapi.Client
	Keys        *jose.KeySet
	Code        fapi.Secret
	RedirectURI string
	State       *fapi.CodeState
	Access      fapi.AccessToken
	IDToken     fapi.IDToken
	WithRefresh bool
}

// ClientGrant is an authenticated client's own request for an application token.
type ClientGrant struct {
	Client *fapi.Client
	Scope  []string
	Access fapi.AccessToken
}

// Refreshment is an authenticated client's refresh token, already found and alive.
type Refreshment struct {
	Client  *fapi.Client
	Keys    *jose.KeySet
	Token   fapi.Secret
	State   *fapi.RefreshState
	Scope   []string // granted now: all of the grant's or fewer
	Access  fapi.AccessToken
	IDToken fapi.IDToken
}

// Tokens is the answer of the token endpoint.
type Tokens struct {
	Access  fapi.Secret
	Refresh fapi.Secret // empty when none was made
	IDToken fapi.Secret // empty without openid
	Scope   []string
	Life    time.Duration // of the access token
}

// Redeem exchanges a code (RFC 6749 §4.1.3). Nothing is stored: the caller's
// statement spends the code and decides whether this was the first time.
func (e *Engine) Redeem(ctx context.Context, in Redemption) (*Tokens, error) {
	op := &operation{
		engine: e, client: &client{Client: in.Client, withRefresh: in.WithRefresh}, keys: in.Keys,
		access: in.Access, idToken: in.IDToken, stored: storedCode(in),
	}
	return e.exchange(ctx, op, url.Values{
		"grant_type":   {fapi.GrantAuthorizationCode},
		"code":         {in.Code.Reveal()},
		"redirect_uri": {in.RedirectURI},
	}, nil)
}

// storedCode shows fosite the request that the code was issued for.
func storedCode(in Redemption) fosite.Requester {
	owner := &fapi.Client{ID: in.State.Code.ClientID}
	r := &fosite.AuthorizeRequest{Request: *fosite.NewRequest()}
	r.Client = &client{Client: owner, withRefresh: in.WithRefresh}
	if owner.ID == in.Client.ID {
		r.Client = &client{Client: in.Client, withRefresh: in.WithRefresh}
	}
	r.ID = in.State.Grant.ID
	r.Session = newSession(in.State.Grant.Subject)
	r.Form = url.Values{"redirect_uri": {in.State.Code.RedirectURI}}
	r.SetRequestedScopes(in.State.Code.Scope)
	for _, scope := range in.State.Code.Scope {
		r.GrantScope(scope)
	}
	return r
}

// ClientCredentials issues an application token (RFC 6749 §4.4).
func (e *Engine) ClientCredentials(ctx context.Context, in ClientGrant) (*Tokens, error) {
	op := &operation{engine: e, client: &client{Client: in.Client}, access: in.Access}
	return e.exchange(ctx, op, url.Values{
		"grant_type": {fapi.GrantClientCredentials},
		"scope":      {strings.Join(in.Scope, " ")},
	}, in.Scope)
}

// Refresh issues new tokens for a refresh token, which stays what it is
// (RFC 6749 §6; not rotated, FAPI 2 §5.3.2.1-9).
func (e *Engine) Refresh(ctx context.Context, in Refreshment) (*Tokens, error) {
	op := &operation{
		engine: e, client: &client{Client: in.Client, withRefresh: true}, keys: in.Keys,
		access: in.Access, idToken: in.IDToken,
	}
	tokens, err := e.exchange(ctx, op, url.Values{
		"grant_type":    {fapi.GrantRefreshToken},
		"refresh_token": {in.Token.Reveal()},
	}, in.Scope)
	return tokens, err
}

// exchange runs fosite's token endpoint and collects what was made.
func (e *Engine) exchange(ctx context.Context, op *operation, form url.Values, grant []string) (*Tokens, error) {
	provider := e.provider(op)
	request, err := provider.NewAccessRequest(ctx, synthetic(ctx, form), newSession(op.access.Subject))
	if err != nil {
		return nil, outward(err)
	}
	for _, scope := range grant {
		request.GrantScope(scope)
	}
	response, err := provider.NewAccessResponse(ctx, request)
	if err != nil {
		return nil, outward(err)
	}
	idToken, _ := response.GetExtra("id_token").(string)
	return &Tokens{Access: op.accessToken, Refresh: op.refresh, IDToken: fapi.Secret(idToken),
		Scope: request.GetGrantedScopes(), Life: op.access.ExpiresAt.Sub(op.access.IssuedAt)}, nil
}

// refreshHandler is the refresh_token grant without rotation: fosite's own
// always replaces the token and ignores the scope parameter.
type refreshHandler struct{ op *operation }

var _ fosite.TokenEndpointHandler = (*refreshHandler)(nil)

// CanSkipClientAuth implements fosite.TokenEndpointHandler.
func (h *refreshHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool {
	return false
}

// CanHandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (h *refreshHandler) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return r.GetGrantTypes().ExactOne(fapi.GrantRefreshToken)
}

// HandleTokenEndpointRequest checks that we made the token and that the client
// may use the grant.
func (h *refreshHandler) HandleTokenEndpointRequest(ctx context.Context, r fosite.AccessRequester) error {
	if !r.GetClient().GetGrantTypes().Has(fapi.GrantRefreshToken) {
		return fosite.ErrUnauthorizedClient
	}
	if err := h.op.ValidateRefreshToken(ctx, r, r.GetRequestForm().Get("refresh_token")); err != nil {
		return fosite.ErrInvalidGrant.WithWrap(err)
	}
	return nil
}

// PopulateTokenEndpointResponse mints the new tokens.
func (h *refreshHandler) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, w fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	access, _, err := h.op.GenerateAccessToken(ctx, r)
	if err != nil {
		return fosite.ErrServerError.WithWrap(err)
	}
	w.SetAccessToken(access)
	w.SetTokenType("bearer")
	if !r.GetGrantedScopes().Has("openid") {
		return nil
	}
	idToken, err := h.op.GenerateIDToken(ctx, 0, r)
	if err != nil {
		return fosite.ErrServerError.WithWrap(err)
	}
	w.SetExtra("id_token", idToken)
	return nil
}
