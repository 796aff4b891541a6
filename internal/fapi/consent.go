package fapi

import (
	"slices"
	"time"
)

// ConsentStatus is the inner state of a consent; the words of each API version
// are a table in package consent.
type ConsentStatus string

// States of a consent.
const (
	ConsentAwaiting   ConsentStatus = "awaiting"
	ConsentAuthorised ConsentStatus = "authorised"
	ConsentRejected   ConsentStatus = "rejected"
	ConsentDeleted    ConsentStatus = "deleted"
)

// consentMoves is the one transition table. Authorised to authorised is the
// customer's re-authentication of a long-lived consent.
var consentMoves = map[ConsentStatus][]ConsentStatus{
	ConsentAwaiting:   {ConsentAuthorised, ConsentRejected, ConsentDeleted},
	ConsentAuthorised: {ConsentAuthorised, ConsentDeleted},
}

// Consent is an intent that a TPP lodged and a customer decides on.
type Consent struct {
	ID              string
	Issuer          string
	ClientID        string
	Kind            string // "account-access"
	Permissions     []string
	Status          ConsentStatus
	Customer        string // set when authorised
	CreatedAt       time.Time
	UpdatedAt       time.Time
	ExpiresAt       time.Time // zero: open-ended
	TransactionFrom time.Time
	TransactionTo   time.Time
}

// ConsentMayMove reports whether the transition is allowed; final states have none.
func ConsentMayMove(from, to ConsentStatus) bool { return slices.Contains(consentMoves[from], to) }

// Decidable reports whether an authorization may start from the consent at now:
// rejected and deleted are final, and an expired one cannot be re-authenticated.
func (c *Consent) Decidable(now time.Time) bool {
	return ConsentMayMove(c.Status, ConsentAuthorised) && !c.expired(now)
}

// Live reports whether a token that names the consent may be used at now.
func (c *Consent) Live(now time.Time) bool {
	return c.Status == ConsentAuthorised && !c.expired(now)
}

func (c *Consent) expired(now time.Time) bool {
	return !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt)
}
