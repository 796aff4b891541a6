package fapi

import (
	"time"
)

// Grant is what a customer gave a client: the root that codes and refresh tokens
// hang from and that every access token names by id. Revoking it kills them all.
type Grant struct {
	ID        string // UUID; fosite's request id too
	Issuer    string
	ClientID  string
	ConsentID string // "" without an intent
	Customer  string // the bank's identifier
	Subject   string // the sub this client sees (pairwise)
	Scope     []string
	Claims    ClaimsRequest
	ACR       string
	AMR       []string
	AuthTime  time.Time
	Accounts  []string          // ids of the accounts chosen on the consent page
	Profile   map[string]string // the customer's claims for userinfo
	CreatedAt time.Time
	ExpiresAt time.Time // zero: until revoked
	RevokedAt time.Time // zero: alive
}

// Live reports whether the grant may still be used at now.
func (g *Grant) Live(now time.Time) bool {
	return g.RevokedAt.IsZero() && (g.ExpiresAt.IsZero() || now.Before(g.ExpiresAt))
}

// Code is one authorization code with everything that its redemption compares.
type Code struct {
	Digest        Digest
	GrantID       string
	Issuer        string
	ClientID      string
	RedirectURI   string
	Nonce         string
	CodeChallenge string
	Scope         []string
	CreatedAt     time.Time
	ExpiresAt     time.Time
	KeepUntil     time.Time // until the last access token it may have led to is dead
	SpentAt       time.Time // zero: unspent
}

// RefreshToken is one refresh token row.
type RefreshToken struct {
	Digest    Digest
	GrantID   string
	Issuer    string
	ClientID  string
	Scope     []string
	CreatedAt time.Time
	ExpiresAt time.Time // zero: as long as the grant
	RevokedAt time.Time
}

// Confirmation binds an access token to a key: exactly one member is set.
type Confirmation struct {
	X5T string `json:"x5t#S256,omitempty"` // RFC 8705 §3.1
	JKT string `json:"jkt,omitempty"`      // RFC 9449 §6.1
}

// IsZero reports whether nothing is bound.
func (c Confirmation) IsZero() bool { return c == Confirmation{} }

// AccessToken is what a self-contained access token says (RFC 9068). It has no
// row: the database knows only what was revoked.
type AccessToken struct {
	Issuer       string
	Subject      string // pairwise sub of the customer, or the client id
	Audience     []string
	ClientID     string
	JTI          string
	Scope        []string
	Confirmation Confirmation
	IssuedAt     time.Time
	ExpiresAt    time.Time
	AuthTime     time.Time // zero for an application token
	ACR          string
	GrantID      string // "" for an application token
	ConsentID    string
	User         bool // speaks for a customer, or for the application alone
}

// IDToken is what an id token says (OIDC Core §2).
type IDToken struct {
	Issuer, Subject, ClientID string
	Nonce                     string
	ACR                       string
	AMR                       []string
	AuthTime                  time.Time
	IssuedAt, ExpiresAt       time.Time
	Code, AccessToken         Secret         // hashed into c_hash and at_hash when set
	State                     string         // hashed into s_hash when set (FAPI 1 Advanced §5.1.1)
	Extra                     map[string]any // claims asked for by the claims parameter
}
