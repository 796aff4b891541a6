package mint

import (
	"errors"
	"fmt"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// IDToken makes an id token (OIDC Core §2) with the algorithm that the client
// registered, ES256 when it registered none, and encrypts it when the client
// registered that; keys are the client's. c_hash, at_hash and s_hash are there
// exactly when code, access token and state are (OIDC Core §3.3.2.11, FAPI 1
// Advanced §5.1.1). Extra claims never stand in for claims of the protocol.
func (m *Mint) IDToken(c *fapi.Client, keys *jose.KeySet, t fapi.IDToken) (fapi.Secret, error) {
	if err := m.checkIDToken(c, &t); err != nil {
		return "", fmt.Errorf("making an id token: %w", err)
	}
	alg := c.IDTokenSignedResponseAlg
	if alg == "" {
		alg = jose.ES256
	}
	signed, err := m.sign(alg, typJWT, idClaims(alg, &t))
	if err != nil {
		return "", fmt.Errorf("making an id token: %w", err)
	}
	token, err := conceal(signed, c.IDTokenEncryptedResponseAlg, c.IDTokenEncryptedResponseEnc, keys)
	if err != nil {
		return "", fmt.Errorf("making an id token: %w", err)
	}
	return token, nil
}

func (m *Mint) checkIDToken(c *fapi.Client, t *fapi.IDToken) error {
	switch {
	case t.Issuer != m.issuer:
		return errors.New("of another issuer")
	case t.ClientID == "" || t.ClientID != c.ID:
		return errors.New("for another client")
	case t.Subject == "":
		return errors.New("without subject")
	case t.IssuedAt.IsZero() || !t.ExpiresAt.After(t.IssuedAt):
		return errors.New("without lifetime")
	}
	return nil
}

func idClaims(alg string, t *fapi.IDToken) map[string]any {
	claims := map[string]any{}
	for name, value := range t.Extra {
		if !isProtocolClaim(name) {
			claims[name] = value
		}
	}
	claims["iss"], claims["sub"], claims["aud"] = t.Issuer, t.Subject, t.ClientID
	claims["iat"], claims["exp"] = seconds(t.IssuedAt), seconds(t.ExpiresAt)
	if !t.AuthTime.IsZero() {
		claims["auth_time"] = seconds(t.AuthTime)
	}
	if len(t.AMR) > 0 {
		claims["amr"] = t.AMR
	}
	for name, value := range map[string]string{
		"nonce": t.Nonce, "acr": t.ACR,
		"c_hash":  halfHash(alg, t.Code.Reveal()),
		"at_hash": halfHash(alg, t.AccessToken.Reveal()),
		"s_hash":  halfHash(alg, t.State),
	} {
		if value != "" {
			claims[name] = value
		}
	}
	return claims
}

func halfHash(alg, value string) string {
	if value == "" {
		return ""
	}
	return jose.HalfHash(alg, value)
}

// isProtocolClaim names the claims that only the server itself may set.
func isProtocolClaim(name string) bool {
	switch name {
	case "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "azp", "nonce", "acr", "amr", "auth_time",
		"c_hash", "at_hash", "s_hash", "cnf", "sid", "events":
		return true
	}
	return false
}

// ReadIDTokenHint reads an id token that comes back as a hint: our signature, our
// issuer, the typ of an id token and its claims; it may have expired (OIDC Core
// §3.1.2.1). An access token, a JARM response or a logout token is no hint
// (RFC 8725 §3.12).
func (m *Mint) ReadIDTokenHint(token string) (sub string, aud []string, err error) {
	h, payload, err := jose.Verify(token, m.ring.Public(), []string{jose.ES256, jose.PS256})
	if err != nil {
		return "", nil, notOurs("id token hint", err)
	}
	var c struct {
		Issuer    string            `json:"iss"`
		Subject   string            `json:"sub"`
		Audience  jose.Audience     `json:"aud"`
		IssuedAt  *jose.NumericDate `json:"iat"`
		ExpiresAt *jose.NumericDate `json:"exp"`
	}
	if err := jose.Decode(payload, &c); err != nil {
		return "", nil, notOurs("id token hint", err)
	}
	if h.Typ != typJWT || c.Issuer != m.issuer || c.Subject == "" || len(c.Audience.Values) == 0 ||
		c.IssuedAt == nil || c.ExpiresAt == nil {
		return "", nil, notOurs("id token hint", errors.New("no id token of ours"))
	}
	return c.Subject, c.Audience.Values, nil
}
