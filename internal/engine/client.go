package engine

import (
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/token/jwt"

	"github.com/procura/procura/internal/fapi"
)

// client shows a registered client to fosite: never as an OpenIDConnectClient,
// whose keys would be of go-jose v3.
type client struct {
	*fapi.Client
	withRefresh bool // whether this operation may issue a refresh token
}

// GetID implements fosite.Client.
func (c *client) GetID() string { return c.ID }

// GetHashedSecret implements fosite.Client: there is none.
func (c *client) GetHashedSecret() []byte { return nil }

// GetRedirectURIs implements fosite.Client.
func (c *client) GetRedirectURIs() []string { return c.RedirectURIs }

// GetGrantTypes implements fosite.Client. fosite issues a refresh token to
// whoever has the grant type, so it only sees it when one is due.
func (c *client) GetGrantTypes() (types fosite.Arguments) {
	for _, t := range c.GrantTypes {
		if t != fapi.GrantRefreshToken || c.withRefresh {
			types = append(types, t)
		}
	}
	return types
}

// GetResponseTypes implements fosite.Client.
func (c *client) GetResponseTypes() fosite.Arguments { return c.ResponseTypes }

// GetScopes implements fosite.Client.
func (c *client) GetScopes() fosite.Arguments { return c.Scopes() }

// IsPublic implements fosite.Client: every client authenticates.
func (c *client) IsPublic() bool { return false }

// GetAudience implements fosite.Client.
func (c *client) GetAudience() fosite.Arguments { return nil }

// session satisfies fosite's and its OpenID Connect handlers' idea of a session.
// It never lets fosite judge a time: whatever reaches it is unexpired.
type session struct {
	claims  jwt.IDTokenClaims
	headers jwt.Headers
}

var _ openid.Session = (*session)(nil)

func newSession(subject string) *session {
	return &session{claims: jwt.IDTokenClaims{Subject: subject}}
}

// SetExpiresAt implements fosite.Session and forgets the value.
func (s *session) SetExpiresAt(fosite.TokenType, time.Time) {}

// GetExpiresAt implements fosite.Session: never in the past.
func (s *session) GetExpiresAt(fosite.TokenType) time.Time {
	return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
}

// GetUsername implements fosite.Session.
func (s *session) GetUsername() string { return "" }

// GetSubject implements fosite.Session.
func (s *session) GetSubject() string { return s.claims.Subject }

// Clone implements fosite.Session.
func (s *session) Clone() fosite.Session { c := *s; return &c }

// IDTokenClaims implements openid.Session.
func (s *session) IDTokenClaims() *jwt.IDTokenClaims { return &s.claims }

// IDTokenHeaders implements openid.Session.
func (s *session) IDTokenHeaders() *jwt.Headers { return &s.headers }
