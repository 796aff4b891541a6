package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// operation is one run through fosite: the rows it may read, the templates of
// the tokens it makes, and what it made. It stands in for fosite's storage and
// for its token strategies.
type operation struct {
	engine *Engine
	client *client
	keys   *jose.KeySet // the client's, for encrypted id tokens

	stored  fosite.Requester // what the code or refresh token was issued for
	access  fapi.AccessToken
	idToken fapi.IDToken

	code, refresh fapi.Secret
	accessToken   fapi.Secret
}

var (
	_ fosite.Storage                     = (*operation)(nil)
	_ oauth2.CoreStorage                 = (*operation)(nil)
	_ oauth2.TokenRevocationStorage      = (*operation)(nil)
	_ openid.OpenIDConnectRequestStorage = (*operation)(nil)
	_ oauth2.CoreStrategy                = (*operation)(nil)
	_ openid.OpenIDConnectTokenStrategy  = (*operation)(nil)
)

// errOutside marks calls that fosite must not make: the sequences of this
// package never lead there.
var errOutside = errors.New("engine: fosite went outside of the operation")

// GetClient answers with the one client of the operation.
func (op *operation) GetClient(_ context.Context, id string) (fosite.Client, error) {
	if id != op.client.GetID() {
		return nil, fosite.ErrNotFound
	}
	return op.client, nil
}

// ClientAssertionJWTValid is never reached: assertions are checked by clientauth.
func (op *operation) ClientAssertionJWTValid(context.Context, string) error { return errOutside }

// SetClientAssertionJWT is never reached: the jti is spent by our own statement.
func (op *operation) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return errOutside
}

// CreateAuthorizeCodeSession keeps nothing: the code was caught when it was made.
func (op *operation) CreateAuthorizeCodeSession(context.Context, string, fosite.Requester) error {
	return nil
}

// GetAuthorizeCodeSession returns the row that was read before fosite was asked.
func (op *operation) GetAuthorizeCodeSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	if op.stored == nil {
		return nil, fosite.ErrNotFound
	}
	return op.stored, nil
}

// InvalidateAuthorizeCodeSession keeps nothing: the caller's statement spends the code.
func (op *operation) InvalidateAuthorizeCodeSession(context.Context, string) error { return nil }

// CreateAccessTokenSession keeps nothing: access tokens have no row.
func (op *operation) CreateAccessTokenSession(context.Context, string, fosite.Requester) error {
	return nil
}

// GetAccessTokenSession is never reached.
func (op *operation) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, errOutside
}

// DeleteAccessTokenSession is never reached.
func (op *operation) DeleteAccessTokenSession(context.Context, string) error { return errOutside }

// CreateRefreshTokenSession keeps nothing: the token was caught when it was made.
func (op *operation) CreateRefreshTokenSession(context.Context, string, string, fosite.Requester) error {
	return nil
}

// GetRefreshTokenSession is never reached: the refresh handler is ours.
func (op *operation) GetRefreshTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, errOutside
}

// DeleteRefreshTokenSession is never reached.
func (op *operation) DeleteRefreshTokenSession(context.Context, string) error { return errOutside }

// RotateRefreshToken is never reached.
func (op *operation) RotateRefreshToken(context.Context, string, string) error { return errOutside }

// RevokeRefreshToken is never reached: replay is decided before fosite is asked.
func (op *operation) RevokeRefreshToken(context.Context, string) error { return errOutside }

// RevokeAccessToken is never reached.
func (op *operation) RevokeAccessToken(context.Context, string) error { return errOutside }

// CreateOpenIDConnectSession keeps nothing: the code's row holds these values too.
func (op *operation) CreateOpenIDConnectSession(context.Context, string, fosite.Requester) error {
	return nil
}

// GetOpenIDConnectSession returns the code's row when it was an OpenID request.
func (op *operation) GetOpenIDConnectSession(context.Context, string, fosite.Requester) (fosite.Requester, error) {
	if op.stored == nil || !op.stored.GetGrantedScopes().Has("openid") {
		return nil, openid.ErrNoSessionFound
	}
	return op.stored, nil
}

// DeleteOpenIDConnectSession keeps nothing.
func (op *operation) DeleteOpenIDConnectSession(context.Context, string) error { return nil }

// AuthorizeCodeSignature implements oauth2.AuthorizeCodeStrategy.
func (op *operation) AuthorizeCodeSignature(ctx context.Context, token string) string {
	return op.engine.hmac.AuthorizeCodeSignature(ctx, token)
}

// GenerateAuthorizeCode makes a code and remembers it.
func (op *operation) GenerateAuthorizeCode(ctx context.Context, r fosite.Requester) (string, string, error) {
	code, signature, err := op.engine.hmac.GenerateAuthorizeCode(ctx, r)
	op.code = fapi.Secret(code)
	return code, signature, err
}

// ValidateAuthorizeCode checks that we made the code.
func (op *operation) ValidateAuthorizeCode(ctx context.Context, r fosite.Requester, code string) error {
	return op.engine.hmac.ValidateAuthorizeCode(ctx, r, code)
}

// RefreshTokenSignature implements oauth2.RefreshTokenStrategy.
func (op *operation) RefreshTokenSignature(ctx context.Context, token string) string {
	return op.engine.hmac.RefreshTokenSignature(ctx, token)
}

// GenerateRefreshToken makes a refresh token and remembers it.
func (op *operation) GenerateRefreshToken(ctx context.Context, r fosite.Requester) (string, string, error) {
	token, signature, err := op.engine.hmac.GenerateRefreshToken(ctx, r)
	op.refresh = fapi.Secret(token)
	return token, signature, err
}

// ValidateRefreshToken checks that we made the token.
func (op *operation) ValidateRefreshToken(ctx context.Context, r fosite.Requester, token string) error {
	return op.engine.hmac.ValidateRefreshToken(ctx, r, token)
}

// AccessTokenSignature implements oauth2.AccessTokenStrategy; nothing is found by it.
func (op *operation) AccessTokenSignature(context.Context, string) string { return "" }

// GenerateAccessToken mints the self-contained token with the scope that fosite granted.
func (op *operation) GenerateAccessToken(_ context.Context, r fosite.Requester) (string, string, error) {
	op.access.Scope = r.GetGrantedScopes()
	token, err := op.engine.deps.Mint.Access(op.access)
	if err != nil {
		return "", "", fmt.Errorf("minting an access token: %w", err)
	}
	op.accessToken = token
	return token.Reveal(), op.access.JTI, nil
}

// ValidateAccessToken is never reached.
func (op *operation) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return errOutside
}

// GenerateIDToken mints the id token with the hashes of what was issued beside it.
func (op *operation) GenerateIDToken(context.Context, time.Duration, fosite.Requester) (string, error) {
	t := op.idToken
	t.Code, t.AccessToken = op.code, op.accessToken
	token, err := op.engine.deps.Mint.IDToken(op.client.Client, op.keys, t)
	if err != nil {
		return "", fmt.Errorf("minting an id token: %w", err)
	}
	return token.Reveal(), nil
}
