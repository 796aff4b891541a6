package token

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/procura/procura/internal/engine"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
)

var errBadRefresh = fapi.InvalidGrant("the refresh token is unknown, expired, revoked, or another client's")

// refresh issues new tokens for a refresh token that stays what it is: it is
// bound to the client by its authentication (RFC 8705 §7.1), and the new access
// token to the certificate presented now. One statement in all.
func (s *Service) refresh(ctx context.Context, r *request) (*engine.Tokens, error) {
	if !r.params.Has("refresh_token") {
		return nil, fapi.InvalidRequest("refresh_token is missing")
	}
	token := fapi.Secret(r.params.Get("refresh_token"))
	once := r.once
	r.once = fapi.Once{}
	state, err := s.deps.Store.ReadRefresh(ctx, s.issuer.URL, token.Digest(), once)
	if errors.Is(err, fapi.ErrNotFound) {
		return nil, errBadRefresh.Because(err)
	}
	if err != nil {
		return nil, err
	}
	if err := judgeRefresh(r, state); err != nil {
		return nil, err
	}
	scope, err := narrow(state.Refresh.Scope, r.params.Get("scope"))
	if err != nil {
		return nil, err
	}
	obs.From(ctx).Set("grant_id", state.Grant.ID)
	return s.renew(ctx, r, token, state, scope)
}

func judgeRefresh(r *request, state *fapi.RefreshState) error {
	t := &state.Refresh
	switch {
	case t.ClientID != r.client.ID: // RFC 6749 §6
		return errBadRefresh.Because(errors.New("the refresh token is another client's"))
	case !t.RevokedAt.IsZero() || !t.ExpiresAt.IsZero() && !r.now.Before(t.ExpiresAt):
		return errBadRefresh.Because(errors.New("the refresh token is revoked or has expired"))
	case !state.Grant.Live(r.now):
		return errBadRefresh.Because(errors.New("the grant has ended"))
	case state.Consent != nil && !state.Consent.Live(r.now):
		return errBadRefresh.Because(errors.New("the consent has ended"))
	}
	return nil
}

// narrow applies the scope parameter: never wider than what was granted
// (RFC 6749 §6).
func narrow(granted []string, requested string) ([]string, error) {
	want := strings.Fields(requested)
	if len(want) == 0 {
		return granted, nil
	}
	for _, scope := range want {
		if !slices.Contains(granted, scope) {
			return nil, fapi.InvalidScope("a requested scope was not granted")
		}
	}
	slices.Sort(want)
	return slices.Compact(want), nil
}

func (s *Service) renew(ctx context.Context, r *request, token fapi.Secret, state *fapi.RefreshState, scope []string) (*engine.Tokens, error) {
	access, err := s.accessForGrant(r, &state.Grant)
	if err != nil {
		return nil, err
	}
	keys, err := r.client.EncryptionKeys(ctx)
	if err != nil {
		return nil, err
	}
	tokens, err := s.deps.Engine.Refresh(ctx, engine.Refreshment{
		Client: r.client.Client, Keys: keys, Token: token, State: state, Scope: scope, Access: access,
		// OIDC Core §12.2: the original auth_time, a new iat, no nonce.
		IDToken: engine.IDTokenFor(&state.Grant, "", r.now, r.client.Rules.IDTokenLife, true),
	})
	if err != nil {
		return nil, err
	}
	tokens.Refresh = token // told again, so that clients that store the answer keep it
	return tokens, nil
}
