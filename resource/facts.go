package resource

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Headers in which the gateway tells the API behind it who is asking. The
// customer and the members of lists are percent-encoded; lists are separated by
// commas.
const (
	HeaderClient      = "X-Procura-Client"
	HeaderCustomer    = "X-Procura-Customer"
	HeaderAccounts    = "X-Procura-Accounts"
	HeaderConsent     = "X-Procura-Consent"
	HeaderPermissions = "X-Procura-Permissions"
	HeaderGrant       = "X-Procura-Grant"
)

// Facts is what the gateway found out about a request that it let pass.
type Facts struct {
	Client      string // client id of the TPP
	Customer    string // the bank's own identifier; "" for an application
	Consent     string
	Grant       string
	Accounts    []string // that the customer chose
	Permissions []string // of the consent
}

// Set writes all headers, empty ones too, so that nothing a client sent under
// these names survives.
func (f *Facts) Set(h http.Header) {
	h.Set(HeaderClient, f.Client)
	h.Set(HeaderConsent, f.Consent)
	h.Set(HeaderGrant, f.Grant)
	h.Set(HeaderCustomer, url.PathEscape(f.Customer))
	h.Set(HeaderAccounts, join(f.Accounts))
	h.Set(HeaderPermissions, join(f.Permissions))
}

// ReadFacts is for an API that can be reached through the gateway alone. It
// refuses headers that stand twice or are not properly encoded.
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

func join(values []string) string {
	escaped := make([]string, len(values))
	for i, v := range values {
		escaped[i] = url.PathEscape(v)
	}
	return strings.Join(escaped, ",")
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
