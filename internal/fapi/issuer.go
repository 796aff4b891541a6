package fapi

// Issuer is one brand of the bank: its name in tokens and metadata, and its
// endpoints at both listeners. Every stored thing carries the issuer's name, so
// that what one brand issued is unknown to the other (FAPI 1 Baseline §7.7).
type Issuer struct {
	URL      string // the iss value, byte for byte; https, no trailing slash
	MTLSBase string // base of the same endpoints over mutual TLS (RFC 8705 §5)
	Audience string // aud of access tokens for the bank's API
}

// Endpoint paths below the issuer and below MTLSBase.
const (
	PathAuthorize  = "/authorize"
	PathPAR        = "/par"
	PathToken      = "/token"
	PathUserinfo   = "/userinfo"
	PathIntrospect = "/introspect"
	PathRevoke     = "/revoke"
	PathJWKS       = "/jwks"
	PathConsent    = "/consent"        // + "/{interaction}"
	PathLoginDone  = "/login/callback" // where the bank's login application sends the customer back
	PathChanges    = "/revocations"    // MTLSBase only
	// PathConsents serves the TPP's consent API to the gateway, MTLSBase only;
	// {version} is v3.1 or v4.0.
	PathConsents = "/open-banking/{version}/aisp/account-access-consents"
)

// At returns the endpoint's public URL.
func (i *Issuer) At(path string) string { return i.URL + path }

// MTLSAt returns the endpoint's URL over mutual TLS.
func (i *Issuer) MTLSAt(path string) string { return i.MTLSBase + path }
