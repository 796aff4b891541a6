package web

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/procura/procura/internal/fapi"
)

type formPostView struct {
	Action template.URL
	Params map[string]string
	Nonce  string
}

// FormPost hands the authorization response to the client through the browser
// (OAuth 2.0 Form Post Response Mode §2): a form that a script with a nonce sends
// off, and a button for browsers without script. redirectURI must be verified
// already; what a browser would run instead of load is refused here once more.
func (p *Pages) FormPost(w http.ResponseWriter, r *http.Request, redirectURI string, params map[string]string) {
	target, err := formTarget(redirectURI)
	if err != nil {
		p.Error(w, r, http.StatusBadRequest, fapi.InvalidRequest("the redirect_uri cannot take a form").Because(err))
		return
	}
	nonce, err := p.nonce()
	if err != nil {
		e := fapi.Outward(err)
		p.Error(w, r, e.Status, e)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'nonce-"+
		nonce+"'; form-action "+target+"; base-uri 'none'; frame-ancestors 'none'")
	p.write(w, r, "formpost", "", http.StatusOK, formPostView{
		Action: template.URL(redirectURI), //nolint:gosec // formTarget has seen it: no script scheme
		Params: params,
		Nonce:  nonce,
	})
}

// formTarget returns the CSP source for a redirect URI: scheme, host and path, or
// the scheme alone for an app's own scheme, which has a dot (RFC 8252 §7.1).
// Queries are no part of sources; ';' and ',' would end one (CSP 3 §2.3.1).
func formTarget(redirectURI string) (string, error) {
	u, err := url.Parse(redirectURI)
	switch {
	case err != nil:
		return "", fmt.Errorf("parsing the redirect_uri: %w", err)
	case u.Scheme == "https" || u.Scheme == "http":
		if u.Host == "" || u.User != nil || strings.ContainsAny(u.Host, " ;,'\"") {
			return "", fmt.Errorf("the redirect_uri has no plain host")
		}
		path := strings.NewReplacer(";", "%3B", ",", "%2C", "'", "%27").Replace(u.EscapedPath())
		return u.Scheme + "://" + u.Host + path, nil
	case strings.Contains(u.Scheme, "."):
		return u.Scheme + ":", nil
	default:
		return "", fmt.Errorf("the scheme of the redirect_uri takes no form")
	}
}
