// Package profile turns a client's profile and ecosystem into one set of Rules.
// Rooms test fields of Rules and never the profile's name, so that clients of
// different profiles live on one deployment.
package profile

import (
	"fmt"
	"slices"
	"time"

	"github.com/procura/procura/internal/fapi"
)

// Profile names as they stand in a client's registration.
const (
	FAPI1Advanced = "fapi1-advanced"
)

// Ecosystem names.
const (
	UKOpenBanking = "uk-ob"
)

// Answer is an allowed pair of response_type and response_mode; Default is the
// mode when the request names none.
type Answer struct {
	ResponseType string
	Modes        []string // effective modes; "jwt" is resolved before
	Default      string
}

// Rules is the whole switch table. A zero field is the strict or absent choice.
type Rules struct {
	// SigningAlgs are accepted on request objects and assertions and used for
	// what we sign for the client (FAPI 1 Advanced §8.6).
	SigningAlgs []string
	// KeyEncryptionAlgs and ContentEncryptionAlgs are accepted on encrypted
	// request objects (RSA1_5 never: FAPI 1 Advanced §8.6.1).
	KeyEncryptionAlgs, ContentEncryptionAlgs []string

	// AuthMethods are the client authentication methods (FAPI 1 Advanced §5.2.2-14).
	AuthMethods []string
	// AssertionAudienceEndpoints also allows the token and PAR URL and their
	// aliases as aud, as string or array; otherwise the issuer alone (RFC 9126
	// §2, FAPI 2 §5.3.2.1-8).
	AssertionAudienceEndpoints bool

	// RequestObjectRequired: parameters count only inside a signed request
	// object (FAPI 1 Advanced §5.2.2-1 and -10).
	RequestObjectRequired bool
	// ObjectTimes: exp and nbf are required and bounded (FAPI 1 Advanced §5.2.2-13, -17).
	ObjectTimes bool
	// PKCEWithPAR: S256 is required for pushed requests (FAPI 1 Advanced §5.2.2-18).
	PKCEWithPAR bool
	// Answers lists what may be asked for (FAPI 1 Advanced §5.2.2-2).
	Answers []Answer
	// NonceWithOpenID and StateWithoutOpenID: FAPI 1 Baseline §5.2.2.2-1, §5.2.2.3-1.
	NonceWithOpenID, StateWithoutOpenID bool
	// IntentClaim is the claims parameter member that names the consent.
	IntentClaim string
	// IntentScopes are scopes that only make sense with an intent; IntentRequired
	// refuses them without one.
	IntentScopes   []string
	IntentRequired bool

	// CertificateBound: no access token without a certificate, and the
	// certificate must be the client's (FAPI 1 Advanced §5.2.2-5).
	CertificateBound bool
	// RotateRefresh: a refresh token is replaced at each use.
	RotateRefresh bool

	CodeLife    time.Duration
	PARLife     time.Duration
	AccessLife  time.Duration
	IDTokenLife time.Duration
	RefreshLife time.Duration // zero: as long as the grant
}

// Resolve returns the rules of a client, or an error that names the part of its
// registration that no rule covers.
func Resolve(c *fapi.Client) (Rules, error) {
	var r Rules
	switch c.Profile {
	case FAPI1Advanced:
		r = fapi1Advanced()
	default:
		return Rules{}, fmt.Errorf("client %s: profile %q is not known; use %q", c.ID, c.Profile, FAPI1Advanced)
	}
	switch c.Ecosystem {
	case "":
	case UKOpenBanking:
		r.IntentRequired = true
	default:
		return Rules{}, fmt.Errorf("client %s: ecosystem %q is not known; use %q or leave it out", c.ID, c.Ecosystem, UKOpenBanking)
	}
	if !c.IsResourceServer() && !slices.Contains(r.AuthMethods, c.AuthMethod) {
		return Rules{}, fmt.Errorf("client %s: token_endpoint_auth_method %q is not allowed for %s", c.ID, c.AuthMethod, c.Profile)
	}
	return r, nil
}

func fapi1Advanced() Rules {
	return Rules{
		SigningAlgs:                []string{"PS256", "ES256"},
		KeyEncryptionAlgs:          []string{"RSA-OAEP-256", "ECDH-ES"},
		ContentEncryptionAlgs:      []string{"A256GCM"},
		AuthMethods:                []string{fapi.AuthPrivateKeyJWT, fapi.AuthTLSClient},
		AssertionAudienceEndpoints: true,
		RequestObjectRequired:      true,
		ObjectTimes:                true,
		PKCEWithPAR:                true,
		Answers: []Answer{
			{ResponseType: "code id_token", Modes: []string{"fragment", "form_post"}, Default: "fragment"},
			{ResponseType: "code", Modes: []string{"query.jwt", "fragment.jwt", "form_post.jwt"}},
		},
		NonceWithOpenID:    true,
		StateWithoutOpenID: true,
		IntentClaim:        "openbanking_intent_id",
		IntentScopes:       []string{"accounts"},
		CertificateBound:   true,
		CodeLife:           60 * time.Second,
		PARLife:            90 * time.Second,
		AccessLife:         10 * time.Minute,
		IDTokenLife:        10 * time.Minute,
	}
}
