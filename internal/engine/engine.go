// Package engine is the only door to fosite. It drives fosite's own pipeline
// (NewAuthorizeRequest/Response, NewAccessRequest/Response) with synthetic
// requests made of values that Procura has already validated: no byte from the
// network reaches fosite. What fosite reads it is given from rows that were read
// once; what it writes is kept and returned, so that one statement stores it.
//
// The engine decides nothing about time: its callers refuse what has expired
// before they ask.
package engine

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/token/hmac"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// Mint makes the tokens that carry a signature.
type Mint interface {
	Access(t fapi.AccessToken) (fapi.Secret, error)
	IDToken(c *fapi.Client, keys *jose.KeySet, t fapi.IDToken) (fapi.Secret, error)
}

// Config names the issuer and the secret that codes and refresh tokens are
// authenticated with.
type Config struct {
	Secret []byte // 32 bytes; the same on every process of the issuer
}

// Deps are what the engine needs of the house.
type Deps struct {
	Mint Mint
	Now  func() time.Time
}

// Engine runs one operation at a time through fosite; it keeps no state between
// them and is safe for concurrent use.
type Engine struct {
	base  *fosite.Config
	hmac  *oauth2.HMACSHAStrategyUnPrefixed
	deps  Deps
	authz []func(*operation) fosite.AuthorizeEndpointHandler
	token []func(*operation) fosite.TokenEndpointHandler
}

// New refuses a secret of another size than 32 bytes and missing dependencies.
func New(cfg Config, deps Deps) (*Engine, error) {
	if len(cfg.Secret) != 32 {
		return nil, errors.New("engine: the secret must have 32 bytes")
	}
	if deps.Mint == nil || deps.Now == nil {
		return nil, errors.New("engine: a dependency is missing")
	}
	base := baseConfig(cfg.Secret)
	e := &Engine{base: base, deps: deps}
	e.hmac = oauth2.NewHMACSHAStrategyUnPrefixed(&hmac.HMACStrategy{Config: base}, base)
	e.compose()
	return e, nil
}

// baseConfig fills every field that one of fosite's lazy getters would otherwise
// write during a request.
func baseConfig(secret []byte) *fosite.Config {
	return &fosite.Config{
		GlobalSecret:                 secret,
		AuthorizeCodeLifespan:        time.Minute,
		AccessTokenLifespan:          10 * time.Minute,
		IDTokenLifespan:              10 * time.Minute,
		RefreshTokenLifespan:         -1,
		RefreshTokenScopes:           []string{},
		ScopeStrategy:                fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:     fosite.ExactAudienceMatchingStrategy,
		OmitRedirectScopeParam:       true,
		MinParameterEntropy:          1,
		TokenEntropy:                 32,
		EnforcePKCE:                  true,
		RedirectSecureChecker:        func(_ context.Context, u *url.URL) bool { return u.Scheme == "https" },
		ResponseModeHandlerExtension: &fosite.DefaultResponseModeHandler{},
		ClientSecretsHasher:          refuseSecrets{},
		AllowedPromptValues:          []string{},
		SanitationWhiteList:          []string{"code", "redirect_uri"},
	}
}

// compose lists the handlers in the order in which fosite runs them: the code
// must exist before the OpenID Connect handlers look for it.
func (e *Engine) compose() {
	e.authz = []func(*operation) fosite.AuthorizeEndpointHandler{
		func(op *operation) fosite.AuthorizeEndpointHandler { return op.explicit() },
		func(op *operation) fosite.AuthorizeEndpointHandler { return op.openidExplicit() },
		func(op *operation) fosite.AuthorizeEndpointHandler { return op.hybrid() },
	}
	e.token = []func(*operation) fosite.TokenEndpointHandler{
		func(op *operation) fosite.TokenEndpointHandler { return op.explicit() },
		func(op *operation) fosite.TokenEndpointHandler { return op.openidExplicit() },
		func(op *operation) fosite.TokenEndpointHandler { return op.clientCredentials() },
		func(op *operation) fosite.TokenEndpointHandler { return &refreshHandler{op} },
	}
}

// provider returns fosite around one operation.
func (e *Engine) provider(op *operation) *fosite.Fosite {
	return &fosite.Fosite{Store: op, Config: &operationConfig{Config: e.base, op: op}}
}

// operationConfig hands fosite the operation's own handlers.
type operationConfig struct {
	*fosite.Config
	op *operation
}

// GetAuthorizeEndpointHandlers implements fosite.AuthorizeEndpointHandlersProvider.
func (c *operationConfig) GetAuthorizeEndpointHandlers(context.Context) (list fosite.AuthorizeEndpointHandlers) {
	for _, make := range c.op.engine.authz {
		list = append(list, make(c.op))
	}
	return list
}

// GetTokenEndpointHandlers implements fosite.TokenEndpointHandlersProvider.
func (c *operationConfig) GetTokenEndpointHandlers(context.Context) (list fosite.TokenEndpointHandlers) {
	for _, make := range c.op.engine.token {
		list = append(list, make(c.op))
	}
	return list
}

// GetClientAuthenticationStrategy tells fosite that the client is already known.
func (c *operationConfig) GetClientAuthenticationStrategy(context.Context) fosite.ClientAuthenticationStrategy {
	return func(context.Context, *http.Request, url.Values) (fosite.Client, error) { return c.op.client, nil }
}

// refuseSecrets is the hasher of clients that have no secret.
type refuseSecrets struct{}

func (refuseSecrets) Compare(context.Context, []byte, []byte) error {
	return errors.New("client secrets are not used")
}

func (refuseSecrets) Hash(context.Context, []byte) ([]byte, error) {
	return nil, errors.New("client secrets are not used")
}

// synthetic is a request as fosite wants it: the form already parsed, no body,
// nothing of the network in it.
func synthetic(ctx context.Context, form url.Values) *http.Request {
	r := (&http.Request{Method: http.MethodPost, URL: &url.URL{}, Header: http.Header{}, Body: http.NoBody}).WithContext(ctx)
	r.Form, r.PostForm = form, form
	return r
}

func (op *operation) explicit() *oauth2.AuthorizeExplicitGrantHandler {
	return &oauth2.AuthorizeExplicitGrantHandler{
		AccessTokenStrategy: op, RefreshTokenStrategy: op, AuthorizeCodeStrategy: op,
		CoreStorage: op, TokenRevocationStorage: op, Config: op.engine.base,
	}
}

func (op *operation) openidExplicit() *openid.OpenIDConnectExplicitHandler {
	return &openid.OpenIDConnectExplicitHandler{
		OpenIDConnectRequestStorage:   op,
		OpenIDConnectRequestValidator: openid.NewOpenIDConnectRequestValidator(nil, op.engine.base),
		Config:                        op.engine.base,
		IDTokenHandleHelper:           &openid.IDTokenHandleHelper{IDTokenStrategy: op},
	}
}

func (op *operation) hybrid() *openid.OpenIDConnectHybridHandler {
	return &openid.OpenIDConnectHybridHandler{
		AuthorizeExplicitGrantHandler: op.explicit(),
		IDTokenHandleHelper:           &openid.IDTokenHandleHelper{IDTokenStrategy: op},
		OpenIDConnectRequestStorage:   op,
		OpenIDConnectRequestValidator: openid.NewOpenIDConnectRequestValidator(nil, op.engine.base),
		Config:                        op.engine.base,
	}
}

func (op *operation) clientCredentials() *oauth2.ClientCredentialsGrantHandler {
	return &oauth2.ClientCredentialsGrantHandler{
		HandleHelper: &oauth2.HandleHelper{AccessTokenStrategy: op, AccessTokenStorage: op, Config: op.engine.base},
		Config:       op.engine.base,
	}
}
