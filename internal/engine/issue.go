package engine

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// CodeIssue is an authorization that the customer agreed to.
type CodeIssue struct {
	Client  *fapi.Client
	Keys    *jose.KeySet // the client's, for an encrypted id token
	Request *fapi.AuthorizationRequest
	Grant   fapi.Grant
	IDToken fapi.IDToken // for the hybrid answer; hashes are added here
	Life    time.Duration
	// Keep is how long the longest access token of this grant may live; the
	// spent code's row stays that much longer, so that a replay is recognised.
	Keep time.Duration
}

// IssuedCode is what goes out and the row that remembers it.
type IssuedCode struct {
	Code    fapi.Secret
	IDToken fapi.Secret // empty unless the response type asks for one
	Row     fapi.Code
}

// stateForFosite stands in for the state, which fosite demands and we return
// ourselves: a request without one is answered without one.
const stateForFosite = "state"

// IssueCode runs the authorization through fosite. Nothing is stored.
func (e *Engine) IssueCode(ctx context.Context, in CodeIssue) (*IssuedCode, error) {
	op := &operation{engine: e, client: &client{Client: in.Client}, keys: in.Keys, idToken: in.IDToken}
	provider := e.provider(op)
	request, err := provider.NewAuthorizeRequest(ctx, synthetic(ctx, issueForm(in.Request)))
	if err != nil {
		return nil, outward(err)
	}
	request.SetID(in.Grant.ID)
	for _, scope := range in.Grant.Scope {
		request.GrantScope(scope)
	}
	response, err := provider.NewAuthorizeResponse(ctx, request, newSession(in.Grant.Subject))
	if err != nil {
		return nil, outward(err)
	}
	if op.code == "" {
		return nil, fmt.Errorf("issuing a code: fosite answered without one")
	}
	return &IssuedCode{
		Code:    op.code,
		IDToken: fapi.Secret(response.GetParameters().Get("id_token")),
		Row:     e.codeRow(in, op.code),
	}, nil
}

func (e *Engine) codeRow(in CodeIssue, code fapi.Secret) fapi.Code {
	now := e.deps.Now()
	return fapi.Code{
		Digest: code.Digest(), GrantID: in.Grant.ID, Issuer: in.Grant.Issuer, ClientID: in.Client.ID,
		RedirectURI: in.Request.RedirectURI, Nonce: in.Request.Nonce, CodeChallenge: in.Request.CodeChallenge,
		Scope: in.Grant.Scope, CreatedAt: now, ExpiresAt: now.Add(in.Life), KeepUntil: now.Add(in.Life + in.Keep),
	}
}

func issueForm(r *fapi.AuthorizationRequest) url.Values {
	form := url.Values{
		"client_id":     {r.ClientID},
		"redirect_uri":  {r.RedirectURI},
		"response_type": {r.ResponseType},
		"scope":         {strings.Join(r.Scope, " ")},
		"state":         {stateForFosite},
	}
	if r.Nonce != "" {
		form.Set("nonce", r.Nonce)
	}
	return form
}
