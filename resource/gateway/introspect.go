package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/procura/procura/resource"
)

// maxIntrospection bounds an answer of the authorization server. Ours.
const maxIntrospection = 256 << 10

// introspector asks the authorization server about tokens (RFC 7662) with this
// resource server's own certificate.
type introspector struct {
	url, clientID string
	client        *http.Client
	timeout       time.Duration
}

// answer is the part of RFC 7662 §2.2 that is acted upon, with the members that a
// resource server sees which may see customers.
type answer struct {
	Active         bool     `json:"active"`
	ClientID       string   `json:"client_id"`
	GrantID        string   `json:"grant_id"`
	ConsentID      string   `json:"consent_id"`
	Customer       string   `json:"customer"`
	Accounts       []string `json:"accounts"`
	Permissions    []string `json:"permissions"`
	ConsentExpires int64    `json:"consent_exp"` // Unix seconds; 0 is open-ended
}

// ask returns the grant behind a verified user token.
func (i *introspector) ask(ctx context.Context, t *resource.Token) (grant, error) {
	ctx, cancel := context.WithTimeout(ctx, i.timeout)
	defer cancel()
	a, err := i.post(ctx, t.Encoded())
	if err != nil {
		return grant{}, resource.Unavailable(fmt.Errorf("introspecting: %w", err))
	}
	switch {
	case !a.Active:
		return grant{}, resource.InvalidToken("the access token is not active", nil)
	case a.ClientID != t.ClientID || a.GrantID != t.GrantID || a.ConsentID != t.ConsentID:
		return grant{}, resource.Unavailable(errors.New("introspecting: the answer is about another token"))
	case a.Customer == "":
		return grant{}, resource.Unavailable(errors.New("introspecting: the answer names no customer; may this resource server see customers?"))
	}
	g := grant{Customer: a.Customer, Accounts: a.Accounts, Permissions: a.Permissions, until: t.ExpiresAt}
	if end := time.Unix(a.ConsentExpires, 0); a.ConsentExpires > 0 && end.Before(g.until) {
		g.until = end
	}
	return g, nil
}

func (i *introspector) post(ctx context.Context, token string) (*answer, error) {
	form := url.Values{"client_id": {i.clientID}, "token": {token}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.url, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	res, err := i.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	var a answer
	if err := json.NewDecoder(io.LimitReader(res.Body, maxIntrospection)).Decode(&a); err != nil {
		return nil, fmt.Errorf("parsing the answer: %w", err)
	}
	return &a, nil
}
