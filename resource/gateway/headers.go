package gateway

import (
	"net/http"
	"strings"

	"github.com/procura/procura/resource"
)

// headerResourceServer names the gateway to the authorization server.
const headerResourceServer = "X-Procura-Resource-Server"

const trustedPrefix = "x-procura-"

// notForwarded are headers that end here: the token is nobody else's business,
// and where a request came from is told by us or not at all.
func notForwarded() []string {
	return []string{"Authorization", "Proxy-Authorization", "Forwarded", "Upgrade", "Connection",
		"Te", "Client-Cert", "Client-Cert-Chain", "Cookie"}
}

// isReserved reports whether a header name could be taken for one of ours, also
// by an API that does not tell underscores from dashes, or tells what a proxy
// tells.
func isReserved(name string) bool {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	return strings.HasPrefix(name, trustedPrefix) || strings.HasPrefix(name, "x-forwarded-") || name == "x-real-ip"
}

// strip removes what a client may not tell the API.
func strip(h http.Header) {
	for name := range h {
		if isReserved(name) {
			delete(h, name)
		}
	}
	for _, name := range notForwarded() {
		h.Del(name)
	}
}

// facts is what a decision amounts to for the API.
func (d *decision) facts() *resource.Facts {
	return &resource.Facts{Client: d.token.ClientID, Customer: d.grant.Customer, Accounts: d.grant.Accounts,
		Consent: d.token.ConsentID, Permissions: d.grant.Permissions, Grant: d.token.GrantID}
}

// cleanAnswer takes out of an answer what is not the API's to say.
func cleanAnswer(h http.Header) {
	for name := range h {
		if isReserved(name) {
			delete(h, name)
		}
	}
	// Ours stands in the answer already; the server dates it anew (F1B-17).
	h.Del(resource.InteractionHeader)
	h.Del("Date")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
}
