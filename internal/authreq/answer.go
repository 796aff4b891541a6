package authreq

import (
	"slices"

	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
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
