package authreq

import (
	"slices"
	"strings"

	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/wire"
)

// modes are the response modes that exist (OAuth Multiple Response Types §2.1,
// Form Post, JARM §2.3); another value is answered by a page, since nobody knows
// how the client wants to be told (OIDC Core §3.1.2.6).
var modes = []string{"query", "fragment", "form_post", "jwt", "query.jwt", "fragment.jwt", "form_post.jwt"}

// effectiveMode resolves an absent mode and JARM's "jwt" (JARM §2.3.4).
func effectiveMode(responseType, mode, byDefault string) string {
	switch mode {
	case "":
		return byDefault
	case "jwt":
		if responseType == "code" {
			return "query.jwt"
		}
		return "fragment.jwt"
	}
	return mode
}

// returnTo says where errors of a request with these values go. A hybrid request
// is never answered in the query (OAuth Multiple Response Types §5).
func returnTo(c *clients.Registered, redirectURI, responseType, mode, state string) Return {
	if redirectURI == "" || !slices.Contains(c.RedirectURIs, redirectURI) {
		return Return{}
	}
	if mode != "" && !slices.Contains(modes, mode) {
		return Return{}
	}
	sorted, front := sortedWords(responseType), "query"
	if sorted != "code" && sorted != "" {
		front = "fragment"
	}
	effective := effectiveMode(sorted, mode, front)
	if effective == "query" {
		effective = front
	}
	if effective == "query.jwt" && front == "fragment" {
		effective = "fragment.jwt"
	}
	if len(state) > fapi.MaxState {
		state = ""
	}
	return Return{RedirectURI: redirectURI, Mode: effective, State: state}
}

// PlainReturn says where an error of a request goes that has nothing to be read but
// its plain parameters.
func PlainReturn(c *clients.Registered, p wire.Params) Return {
	mode := p.Get("response_mode")
	if mode == "" {
		mode = unspokenMode(c, p.Get("response_type"))
	}
	return returnTo(c, p.Get("redirect_uri"), p.Get("response_type"), mode, p.Get("state"))
}

// unspokenMode is the response_mode of a client whose request object, where it
// would stand, cannot be believed: "jwt" when the client registered this response
// type and its rules allow answers to it in a JWT alone (JARM §2.1), else "".
func unspokenMode(c *clients.Registered, responseType string) string {
	responseType = sortedWords(responseType)
	plain := func(mode string) bool { return !strings.HasSuffix(mode, ".jwt") }
	for _, a := range c.Rules.Answers {
		if a.ResponseType == responseType && !slices.ContainsFunc(a.Modes, plain) && registeredType(c.Client, responseType) {
			return "jwt"
		}
	}
	return ""
}
