package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/wire"
)

// IntrospectionConfig says whose tokens are introspected.
type IntrospectionConfig struct {
	Issuer fapi.Issuer
}

// IntrospectionStore is what introspection asks the database. Both reads spend
// the caller's jti in the same statement.
type IntrospectionStore interface {
	OnceStore
	ReadTokenState(ctx context.Context, q fapi.TokenQuery) (*fapi.TokenState, error)
	ReadRefresh(ctx context.Context, issuer string, digest fapi.Digest, once fapi.Once) (*fapi.RefreshState, error)
}

// IntrospectionDeps are what introspection needs of others.
type IntrospectionDeps struct {
	Clients Authenticator
	Tokens  AccessReader
	Store   IntrospectionStore
	Now     func() time.Time
}

// Introspection is the endpoint of RFC 7662. A resource server learns about
// access tokens of its own audience, a client about its own access and refresh
// tokens; about everything else the answer is {"active":false} and no more. It
// refuses callers that do not authenticate. It costs one round trip.
type Introspection struct {
	cfg  IntrospectionConfig
	deps IntrospectionDeps
}

// NewIntrospection refuses missing parts.
func NewIntrospection(cfg IntrospectionConfig, deps IntrospectionDeps) (*Introspection, error) {
	if cfg.Issuer.URL == "" || deps.Clients == nil || deps.Tokens == nil || deps.Store == nil || deps.Now == nil {
		return nil, errors.New("introspection: Issuer, Clients, Tokens, Store and Now are all needed")
	}
	return &Introspection{cfg: cfg, deps: deps}, nil
}

// introspected is the answer of RFC 7662 §2.2 with the members of RFC 8705 §3.2
// and our own. The zero value says that the token is not active, and no more.
type introspected struct {
	Active    bool               `json:"active"`
	Scope     string             `json:"scope,omitempty"`
	ClientID  string             `json:"client_id,omitempty"`
	TokenType string             `json:"token_type,omitempty"`
	Expires   int64              `json:"exp,omitempty"`
	IssuedAt  int64              `json:"iat,omitempty"`
	NotBefore int64              `json:"nbf,omitempty"`
	Subject   string             `json:"sub,omitempty"`
	Audience  any                `json:"aud,omitempty"`
	Issuer    string             `json:"iss,omitempty"`
	JTI       string             `json:"jti,omitempty"`
	Confirm   *fapi.Confirmation `json:"cnf,omitempty"`
	AuthTime  int64              `json:"auth_time,omitempty"`
	ACR       string             `json:"acr,omitempty"`
	ConsentID string             `json:"consent_id,omitempty"`
	GrantID   string             `json:"grant_id,omitempty"`
	TokenFor  string             `json:"token_for,omitempty"`

	// For a resource server that sees customers.
	Customer       string             `json:"customer,omitempty"`
	Accounts       []string           `json:"accounts,omitempty"`
	Permissions    []string           `json:"permissions,omitempty"`
	ConsentStatus  fapi.ConsentStatus `json:"consent_status,omitempty"`
	ConsentExpires int64              `json:"consent_exp,omitempty"` // absent: open-ended
}

// ServeHTTP answers POST /introspect.
func (in *Introspection) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := in.introspect(r)
	if err != nil {
		wire.WriteError(w, r, err)
		return
	}
	obs.From(r.Context()).Set("active", fmt.Sprint(answer.Active))
	wire.WriteJSON(w, http.StatusOK, answer)
}

func (in *Introspection) introspect(r *http.Request) (introspected, error) {
	params, caller, err := formCaller(r, in.deps.Clients)
	if err != nil {
		return introspected{}, err
	}
	switch raw := params.Get("token"); {
	case raw == "":
		return introspected{}, refuse(r.Context(), in.deps.Store, caller.Once,
			fapi.InvalidRequest("token is missing"))
	case looksLikeJWT(raw):
		return in.access(r.Context(), caller, raw)
	default:
		return in.refresh(r.Context(), caller, raw)
	}
}

// looksLikeJWT tells access tokens from refresh tokens, which have no dots;
// token_type_hint decides nothing (RFC 7662 §2.1).
func looksLikeJWT(raw string) bool { return strings.Count(raw, ".") == 2 }

// inactive is the answer about tokens that do not exist or are none of the
// caller's business; the two look the same (RFC 7662 §2.2). It spends the jti.
func (in *Introspection) inactive(ctx context.Context, once fapi.Once) (introspected, error) {
	return introspected{}, spendAlone(ctx, in.deps.Store, once)
}

func (in *Introspection) access(ctx context.Context, caller clientauth.Result, raw string) (introspected, error) {
	t, err := readAccess(in.deps.Tokens, raw)
	if err != nil {
		return introspected{}, err
	}
	if t == nil || !mayLearn(caller.Client.Client, t) {
		return in.inactive(ctx, caller.Once)
	}
	state, err := in.deps.Store.ReadTokenState(ctx, stateOf(t, caller.Once, in.deps.Now()))
	if errors.Is(err, fapi.ErrNotFound) {
		return introspected{}, nil
	}
	if err != nil {
		return introspected{}, replayRefused(err)
	}
	if !alive(t, state, in.deps.Now()) {
		return introspected{}, nil
	}
	answer := describe(t, caller.Client.Client)
	if caller.Client.IsResourceServer() && caller.Client.ResourceServerSeesCustomers {
		answer.reveal(state)
	}
	return answer, nil
}

// readAccess returns nil for everything that is no access token of ours or is
// expired; an error is a fault of our own.
func readAccess(tokens AccessReader, raw string) (*fapi.AccessToken, error) {
	if len(raw) > fapi.MaxJWT {
		return nil, nil
	}
	t, err := tokens.ReadAccess(raw)
	if errors.Is(err, fapi.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading an access token: %w", err)
	}
	return &t, nil
}

// mayLearn decides whose business an access token is: that of the resource
// server it is meant for, or of the client it was issued to (RFC 7662 §2.2,
// attack 63). A resource server has no tokens of its own.
func mayLearn(caller *fapi.Client, t *fapi.AccessToken) bool {
	if caller.IsResourceServer() {
		return slices.Contains(t.Audience, caller.ResourceServerAudience)
	}
	return t.ClientID == caller.ID
}

// stateOf asks whether anything that t names was revoked.
func stateOf(t *fapi.AccessToken, once fapi.Once, now time.Time) fapi.TokenQuery {
	return fapi.TokenQuery{Issuer: t.Issuer, ClientID: t.ClientID, JTI: t.JTI, GrantID: t.GrantID,
		ConsentID: t.ConsentID, Once: once, Now: now}
}

// alive decides on a verified token by what the database knows of it. A token
// that speaks for a customer needs a live grant of the same client, and a live
// consent where it names one (FAPI 1 Baseline §6.2.1-5).
func alive(t *fapi.AccessToken, state *fapi.TokenState, now time.Time) bool {
	switch {
	case state == nil || state.Revoked:
		return false
	case t.User && (state.Grant == nil || !state.Grant.Live(now) || state.Grant.ClientID != t.ClientID):
		return false
	case t.ConsentID != "" && (state.Consent == nil || !state.Consent.Live(now)):
		return false
	default:
		return true
	}
}

func describe(t *fapi.AccessToken, caller *fapi.Client) introspected {
	a := introspected{Active: true, Scope: strings.Join(scopeFor(t, caller), " "), ClientID: t.ClientID,
		TokenType: "Bearer", Expires: t.ExpiresAt.Unix(), IssuedAt: t.IssuedAt.Unix(), NotBefore: t.IssuedAt.Unix(),
		Subject: t.Subject, Audience: audience(t.Audience), Issuer: t.Issuer, JTI: t.JTI,
		AuthTime: seconds(t.AuthTime), ACR: t.ACR, ConsentID: t.ConsentID, GrantID: t.GrantID, TokenFor: "application"}
	if t.User {
		a.TokenFor = "user"
	}
	if !t.Confirmation.IsZero() {
		a.Confirm = &t.Confirmation
	}
	if t.Confirmation.JKT != "" {
		a.TokenType = "DPoP"
	}
	return a
}

// seconds is a NumericDate, zero for no date.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// scopeFor narrows the scope to what a resource server is registered for, if it
// is registered for any (RFC 7662 §2.2).
func scopeFor(t *fapi.AccessToken, caller *fapi.Client) []string {
	known := caller.Scopes()
	if !caller.IsResourceServer() || len(known) == 0 {
		return t.Scope
	}
	return slices.DeleteFunc(slices.Clone(t.Scope), func(s string) bool { return !slices.Contains(known, s) })
}

// audience is a string when there is one, as in the token itself (RFC 7519 §4.1.3).
func audience(aud []string) any {
	if len(aud) == 1 {
		return aud[0]
	}
	return aud
}

// reveal adds what the bank's own systems need to know of the customer: a
// pairwise subject tells them nothing.
func (a *introspected) reveal(state *fapi.TokenState) {
	if state.Grant != nil {
		a.Customer, a.Accounts = state.Grant.Customer, state.Grant.Accounts
	}
	if state.Consent != nil {
		a.Permissions, a.ConsentStatus = state.Consent.Permissions, state.Consent.Status
		a.ConsentExpires = seconds(state.Consent.ExpiresAt)
	}
}

// refresh answers a client about its own refresh token. A resource server never
// learns of one: it has no use for it but misuse.
func (in *Introspection) refresh(ctx context.Context, caller clientauth.Result, raw string) (introspected, error) {
	if caller.Client.IsResourceServer() {
		return in.inactive(ctx, caller.Once)
	}
	state, err := in.deps.Store.ReadRefresh(ctx, in.cfg.Issuer.URL, fapi.Secret(raw).Digest(), caller.Once)
	if errors.Is(err, fapi.ErrNotFound) {
		return introspected{}, nil
	}
	if err != nil {
		return introspected{}, replayRefused(err)
	}
	if judgeRefresh(&request{client: caller.Client, now: in.deps.Now()}, state) != nil {
		return introspected{}, nil
	}
	return introspected{Active: true, Scope: strings.Join(state.Refresh.Scope, " "), ClientID: state.Refresh.ClientID,
		Expires: seconds(state.Refresh.ExpiresAt), IssuedAt: seconds(state.Refresh.CreatedAt),
		Subject: state.Grant.Subject, Issuer: in.cfg.Issuer.URL,
		ConsentID: state.Grant.ConsentID, GrantID: state.Grant.ID}, nil
}
