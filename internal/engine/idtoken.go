package engine

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/procura/procura/internal/fapi"
)

// intentClaim is the name under which open banking ecosystems expect the consent.
const intentClaim = "openbanking_intent_id"

// IDTokenFor says what an id token of the grant contains, without the hashes of
// what is issued beside it. Personal claims are left out of the front channel
// (FAPI 1 Advanced §5.2.2.1-3): withProfile is for the token endpoint alone.
func IDTokenFor(g *fapi.Grant, nonce string, now time.Time, life time.Duration, withProfile bool) fapi.IDToken {
	t := fapi.IDToken{
		Issuer: g.Issuer, Subject: g.Subject, ClientID: g.ClientID, Nonce: nonce,
		ACR: g.ACR, AMR: g.AMR, AuthTime: g.AuthTime, IssuedAt: now, ExpiresAt: now.Add(life),
		Extra: map[string]any{},
	}
	for name, request := range g.Claims.IDToken {
		switch {
		case name == intentClaim && g.ConsentID != "":
			t.Extra[name] = g.ConsentID
		case withProfile && g.Profile[name] != "" && allowed(request, g.Profile[name]):
			t.Extra[name] = g.Profile[name]
		}
	}
	return t
}

// allowed reports whether the value is one of those that the request names, if
// it names any (OIDC Core §5.5.1).
func allowed(c *fapi.ClaimRequest, value string) bool {
	if c == nil || c.Value == nil && len(c.Values) == 0 {
		return true
	}
	raw, err := json.Marshal(value)
	return err == nil && (string(c.Value) == string(raw) ||
		slices.ContainsFunc(c.Values, func(v json.RawMessage) bool { return string(v) == string(raw) }))
}
