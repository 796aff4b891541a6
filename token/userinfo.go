package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/wire"
	"github.com/procura/procura/resource"
)

// UserinfoConfig says whose tokens open the endpoint.
type UserinfoConfig struct {
	Issuer fapi.Issuer
}

// TokenStateStore tells what the database knows of an access token.
type TokenStateStore interface {
	ReadTokenState(ctx context.Context, q fapi.TokenQuery) (*fapi.TokenState, error)
}

// UserinfoDeps are what userinfo needs of others.
type UserinfoDeps struct {
	Tokens AccessReader
	Store  TokenStateStore
	Now    func() time.Time
	Rand   io.Reader
}

// Userinfo is the endpoint of OIDC Core §5.3, a resource server like any other:
// it takes access tokens of a customer with scope openid that are bound to the
// certificate of the connection, from the Authorization header alone. It refuses
// tokens in the query or the form, unbound ones, and those of another certificate;
// on the listener that asks for no certificates it refuses every token.
type Userinfo struct {
	cfg  UserinfoConfig
	deps UserinfoDeps
}

// NewUserinfo refuses missing parts.
func NewUserinfo(cfg UserinfoConfig, deps UserinfoDeps) (*Userinfo, error) {
	if cfg.Issuer.URL == "" || cfg.Issuer.Audience == "" || deps.Tokens == nil || deps.Store == nil ||
		deps.Now == nil || deps.Rand == nil {
		return nil, errors.New("userinfo: Issuer with its Audience, Tokens, Store, Now and Rand are all needed")
	}
	return &Userinfo{cfg: cfg, deps: deps}, nil
}

// ServeHTTP answers GET and POST /userinfo.
func (u *Userinfo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := u.nameCall(w, r); err != nil {
		wire.WriteError(w, r, err)
		return
	}
	claims, err := u.answer(r)
	if err != nil {
		challenge(w, err)
		r.Header.Del("Authorization") // or else the challenge would follow its scheme
		wire.WriteError(w, r, err)
		return
	}
	wire.WriteJSON(w, http.StatusOK, claims)
}

// nameCall puts the interaction id on the answer and into the event: the client's
// own or a fresh one (FAPI 1 Baseline §6.2.1-11, -12).
func (u *Userinfo) nameCall(w http.ResponseWriter, r *http.Request) error {
	id, err := resource.InteractionID(r.Header, u.deps.Rand)
	if err != nil {
		return err
	}
	w.Header().Set(resource.InteractionHeader, id)
	obs.From(r.Context()).Set("interaction_id", id)
	return nil
}

// errNoToken is the refusal of a request that brought no token at all.
var errNoToken = fapi.InvalidToken("an access token is needed in the Authorization header")

// challenge writes what RFC 6750 §3 asks for on 400, 401 and 403. A request without
// a token learns no error code (§3.1).
func challenge(w http.ResponseWriter, err error) {
	const scheme = `Bearer realm="procura"`
	switch e := fapi.Outward(err); {
	case e == errNoToken:
		w.Header().Set("WWW-Authenticate", scheme)
	case e.Status == http.StatusForbidden:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`%s, error=%q, error_description=%q, scope="openid"`, scheme, e.Code, e.Description))
	case e.Status == http.StatusBadRequest || e.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`%s, error=%q, error_description=%q`, scheme, e.Code, e.Description))
	}
}

func (u *Userinfo) answer(r *http.Request) (map[string]any, error) {
	raw, err := bearer(r)
	if err != nil {
		return nil, err
	}
	t, err := readAccess(u.deps.Tokens, raw)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, fapi.InvalidToken("the access token is not valid here, or has expired")
	}
	obs.From(r.Context()).Set("client_id", t.ClientID)
	if err := u.mayAsk(r, t); err != nil {
		return nil, err
	}
	state, err := u.deps.Store.ReadTokenState(r.Context(), stateOf(t, fapi.Once{}, u.deps.Now()))
	if err != nil && !errors.Is(err, fapi.ErrNotFound) {
		return nil, fmt.Errorf("reading what became of an access token: %w", err)
	}
	if !alive(t, state, u.deps.Now()) || state.Grant.Subject != t.Subject {
		return nil, fapi.InvalidToken("the access token was revoked")
	}
	return userClaims(t, state.Grant), nil
}

// bearer finds the token in the one place where it may stand: a single
// Authorization header, whose scheme is compared without case (RFC 9110 §11.1).
// FAPI 1 Baseline §6.2.1-2 and -3, attack 58.
func bearer(r *http.Request) (string, error) {
	if err := noTokenElsewhere(r); err != nil {
		return "", err
	}
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return "", errNoToken
	}
	scheme, raw, _ := strings.Cut(headers[0], " ")
	raw = strings.TrimLeft(raw, " ")
	switch {
	case len(headers) > 1:
		return "", fapi.InvalidRequest("there is more than one Authorization header")
	case !strings.EqualFold(scheme, "Bearer"):
		return "", errNoToken
	case raw == "":
		return "", fapi.InvalidToken("the access token is empty")
	}
	return raw, nil
}

// noTokenElsewhere refuses a token in the query or in a form, without looking at
// its value.
func noTokenElsewhere(r *http.Request) error {
	const refusal = "the access token belongs into the Authorization header"
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fapi.InvalidRequest("the query is not properly form encoded").Because(err)
	}
	if query.Has("access_token") {
		return fapi.InvalidRequest(refusal)
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || err != nil || media != "application/x-www-form-urlencoded" {
		return nil
	}
	body, err := wire.ReadBody(r)
	if err != nil {
		return err
	}
	form, err := wire.ParseQuery(string(body))
	if err != nil {
		return err
	}
	if _, there := form["access_token"]; there {
		return fapi.InvalidRequest(refusal)
	}
	return nil
}

// mayAsk checks what the token itself says, in this order: it is meant for us
// (RFC 9068 §4), bound to the certificate of this connection (FAPI 1 Advanced
// §6.2.1-2, RFC 8705 §3, attack 50; the chain was the token endpoint's business),
// speaks for a customer, and has scope openid.
func (u *Userinfo) mayAsk(r *http.Request, t *fapi.AccessToken) error {
	peer, there := cert.PeerFrom(r.Context())
	switch {
	case !slices.ContainsFunc(t.Audience, u.isOurs):
		return fapi.InvalidToken("the access token is meant for another resource server")
	case t.Confirmation.X5T == "":
		return fapi.InvalidToken("the access token is not bound to a certificate")
	case !there:
		return fapi.InvalidToken("the access token is bound to a certificate and there is none")
	case peer.Thumbprint != t.Confirmation.X5T:
		return fapi.InvalidToken("the access token is bound to another certificate")
	case !t.User:
		return fapi.InvalidToken("the access token speaks for no customer")
	case !slices.Contains(t.Scope, "openid"):
		return fapi.InsufficientScope("the access token lacks scope openid")
	}
	return nil
}

func (u *Userinfo) isOurs(aud string) bool {
	return aud == u.cfg.Issuer.Audience || aud == u.cfg.Issuer.At(fapi.PathUserinfo)
}

// userClaims is sub, which is the id token's (OIDC Core §5.3.2), and what the
// claims parameter asked userinfo for, as far as it is known (§5.5). A value that
// the client named and that is not the customer's is left out.
func userClaims(t *fapi.AccessToken, g *fapi.Grant) map[string]any {
	out := map[string]any{"sub": t.Subject}
	for name, wanted := range g.Claims.Userinfo {
		value, known := knownClaim(g, name, wanted.Wanted())
		if _, taken := out[name]; known && !taken {
			out[name] = typed(name, value)
		}
	}
	return out
}

// knownClaim finds a claim in the grant: how the customer logged in, the intent,
// which each ecosystem names differently and asks for by its value, or the
// customer's own claims.
func knownClaim(g *fapi.Grant, name string, wanted []string) (string, bool) {
	value, known := g.Profile[name]
	switch {
	case name == "acr":
		value, known = g.ACR, g.ACR != ""
	case !known && g.ConsentID != "":
		value, known = g.ConsentID, slices.Contains(wanted, g.ConsentID)
	}
	return value, known && (len(wanted) == 0 || slices.Contains(wanted, value))
}

// typed gives a claim the JSON type of OIDC Core §5.1; the bank sends strings.
func typed(name, value string) any {
	switch name {
	case "email_verified", "phone_number_verified":
		return value == "true"
	case "updated_at":
		if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
			return seconds
		}
		return value
	case "address":
		return map[string]string{"formatted": value}
	default:
		return value
	}
}
