package token

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"

	"github.com/procura/procura/internal/engine"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
)

var errBadCode = fapi.InvalidGrant("the code is unknown, expired, used, or was issued to another client or redirect_uri")

// exchangeCode redeems a code: one read, then one statement that spends it with
// the assertion and stores the refresh token (RFC 6749 §4.1.3).
func (s *Service) exchangeCode(ctx context.Context, r *request) (*engine.Tokens, error) {
	if !r.params.Has("code") {
		return nil, fapi.InvalidRequest("code is missing")
	}
	code := fapi.Secret(r.params.Get("code"))
	state, err := s.deps.Store.ReadCode(ctx, s.issuer.URL, code.Digest())
	if errors.Is(err, fapi.ErrNotFound) {
		return nil, errBadCode.Because(err)
	}
	if err != nil {
		return nil, err
	}
	if err := s.judgeCode(ctx, r, state); err != nil {
		return nil, err
	}
	obs.From(ctx).Set("grant_id", state.Grant.ID)
	tokens, err := s.redeem(ctx, r, code, state)
	if err != nil {
		return nil, err
	}
	return tokens, s.spend(ctx, r, code, state, tokens)
}

// judgeCode compares everything that the code was bound to. A code of another
// client is left alone: a stranger must not burn it (attack 3).
func (s *Service) judgeCode(ctx context.Context, r *request, state *fapi.CodeState) error {
	c := &state.Code
	switch {
	case c.ClientID != r.client.ID:
		return errBadCode.Because(errors.New("the code is another client's"))
	case !c.SpentAt.IsZero():
		return s.replayed(ctx, r, state)
	case !r.now.Before(c.ExpiresAt): // FAPI 2 §5.3.2.1-11, without grace
		return errBadCode.Because(errors.New("the code has expired"))
	case c.RedirectURI != r.params.Get("redirect_uri"): // OIDC Core §3.1.3.2
		return errBadCode.Because(errors.New("redirect_uri differs"))
	case !state.Grant.Live(r.now):
		return errBadCode.Because(errors.New("the grant has ended"))
	case state.Consent != nil && !state.Consent.Live(r.now):
		return errBadCode.Because(errors.New("the consent has ended"))
	}
	return verifyPKCE(c.CodeChallenge, r.params.Get("code_verifier"))
}

// replayed revokes what the code's first use led to (RFC 6749 §4.1.2). The
// revocation stays although the request is refused.
func (s *Service) replayed(ctx context.Context, r *request, state *fapi.CodeState) error {
	err := s.deps.Store.RevokeGrant(ctx, fapi.GrantRevocation{
		Issuer: s.issuer.URL, GrantID: state.Grant.ID, ClientID: r.client.ID, Reason: "code_replay",
		Now: r.now, FeedUntil: feedUntil(r.client, r.now),
	})
	if err != nil {
		return err
	}
	s.deps.Revoked()
	return errBadCode.Because(errors.New("the code was used before; the grant is revoked"))
}

// verifyPKCE: RFC 7636 §4.6. A verifier without a stored challenge is refused
// too: somebody took the challenge out of the request (RFC 9700 §4.8.2).
func verifyPKCE(challenge, verifier string) error {
	if challenge == "" && verifier == "" {
		return nil
	}
	if challenge == "" {
		return fapi.InvalidGrant("code_verifier is given but the request had no code_challenge")
	}
	if !wellFormedVerifier(verifier) {
		return fapi.InvalidGrant("code_verifier is missing or malformed")
	}
	sum := sha256.Sum256([]byte(verifier))
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) != 1 {
		return fapi.InvalidGrant("code_verifier does not match the code_challenge")
	}
	return nil
}

// wellFormedVerifier: RFC 7636 §4.1, 43 to 128 unreserved characters.
func wellFormedVerifier(v string) bool {
	if len(v) < fapi.MinVerifier || len(v) > fapi.MaxVerifier {
		return false
	}
	return !slices.ContainsFunc([]byte(v), func(b byte) bool {
		switch {
		case b >= 'A' && b <= 'Z', b >= 'a' && b <= 'z', b >= '0' && b <= '9', b == '-', b == '.', b == '_', b == '~':
			return false
		}
		return true
	})
}

func (s *Service) redeem(ctx context.Context, r *request, code fapi.Secret, state *fapi.CodeState) (*engine.Tokens, error) {
	access, err := s.accessForGrant(r, &state.Grant)
	if err != nil {
		return nil, err
	}
	keys, err := r.client.EncryptionKeys(ctx)
	if err != nil {
		return nil, err
	}
	return s.deps.Engine.Redeem(ctx, engine.Redemption{
		Client: r.client.Client, Keys: keys, Code: code, RedirectURI: r.params.Get("redirect_uri"), State: state,
		Access:      access,
		IDToken:     engine.IDTokenFor(&state.Grant, state.Code.Nonce, r.now, r.client.Rules.IDTokenLife, true),
		WithRefresh: refreshDue(r, &state.Grant),
	})
}

// refreshDue: to clients with the grant type, for offline_access or for an
// intent, which outlives any access token.
func refreshDue(r *request, g *fapi.Grant) bool {
	return r.client.MayUseGrant(fapi.GrantRefreshToken) &&
		(g.ConsentID != "" || slices.Contains(g.Scope, "offline_access"))
}

// spend decides the race: exactly one redemption finds the code unspent.
func (s *Service) spend(ctx context.Context, r *request, code fapi.Secret, state *fapi.CodeState, tokens *engine.Tokens) error {
	spending := fapi.Redemption{Code: code.Digest(), Issuer: s.issuer.URL, ClientID: r.client.ID, Once: r.once, Now: r.now}
	if tokens.Refresh != "" {
		spending.Refresh = &fapi.RefreshToken{
			Digest: tokens.Refresh.Digest(), GrantID: state.Grant.ID, Issuer: s.issuer.URL, ClientID: r.client.ID,
			Scope: tokens.Scope, CreatedAt: r.now, ExpiresAt: state.Grant.ExpiresAt,
		}
	}
	err := s.deps.Store.SpendCode(ctx, spending)
	if err == nil || errors.Is(err, fapi.ErrSpent) || errors.Is(err, fapi.ErrReplayed) {
		r.once = fapi.Once{} // the statement has spent it, or found it spent
	}
	if errors.Is(err, fapi.ErrSpent) {
		return s.replayed(ctx, r, state)
	}
	return err
}
