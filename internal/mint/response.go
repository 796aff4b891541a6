package mint

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// responseLife is how long a JARM response may be read: JARM §2.1 recommends at
// most ten minutes.
const responseLife = 5 * time.Minute

// Response wraps the parameters of an authorization response, an error too, in a
// JWT (JARM §2.1): iss, aud, exp and the parameters. A parameter iss is dropped,
// because it says the same (RFC 9207 §2.4); aud or exp as parameters are refused.
func (m *Mint) Response(c *fapi.Client, keys *jose.KeySet, params map[string]string, now time.Time) (fapi.Secret, error) {
	if c.ID == "" || len(params) == 0 || now.IsZero() {
		return "", errors.New("making a response: client, parameters or time missing")
	}
	claims := make(map[string]any, len(params)+3)
	for name, value := range params {
		if name == "aud" || name == "exp" {
			return "", errors.New("making a response: a parameter takes the name of a claim")
		}
		claims[name] = value
	}
	claims["iss"], claims["aud"], claims["exp"] = m.issuer, c.ID, seconds(now.Add(responseLife))
	signed, err := m.sign(responseAlg(c), typJWT, claims)
	if err != nil {
		return "", fmt.Errorf("making a response: %w", err)
	}
	token, err := conceal(signed, c.AuthorizationEncryptedAlg, c.AuthorizationEncryptedEnc, keys)
	if err != nil {
		return "", fmt.Errorf("making a response: %w", err)
	}
	return token, nil
}

// responseAlg is the algorithm the client registered for responses; failing that
// the one it signs with itself, if that is PS256; failing that ES256. JARM's own
// default, RS256, is not ours to use (FAPI 1 Advanced §8.6).
func responseAlg(c *fapi.Client) string {
	switch {
	case c.AuthorizationSignedAlg != "":
		return c.AuthorizationSignedAlg
	case c.RequestObjectSigningAlg == jose.PS256:
		return jose.PS256
	default:
		return jose.ES256
	}
}

// challengeClaims is the question to the bank's login application.
type challengeClaims struct {
	Issuer     string           `json:"iss"`
	Audience   string           `json:"aud"`
	IssuedAt   jose.NumericDate `json:"iat"`
	ExpiresAt  jose.NumericDate `json:"exp"`
	JTI        string           `json:"jti"`
	ClientName string           `json:"client_name,omitempty"`
	ACRValues  string           `json:"acr_values,omitempty"`
	ForceLogin bool             `json:"force_login,omitempty"`
	MaxAge     *int64           `json:"max_age,omitempty"`
	LoginHint  string           `json:"login_hint,omitempty"`
	UILocales  string           `json:"ui_locales,omitempty"`
	ReturnTo   string           `json:"return_to"`
}

// LoginChallenge makes the signed question with which a customer is sent to the
// bank's login application; its jti is the interaction that the answer names.
func (m *Mint) LoginChallenge(c fapi.LoginChallenge, audience string) (fapi.Secret, error) {
	if c.Interaction == "" || c.ReturnTo == "" || audience == "" {
		return "", errors.New("making a login challenge: interaction, return address or audience missing")
	}
	now := m.now()
	signed, err := m.sign(jose.ES256, typChallenge, &challengeClaims{
		Issuer: m.issuer, Audience: audience, JTI: c.Interaction,
		IssuedAt: seconds(now), ExpiresAt: seconds(now.Add(fapi.ChallengeLife)),
		ClientName: c.ClientName, ACRValues: strings.Join(c.ACRValues, " "),
		ForceLogin: c.ForceLogin, MaxAge: c.MaxAge, LoginHint: c.LoginHint,
		UILocales: strings.Join(c.UILocales, " "), ReturnTo: c.ReturnTo,
	})
	if err != nil {
		return "", fmt.Errorf("making a login challenge: %w", err)
	}
	return fapi.Secret(signed), nil
}
