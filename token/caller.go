package token

import (
	"context"
	"errors"
	"net/http"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/wire"
)

// Authenticator finds out which client sent a request; the jti of an assertion
// comes back unspent.
type Authenticator interface {
	Authenticate(ctx context.Context, req clientauth.Request) (clientauth.Result, error)
}

// OnceStore spends the jti of an assertion whose operation was refused.
type OnceStore interface {
	SpendOnce(ctx context.Context, once fapi.Once) error
}

// AccessReader verifies one of our access tokens: signature, type, issuer and
// expiry. It does not know revocations.
type AccessReader interface {
	ReadAccess(token string) (fapi.AccessToken, error)
}

// formCaller reads a back channel form and authenticates who sent it, by the
// form, the Authorization header or the certificate of the connection (RFC 6749
// §2.3, RFC 8705 §2).
func formCaller(r *http.Request, clients Authenticator) (wire.Params, clientauth.Result, error) {
	params, err := wire.ParseForm(r)
	if err != nil {
		return nil, clientauth.Result{}, err
	}
	caller, err := authenticate(r, clients, params)
	return params, caller, err
}

func authenticate(r *http.Request, clients Authenticator, params wire.Params) (clientauth.Result, error) {
	peer, _ := cert.PeerFrom(r.Context())
	caller, err := clients.Authenticate(r.Context(), clientauth.Request{
		Params: params, Authorization: r.Header.Get("Authorization"), Peer: peer})
	if err != nil {
		return clientauth.Result{}, err
	}
	obs.From(r.Context()).Set("client_id", caller.Client.ID)
	return caller, nil
}

// spendAlone spends the jti of an operation that ends without a statement of its
// own: an assertion counts once, whatever became of the request (OIDC Core §9).
func spendAlone(ctx context.Context, store OnceStore, once fapi.Once) error {
	return replayRefused(store.SpendOnce(ctx, once))
}

// replayRefused turns a replayed jti into the answer of RFC 7523 §3: the client
// is not authenticated. Every other error is passed on.
func replayRefused(err error) error {
	if errors.Is(err, fapi.ErrReplayed) {
		return fapi.InvalidClient("the client assertion was used before").Because(err)
	}
	return err
}

// refuse spends the jti of a refused request and returns the refusal, or what
// kept the jti from being spent.
func refuse(ctx context.Context, store OnceStore, once fapi.Once, refusal error) error {
	if err := spendAlone(ctx, store, once); err != nil {
		return err
	}
	return refusal
}
