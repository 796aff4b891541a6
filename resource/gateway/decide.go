package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/procura/procura/resource"
)

// decision is an allowed request: who asks, by which rule, and what is known of
// the grant (zero for an application).
type decision struct {
	rule  *Rule
	token *resource.Token
	grant grant
}

// question is one request as the table sees it.
type question struct {
	method, path string // path still escaped
	request      resource.Request
	bankOnly     bool // /check cannot forward to the authorization server
}

// decide asks in the order: path and method, token and its certificate, kind of
// token, scope, role, consent and permission, account. It returns a *refusal or a
// *resource.Error.
func (g *Gateway) decide(ctx context.Context, q question) (*decision, error) {
	rule, account, allowed := match(g.cfg.Rules, q.method, q.path)
	switch {
	case rule == nil && len(allowed) > 0:
		return nil, &refusal{status: http.StatusMethodNotAllowed, code: codeUnexpected,
			message: "the method is not allowed here", allow: strings.Join(allowed, ", ")}
	case rule == nil || q.bankOnly && rule.Target != Bank:
		return nil, &refusal{status: http.StatusNotFound, code: codeUnexpected, message: "there is nothing here"}
	}
	token, err := g.deps.Verifier.Verify(ctx, q.request)
	if err != nil {
		return nil, err
	}
	d := &decision{rule: rule, token: token}
	return d, g.permit(ctx, d, account)
}

// permit decides what a verified token may do. The role of the client would be
// asked between scope and consent.
func (g *Gateway) permit(ctx context.Context, d *decision, account string) error {
	switch {
	case (d.rule.Kind == User) != d.token.User:
		// Status 401, as UK Open Banking asks: another token is needed.
		return resource.InvalidToken("this kind of token is not for this resource", nil)
	case !d.token.HasScope(d.rule.Scope):
		return resource.InsufficientScope("the access token does not carry the scope", d.rule.Scope)
	case !d.token.User:
		return nil
	}
	if len(d.rule.Permissions) > 0 && d.token.ConsentID == "" {
		return &refusal{status: http.StatusForbidden, code: codeForbidden, message: "the access token names no consent"}
	}
	var err error
	if d.grant, err = g.grants.of(ctx, d.token); err != nil {
		return err
	}
	return d.covered(account)
}

// covered checks the consent's permissions and accounts (FAPI 1 Baseline
// §6.2.1-6 and -7).
func (d *decision) covered(account string) error {
	holds := func(p string) bool { return slices.Contains(d.grant.Permissions, p) }
	switch {
	case len(d.rule.Permissions) > 0 && !slices.ContainsFunc(d.rule.Permissions, holds):
		return &refusal{status: http.StatusForbidden, code: codeForbidden, message: "the consent does not permit this"}
	case d.rule.Account && !slices.Contains(d.grant.Accounts, account):
		return &refusal{status: http.StatusForbidden, code: codeForbidden, message: "the consent does not cover this account"}
	}
	return nil
}
