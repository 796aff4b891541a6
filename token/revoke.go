package token

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/wire"
)

// reasonByClient stands in the audit row of a grant that its client gave up.
const reasonByClient = "revoked_by_client"

// RevocationConfig says whose tokens are revoked.
type RevocationConfig struct {
	Issuer fapi.Issuer
}

// RevocationStore is what revocation asks of the database. The two acts spend
// the caller's jti in their own statement.
type RevocationStore interface {
	OnceStore
	ReadRefresh(ctx context.Context, issuer string, digest fapi.Digest, once fapi.Once) (*fapi.RefreshState, error)
	RevokeGrant(ctx context.Context, r fapi.GrantRevocation) error
	RevokeToken(ctx context.Context, r fapi.TokenRevocation) error
}

// RevocationDeps are what revocation needs of others.
type RevocationDeps struct {
	Clients Authenticator
	Tokens  AccessReader
	Store   RevocationStore
	// Revoked is called when a revocation has committed, so that the feed need not
	// wait for its next look.
	Revoked func()
	Now     func() time.Time
}

// Revocation is the endpoint of RFC 7009. A refresh token takes its whole grant
// with it, an access token only itself. Tokens that do not exist or are dead
// already are answered 200; it refuses another client's token, which stays alive,
// and resource servers, whose credentials are good for introspection alone.
type Revocation struct {
	cfg  RevocationConfig
	deps RevocationDeps
}

// NewRevocation refuses missing parts.
func NewRevocation(cfg RevocationConfig, deps RevocationDeps) (*Revocation, error) {
	if cfg.Issuer.URL == "" || deps.Clients == nil || deps.Tokens == nil || deps.Store == nil ||
		deps.Revoked == nil || deps.Now == nil {
		return nil, errors.New("revocation: Issuer, Clients, Tokens, Store, Revoked and Now are all needed")
	}
	return &Revocation{cfg: cfg, deps: deps}, nil
}

// ServeHTTP answers POST /revoke: an empty 200 (RFC 7009 §2.2), or an error as
// JSON, 503 when the revocation could not be stored and must be asked for again.
func (rv *Revocation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := rv.revoke(r); err != nil {
		wire.WriteError(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

func (rv *Revocation) revoke(r *http.Request) error {
	ctx := r.Context()
	params, caller, err := formCaller(r, rv.deps.Clients)
	if err != nil {
		return err
	}
	switch raw := params.Get("token"); {
	case caller.Client.IsResourceServer():
		return refuse(ctx, rv.deps.Store, caller.Once,
			fapi.UnauthorizedClient("a resource server may introspect and nothing else")) // RFC 9701 §3
	case raw == "":
		return refuse(ctx, rv.deps.Store, caller.Once, fapi.InvalidRequest("token is missing"))
	case looksLikeJWT(raw):
		return rv.access(ctx, caller, raw)
	default:
		return rv.refresh(ctx, caller, raw)
	}
}

// foreign answers a client that tries to revoke what was issued to another
// (RFC 7009 §2.1, attack 64): told so, and nothing happens.
func (rv *Revocation) foreign(ctx context.Context, once fapi.Once) error {
	return refuse(ctx, rv.deps.Store, once, fapi.InvalidGrant("the token was issued to another client"))
}

func (rv *Revocation) access(ctx context.Context, caller clientauth.Result, raw string) error {
	t, err := readAccess(rv.deps.Tokens, raw)
	if err != nil {
		return err
	}
	if t == nil {
		return spendAlone(ctx, rv.deps.Store, caller.Once)
	}
	if t.ClientID != caller.Client.ID {
		return rv.foreign(ctx, caller.Once)
	}
	obs.From(ctx).Set("jti", t.JTI)
	return rv.done(rv.deps.Store.RevokeToken(ctx, fapi.TokenRevocation{Issuer: rv.cfg.Issuer.URL,
		ClientID: t.ClientID, JTI: t.JTI, Once: caller.Once, Now: rv.deps.Now(),
		ExpiresAt: t.ExpiresAt.Add(fapi.ClockSkew)}))
}

// refresh ends the grant of an own refresh token (RFC 7009 §2.1), also when the
// token itself has expired or was replaced: its owner gives up what hangs from
// it. The read spends nothing, so that the act's own statement can.
func (rv *Revocation) refresh(ctx context.Context, caller clientauth.Result, raw string) error {
	state, err := rv.deps.Store.ReadRefresh(ctx, rv.cfg.Issuer.URL, fapi.Secret(raw).Digest(), fapi.Once{})
	if errors.Is(err, fapi.ErrNotFound) {
		return spendAlone(ctx, rv.deps.Store, caller.Once)
	}
	if err != nil {
		return err
	}
	if state.Refresh.ClientID != caller.Client.ID {
		return rv.foreign(ctx, caller.Once)
	}
	obs.From(ctx).Set("grant_id", state.Grant.ID)
	now := rv.deps.Now()
	return rv.done(rv.deps.Store.RevokeGrant(ctx, fapi.GrantRevocation{Issuer: rv.cfg.Issuer.URL,
		GrantID: state.Grant.ID, ClientID: caller.Client.ID, Reason: reasonByClient, Once: caller.Once,
		Now: now, FeedUntil: feedUntil(caller.Client, now)}))
}

// feedUntil is when the last access token of the client is dead everywhere: one
// may be minted while the revocation commits, and resource servers allow for
// clocks that differ.
func feedUntil(c *clients.Registered, now time.Time) time.Time {
	return now.Add(c.Rules.AccessLife + fapi.ClockSkew)
}

func (rv *Revocation) done(err error) error {
	if err != nil {
		return replayRefused(err)
	}
	rv.deps.Revoked()
	return nil
}
