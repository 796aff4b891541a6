package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/procura/procura/resource"
)

// Headers that the API behind the gateway trusts. The customer and the members
// of lists are percent-encoded; lists are separated by commas.
const (
	HeaderClient      = "X-Procura-Client"
	HeaderCustomer    = "X-Procura-Customer"
	HeaderAccounts    = "X-Procura-Accounts"
	HeaderConsent     = "X-Procura-Consent"
	HeaderPermissions = "X-Procura-Permissions"
	HeaderGrant       = "X-Procura-Grant"
	// HeaderResourceServer goes to the authorization server alone.
	HeaderResourceServer = "X-Procura-Resource-Server"
)

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

// facts are the headers that a decision amounts to; a fact that there is not is
// there as an empty value, so that setting them replaces whatever came in.
func (d *decision) facts() map[string]string {
	return map[string]string{
		HeaderClient:      d.token.ClientID,
		HeaderCustomer:    url.PathEscape(d.grant.Customer),
		HeaderAccounts:    joined(d.grant.Accounts),
		HeaderConsent:     d.token.ConsentID,
		HeaderPermissions: joined(d.grant.Permissions),
		HeaderGrant:       d.token.GrantID,
	}
}

func joined(values []string) string {
	escaped := make([]string, len(values))
	for i, v := range values {
		escaped[i] = url.PathEscape(v)
	}
	return strings.Join(escaped, ",")
}

// Facts is what a request that passed the gateway says of its client and
// customer.
type Facts struct {
	Client, Customer, Consent, Grant string
	Accounts, Permissions            []string
}

// ReadFacts is for an API behind the gateway: it reads the trusted headers and
// refuses a request in which one stands twice or is not properly encoded.
func ReadFacts(h http.Header) (Facts, error) {
	for _, name := range []string{HeaderClient, HeaderCustomer, HeaderConsent, HeaderGrant, HeaderAccounts, HeaderPermissions} {
		if len(h.Values(name)) > 1 {
			return Facts{}, fmt.Errorf("header %s is repeated", name)
		}
	}
	f := Facts{Client: h.Get(HeaderClient), Consent: h.Get(HeaderConsent), Grant: h.Get(HeaderGrant)}
	var err error
	if f.Customer, err = url.PathUnescape(h.Get(HeaderCustomer)); err != nil {
		return Facts{}, fmt.Errorf("reading the customer: %w", err)
	}
	if f.Accounts, err = split(h.Get(HeaderAccounts)); err != nil {
		return Facts{}, fmt.Errorf("reading the accounts: %w", err)
	}
	if f.Permissions, err = split(h.Get(HeaderPermissions)); err != nil {
		return Facts{}, fmt.Errorf("reading the permissions: %w", err)
	}
	return f, nil
}

func split(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	out := strings.Split(list, ",")
	for i, escaped := range out {
		plain, err := url.PathUnescape(escaped)
		if err != nil {
			return nil, err
		}
		out[i] = plain
	}
	return out, nil
}

// cleanAnswer takes out of an answer what is not the API's to say.
func cleanAnswer(h http.Header) {
	for name := range h {
		if isReserved(name) {
			delete(h, name)
		}
	}
	// Ours stand in the answer already; the server dates it anew (F1B-17).
	h.Del(resource.InteractionHeader)
	h.Del("Date")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
}
