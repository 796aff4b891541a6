package fapi

import "time"

// Interaction is one attempt of one browser to answer one authorization request:
// opened by /authorize, logged in at the bank, decided on the consent page. Its
// id stands in URLs; the cookie whose digest it holds binds it to the browser.
type Interaction struct {
	ID           string // UUID
	Issuer       string
	ClientID     string
	Request      AuthorizationRequest
	PushedDigest *Digest // the pushed request it was opened from, if any
	CookieDigest Digest
	State        string // InteractionOpened, ...
	Login        *Login // set once the customer has logged in
	CreatedAt    time.Time
	ExpiresAt    time.Time
}

// States of an interaction. Each transition is one conditional UPDATE.
const (
	InteractionOpened    = "opened"
	InteractionLoggedIn  = "logged_in"
	InteractionCompleted = "completed" // a code was issued
	InteractionRefused   = "refused"   // the client got an error
)

// Login is what the bank says of its customer: Procura keeps no password.
type Login struct {
	Customer string            `json:"customer"` // the bank's own identifier; never leaves towards a client
	ACR      string            `json:"acr,omitempty"`
	AMR      []string          `json:"amr,omitempty"`
	AuthTime time.Time         `json:"auth_time"`
	Accounts []Account         `json:"accounts,omitempty"`
	Claims   map[string]string `json:"claims,omitempty"` // name, email, ... for userinfo
}

// Account is one account that the customer may share.
type Account struct {
	ID       string `json:"id"`     // the bank's identifier
	Name     string `json:"name"`   // shown on the consent page
	Number   string `json:"number"` // shown on the consent page, masked by the bank
	Currency string `json:"currency,omitempty"`
}

// LoginChallenge is the question put to the bank's login application.
type LoginChallenge struct {
	Interaction string
	ClientName  string
	ACRValues   []string // in order of preference
	ForceLogin  bool     // prompt=login or select_account: a fresh authentication is needed
	MaxAge      *int64
	LoginHint   string
	UILocales   []string
	ReturnTo    string
}
