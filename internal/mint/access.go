package mint

import (
	"errors"
	"fmt"
	"strings"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// For whom an access token speaks.
const (
	forUser        = "user"
	forApplication = "application"
)

// jtiSize is how many random bytes make a jti.
const jtiSize = 16

// accessClaims is the payload of an access token: RFC 9068 §2.2, RFC 7800 cnf,
// and what revocation and the gateway go by.
type accessClaims struct {
	Issuer       string            `json:"iss"`
	Subject      string            `json:"sub"`
	Audience     jose.Audience     `json:"aud"`
	ExpiresAt    jose.NumericDate  `json:"exp"`
	IssuedAt     jose.NumericDate  `json:"iat"`
	NotBefore    jose.NumericDate  `json:"nbf"`
	JTI          string            `json:"jti"`
	ClientID     string            `json:"client_id"`
	Scope        string            `json:"scope,omitempty"`
	Confirmation fapi.Confirmation `json:"cnf"`
	AuthTime     jose.NumericDate  `json:"auth_time,omitempty"`
	ACR          string            `json:"acr,omitempty"`
	GrantID      string            `json:"grant_id,omitempty"`
	ConsentID    string            `json:"consent_id,omitempty"`
	IntentID     string            `json:"openbanking_intent_id,omitempty"`
	TokenFor     string            `json:"token_for"`
}

// Access makes an access token, always ES256. It refuses one that is of another
// issuer, not bound to exactly one key (FAPI 1 Advanced §5.2.2-5), without
// audience, subject, client or lifetime; one for a customer without the grant by
// which it can be revoked; and one for an application whose subject is not the
// client (RFC 9068 §2.2). Without a JTI one is drawn.
func (m *Mint) Access(t fapi.AccessToken) (fapi.Secret, error) {
	if err := m.checkAccess(&t); err != nil {
		return "", fmt.Errorf("making an access token: %w", err)
	}
	if t.JTI == "" {
		jti, err := fapi.NewSecret(m.random, jtiSize)
		if err != nil {
			return "", fmt.Errorf("making an access token: %w", err)
		}
		t.JTI = jti.Reveal()
	}
	signed, err := m.sign(jose.ES256, typAccess, claimsOf(&t))
	if err != nil {
		return "", fmt.Errorf("making an access token: %w", err)
	}
	return fapi.Secret(signed), nil
}

func (m *Mint) checkAccess(t *fapi.AccessToken) error {
	switch {
	case t.Issuer != m.issuer:
		return errors.New("of another issuer")
	case t.Subject == "" || t.ClientID == "":
		return errors.New("without subject or client")
	case len(t.Audience) == 0:
		return errors.New("without audience")
	case (t.Confirmation.X5T == "") == (t.Confirmation.JKT == ""):
		return errors.New("not bound to exactly one key")
	case t.IssuedAt.IsZero() || !t.ExpiresAt.After(t.IssuedAt):
		return errors.New("without lifetime")
	case t.User && t.GrantID == "":
		return errors.New("for a customer, without grant")
	case !t.User && t.Subject != t.ClientID:
		return errors.New("for an application, with another's subject")
	}
	return nil
}

func claimsOf(t *fapi.AccessToken) *accessClaims {
	c := &accessClaims{
		Issuer: t.Issuer, Subject: t.Subject, ClientID: t.ClientID, JTI: t.JTI,
		Audience:  jose.Audience{Values: t.Audience, Single: len(t.Audience) == 1},
		ExpiresAt: seconds(t.ExpiresAt), IssuedAt: seconds(t.IssuedAt), NotBefore: seconds(t.IssuedAt),
		Scope: strings.Join(t.Scope, " "), Confirmation: t.Confirmation,
		AuthTime: seconds(t.AuthTime), ACR: t.ACR,
		GrantID: t.GrantID, ConsentID: t.ConsentID, IntentID: t.ConsentID, TokenFor: forApplication,
	}
	if t.User {
		c.TokenFor = forUser
	}
	return c
}

// ReadAccess reads an access token of ours: signature, typ, issuer and expiry.
// Every failure wraps fapi.ErrNotFound, for whoever asks learns no more than that
// it is none. What was revoked is not known here.
func (m *Mint) ReadAccess(token string) (fapi.AccessToken, error) {
	h, payload, err := jose.Verify(token, m.ring.Public(), []string{jose.ES256})
	if err != nil {
		return fapi.AccessToken{}, notOurs("access token", err)
	}
	var c accessClaims
	if err := jose.Decode(payload, &c); err != nil {
		return fapi.AccessToken{}, notOurs("access token", err)
	}
	switch {
	case h.Typ != typAccess:
		err = errors.New("another typ")
	case c.Issuer != m.issuer:
		err = errors.New("another issuer")
	case !m.now().Before(c.ExpiresAt.Time()):
		err = errors.New("expired")
	}
	if err != nil {
		return fapi.AccessToken{}, notOurs("access token", err)
	}
	return c.token(), nil
}

func (c *accessClaims) token() fapi.AccessToken {
	t := fapi.AccessToken{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience.Values, ClientID: c.ClientID, JTI: c.JTI,
		Scope: strings.Fields(c.Scope), Confirmation: c.Confirmation,
		IssuedAt: c.IssuedAt.Time(), ExpiresAt: c.ExpiresAt.Time(), ACR: c.ACR,
		GrantID: c.GrantID, ConsentID: c.ConsentID, User: c.TokenFor == forUser,
	}
	if c.AuthTime != 0 {
		t.AuthTime = c.AuthTime.Time()
	}
	return t
}

func notOurs(what string, cause error) error {
	return fmt.Errorf("reading %s: %w: %w", what, fapi.ErrNotFound, cause)
}
