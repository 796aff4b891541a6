// Package authz is the authorization endpoint: what happens before the customer
// (reading the request, opening an interaction), around them (the hand-over to
// the bank's login and back) and after them (the decision, the code, the answer
// to the client).
//
// It refuses to redirect anywhere but to the client's own registered URI, and
// keeps no customer password: who the customer is, the bank says.
package authz

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/procura/procura/internal/authreq"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/engine"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/wire"
)

// Requests reads what clients lodged before the browser came.
type Requests interface {
	ReadPushed(ctx context.Context, issuer string, d fapi.Digest) (*fapi.PushedRequest, error)
	ReadConsent(ctx context.Context, issuer, id string) (*fapi.Consent, error)
}

// Interactions keeps one attempt of one browser.
type Interactions interface {
	InsertInteraction(ctx context.Context, i fapi.Interaction) error
	ReadInteraction(ctx context.Context, issuer, id string) (*fapi.Interaction, error)
	RecordLogin(ctx context.Context, r fapi.LoginRecord) error
	CompleteAuthorization(ctx context.Context, c fapi.Completion) error
	RefuseInteraction(ctx context.Context, r fapi.Refusal) error
}

// Login is the bank's own authentication of its customer.
type Login interface {
	// Challenge returns where to send the browser.
	Challenge(c fapi.LoginChallenge) (url string, err error)
	// Answer verifies what came back: a login or a refusal, and of which interaction.
	Answer(ctx context.Context, raw fapi.Secret) (*LoginAnswer, error)
}

// LoginAnswer is the bank's verified word.
type LoginAnswer struct {
	Interaction string
	Login       fapi.Login
	Refused     bool // the customer cancelled, or the bank would not let them in
}

// Engine issues codes.
type Engine interface {
	IssueCode(ctx context.Context, in engine.CodeIssue) (*engine.IssuedCode, error)
}

// Mint signs JARM answers.
type Mint interface {
	Response(c *fapi.Client, keys *jose.KeySet, params map[string]string, now time.Time) (fapi.Secret, error)
}

// Pages are the server's own pages.
type Pages interface {
	Error(w http.ResponseWriter, r *http.Request, status int, e *fapi.Error)
	Consent(w http.ResponseWriter, r *http.Request, v fapi.ConsentView)
	FormPost(w http.ResponseWriter, r *http.Request, redirectURI string, params map[string]string)
}

// Clients finds registered clients.
type Clients interface {
	Find(ctx context.Context, id string) (*clients.Registered, error)
}

// Validator checks authorization requests.
type Validator interface {
	ReadFront(ctx context.Context, c *clients.Registered, p wire.Params) (*fapi.AuthorizationRequest, error)
}

// Config is what the room knows of its issuer.
type Config struct {
	Issuer fapi.Issuer
	ACRs   []string // what the bank's login can reach; empty: anything is tried
	// FormKey authenticates the consent form; 32 bytes, the same on every process.
	FormKey []byte
}

// Store is everything the room keeps and reads.
type Store interface {
	Requests
	Interactions
}

// Deps are the room's collaborators.
type Deps struct {
	Store     Store
	Clients   Clients
	Validator Validator
	Login     Login
	Engine    Engine
	Mint      Mint
	Pages     Pages
	Subject   func(sector, customer string) string // pairwise sub (OIDC Core §8.1)
	Now       func() time.Time
	Rand      io.Reader
}

// Service is the room.
type Service struct {
	cfg  Config
	deps Deps
}

// New refuses missing parts.
func New(cfg Config, deps Deps) (*Service, error) {
	if len(cfg.FormKey) != 32 {
		return nil, errors.New("authz: FormKey must have 32 bytes")
	}
	if cfg.Issuer.URL == "" || deps.Store == nil || deps.Clients == nil || deps.Validator == nil ||
		deps.Login == nil || deps.Engine == nil || deps.Mint == nil || deps.Pages == nil ||
		deps.Subject == nil || deps.Now == nil || deps.Rand == nil {
		return nil, errors.New("authz: a part is missing")
	}
	return &Service{cfg: cfg, deps: deps}, nil
}

// open is a request that has passed every check and where it came from.
type open struct {
	client  *clients.Registered
	request *fapi.AuthorizationRequest
	pushed  *fapi.Digest
}

// read finds the client and its effective parameters. Errors that may go back to
// the client are *authreq.Refusal; every other one is for a page.
func (s *Service) read(ctx context.Context, p wire.Params) (*open, error) {
	if !p.Has("client_id") { // RFC 9101 §5: always outside too
		return nil, fapi.InvalidRequest("client_id is missing")
	}
	client, err := s.deps.Clients.Find(ctx, p.Get("client_id"))
	if errors.Is(err, fapi.ErrNotFound) {
		return nil, fapi.InvalidRequest("the client is not known").Because(err)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case p.Has("request_uri") && p.Has("request"): // RFC 9101 §5
		return nil, fapi.InvalidRequest("request and request_uri cannot be combined")
	case p.Has("request_uri"):
		return s.readPushed(ctx, client, p)
	}
	request, err := s.deps.Validator.ReadFront(ctx, client, p)
	if err != nil {
		return nil, err
	}
	if client.RequirePAR { // RFC 9126 §6
		return nil, refuse(request, fapi.InvalidRequest("the client must push its requests"))
	}
	return &open{client: client, request: request}, nil
}

// readPushed opens a pushed request; whatever else stands in the URL is ignored
// (RFC 9126 §4, RFC 9101 §5). It stays unspent until the customer has decided.
func (s *Service) readPushed(ctx context.Context, c *clients.Registered, p wire.Params) (*open, error) {
	uri := p.Get("request_uri")
	if !hasRequestURIPrefix(uri) { // never fetched (attack 12)
		return nil, &authreq.Refusal{Return: authreq.PlainReturn(c, p), Err: fapi.NewError("request_uri_not_supported",
			"request_uri is only accepted from the pushed authorization request endpoint")}
	}
	unusable := fapi.InvalidRequestURI("the request_uri is unknown, expired, used, or another client's")
	digest := fapi.Secret(uri).Digest()
	pushed, err := s.deps.Store.ReadPushed(ctx, s.cfg.Issuer.URL, digest)
	switch {
	case errors.Is(err, fapi.ErrNotFound):
		return nil, unusable
	case err != nil:
		return nil, err
	case pushed.ClientID != c.ID || pushed.Spent || !s.deps.Now().Before(pushed.ExpiresAt):
		return nil, unusable
	case !slices.Contains(c.RedirectURIs, pushed.Request.RedirectURI): // RFC 9126 §7.4: the client changed
		return nil, unusable
	}
	return &open{client: c, request: &pushed.Request, pushed: &digest}, nil
}

func hasRequestURIPrefix(uri string) bool {
	return len(uri) <= fapi.MaxRequestURI && len(uri) > len(fapi.RequestURIPrefix) &&
		uri[:len(fapi.RequestURIPrefix)] == fapi.RequestURIPrefix
}

// refuse makes an error that goes back to the client of a checked request.
func refuse(r *fapi.AuthorizationRequest, err error) error {
	return &authreq.Refusal{Err: err, Return: authreq.Return{RedirectURI: r.RedirectURI, Mode: r.ResponseMode, State: r.State}}
}
