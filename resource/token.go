package resource

import (
	"context"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/procura/procura/internal/jose"
)

// Token is what a verified access token says. It is made by a Verifier alone and
// is not changed afterwards.
type Token struct {
	Issuer     string
	Subject    string // the pairwise name of the customer, or the client id
	Audience   []string
	ClientID   string
	ID         string // jti
	Scope      []string
	IssuedAt   time.Time
	ExpiresAt  time.Time
	AuthTime   time.Time // when the customer logged in; zero for an application
	ACR        string
	GrantID    string // "" for an application
	ConsentID  string // "" without a consent
	User       bool   // speaks for a customer, or for the application alone
	Thumbprint string // x5t#S256 of the certificate that it is bound to

	encoded func() string // a function, so that no dump prints it
}

// HasScope reports whether the token carries the exact scope value.
func (t *Token) HasScope(scope string) bool { return slices.Contains(t.Scope, scope) }

// Encoded returns the token as it was presented, for asking the issuer about it.
// It must not be logged or passed on.
func (t *Token) Encoded() string { return t.encoded() }

type tokenKey struct{}

// NewContext returns a context that carries the token.
func NewContext(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, t)
}

// FromContext returns the token of a request that has passed Middleware.
func FromContext(ctx context.Context) (*Token, bool) {
	t, ok := ctx.Value(tokenKey{}).(*Token)
	return t, ok
}

// claims is the payload of RFC 9068 §2.2 with the members that Procura adds.
type claims struct {
	Issuer    string            `json:"iss"`
	Subject   string            `json:"sub"`
	Audience  jose.Audience     `json:"aud"`
	ClientID  string            `json:"client_id"`
	ID        string            `json:"jti"`
	Expires   *jose.NumericDate `json:"exp"`
	Issued    *jose.NumericDate `json:"iat"`
	NotBefore *jose.NumericDate `json:"nbf"`
	AuthTime  *jose.NumericDate `json:"auth_time"`
	Scope     string            `json:"scope"`
	ACR       string            `json:"acr"`
	GrantID   string            `json:"grant_id"`
	ConsentID string            `json:"consent_id"`
	SpeaksFor string            `json:"token_for"`
	Confirms  map[string]string `json:"cnf"`
}

// Values of token_for.
const (
	forUser        = "user"
	forApplication = "application"
)

func at(d *jose.NumericDate) time.Time {
	if d == nil {
		return time.Time{}
	}
	return d.Time()
}

func (c *claims) token(compact string) *Token {
	return &Token{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience.Values, ClientID: c.ClientID, ID: c.ID,
		Scope: strings.Fields(c.Scope), IssuedAt: at(c.Issued), ExpiresAt: at(c.Expires), AuthTime: at(c.AuthTime),
		ACR: c.ACR, GrantID: c.GrantID, ConsentID: c.ConsentID, User: c.SpeaksFor == forUser,
		Thumbprint: c.Confirms[x5tS256], encoded: func() string { return compact },
	}
}

// check is one row of the table that every payload passes in order.
type check struct {
	says string
	ok   func(c *claims, v *Verifier, now time.Time) bool
}

// claimChecks: RFC 9068 §4 and §2.2, AT-05; attacks 51 and 59. The binding to
// the certificate follows after them.
func claimChecks() []check {
	return []check{
		{"it is of another issuer", func(c *claims, v *Verifier, _ time.Time) bool { return c.Issuer == v.cfg.Issuer }},
		{"it is for another audience", func(c *claims, v *Verifier, _ time.Time) bool { return c.Audience.Has(v.cfg.Audience) }},
		{"a claim of RFC 9068 is missing", complete},
		{"it has expired", func(c *claims, v *Verifier, now time.Time) bool { return now.Before(at(c.Expires).Add(v.cfg.Skew)) }},
		{"it is from the future", timely},
		{"it does not say for whom it speaks", speaks},
		{"it is not bound to a certificate alone", bound},
	}
}

func complete(c *claims, _ *Verifier, _ time.Time) bool {
	return c.Subject != "" && c.ClientID != "" && c.ID != "" && c.Expires != nil && c.Issued != nil
}

func timely(c *claims, v *Verifier, now time.Time) bool {
	latest := now.Add(v.cfg.Skew)
	return !at(c.Issued).After(latest) && !at(c.NotBefore).After(latest)
}

// speaks refuses a token that could be taken for the other kind: an application
// is its own subject and has no grant, a customer is never a client (RFC 9068
// §5).
func speaks(c *claims, _ *Verifier, _ time.Time) bool {
	switch c.SpeaksFor {
	case forUser:
		return c.Subject != c.ClientID && c.GrantID != ""
	case forApplication:
		return c.Subject == c.ClientID && c.GrantID == ""
	default:
		return false
	}
}

// x5tS256 is the confirmation member of RFC 8705 §3.1.
const x5tS256 = "x5t#S256"

// thumbprintLength is that of an unpadded base64url SHA-256.
const thumbprintLength = 43

// bound demands one confirmation of a kind that is known here: a token without
// one is a plain bearer token (FAPI 1 Advanced §6.2.1-2), and one with a member
// that nobody here checks is not half as good.
func bound(c *claims, _ *Verifier, _ time.Time) bool {
	return len(c.Confirms) == 1 && len(c.Confirms[x5tS256]) == thumbprintLength
}

var (
	errNoCertificate    = errors.New("no client certificate")
	errOtherCertificate = errors.New("another client certificate")
)

// holds checks that the peer holds the key that the token is bound to (RFC 8705
// §3, MT-13, attack 50). The chain is not looked at: what counts is that this
// connection proved the key.
func holds(thumbprint string, peer *x509.Certificate) error {
	if peer == nil {
		return errNoCertificate
	}
	if subtle.ConstantTimeCompare([]byte(jose.CertThumbprint(peer.Raw)), []byte(thumbprint)) != 1 {
		return errOtherCertificate
	}
	return nil
}
