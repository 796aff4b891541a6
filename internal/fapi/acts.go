package fapi

import "time"

// LoginRecord moves an interaction from opened to logged in. The browser gets a
// new cookie with it, and every interaction that it still has open moves along:
// whoever planted or saw the old cookie is left with nothing (session fixation).
type LoginRecord struct {
	Issuer               string
	Interaction          string
	Login                Login
	OldCookie, NewCookie Digest
	Now                  time.Time
}

// Completion is everything that one statement does when a customer agrees: the
// interaction and the pushed request are spent, the consent is authorised, the
// grant and its code come to be, and the audit rows with them.
type Completion struct {
	Interaction  string
	PushedDigest *Digest
	Grant        Grant
	Code         Code
	Now          time.Time
}

// Refusal ends an interaction without a grant: the pushed request is spent too,
// and a consent that was still awaiting is rejected when Reject is set.
type Refusal struct {
	Issuer       string
	Interaction  string
	PushedDigest *Digest
	ConsentID    string // "" leaves consents alone
	ClientID     string
	Reason       string // for the audit row
	Now          time.Time
}

// CodeState is what a redemption needs to know, read in one round trip.
type CodeState struct {
	Code    Code
	Grant   Grant
	Consent *Consent // nil without an intent
}

// Redemption spends a code and stores what came of it, in one statement.
type Redemption struct {
	Code     Digest
	Issuer   string
	ClientID string
	Once     Once          // zero when the client used a certificate
	Refresh  *RefreshToken // nil when none is issued
	Now      time.Time
}

// RefreshState is what a refresh or an introspection of a refresh token needs.
type RefreshState struct {
	Refresh RefreshToken
	Grant   Grant
	Consent *Consent
}

// GrantRevocation ends a grant and everything that hangs from it. FeedUntil is
// when the last access token it may have issued is dead.
type GrantRevocation struct {
	Issuer    string
	GrantID   string
	ClientID  string // "" for an operator's act
	Reason    string // code_replay, revoked_by_client, ...
	Once      Once
	Now       time.Time
	FeedUntil time.Time
}

// TokenRevocation ends one access token.
type TokenRevocation struct {
	Issuer    string
	ClientID  string
	JTI       string
	Once      Once
	Now       time.Time
	ExpiresAt time.Time // of the token: the entry is not needed longer
}

// TokenQuery asks whether an access token, already verified, is still alive.
type TokenQuery struct {
	Issuer, ClientID, JTI, GrantID, ConsentID string
	Once                                      Once // of the asking client; spent in the same statement
	Now                                       time.Time
}

// TokenState answers a TokenQuery.
type TokenState struct {
	Revoked bool     // by jti, grant, consent or client
	Grant   *Grant   // nil for an application token
	Consent *Consent // nil without an intent
}
