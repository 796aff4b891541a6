package token

import (
	"context"
	"slices"
	"strings"

	"github.com/procura/procura/internal/engine"
	"github.com/procura/procura/internal/fapi"
)

// userScopes make sense only when a customer stands behind the token.
var userScopes = []string{"openid", "offline_access"}

// clientCredentials issues an application token (RFC 6749 §4.4). Nothing is
// stored but the assertion's jti.
func (s *Service) clientCredentials(ctx context.Context, r *request) (*engine.Tokens, error) {
	scope, err := applicationScope(r.client.Client, r.params.Get("scope"))
	if err != nil {
		return nil, err
	}
	access, err := s.accessFor(r)
	if err != nil {
		return nil, err
	}
	tokens, err := s.deps.Engine.ClientCredentials(ctx, engine.ClientGrant{Client: r.client.Client, Scope: scope, Access: access})
	if err != nil {
		return nil, err
	}
	once := r.once
	r.once = fapi.Once{}
	if err := s.deps.Store.SpendOnce(ctx, once); err != nil {
		return nil, err
	}
	return tokens, nil
}

// applicationScope takes the scope asked for, or everything registered that an
// application may have by itself.
func applicationScope(c *fapi.Client, requested string) ([]string, error) {
	registered := slices.DeleteFunc(c.Scopes(), func(s string) bool { return slices.Contains(userScopes, s) })
	want := strings.Fields(requested)
	if len(want) == 0 {
		want = registered
	}
	for _, scope := range want {
		if !slices.Contains(registered, scope) {
			return nil, fapi.InvalidScope("a requested scope is not available to the application itself")
		}
	}
	if len(want) == 0 {
		return nil, fapi.InvalidScope("the client has no scope that an application may have by itself")
	}
	slices.Sort(want)
	return slices.Compact(want), nil
}
