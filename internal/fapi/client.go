package fapi

import (
	"encoding/json"
	"slices"
	"strings"
)

// Client authentication methods (RFC 8414, RFC 8705).
const (
	AuthPrivateKeyJWT = "private_key_jwt"
	AuthTLSClient     = "tls_client_auth"
)

// Sender constraints of access tokens.
const (
	ConstraintMTLS = "mtls"
	ConstraintNone = "none"
)

// Client is a registered client: the metadata of RFC 7591 and its relatives
// under their registered names, plus what the operator decided. It is stored as
// one row and imported from a file in the same shape. A Client is never changed
// after it was read: caches share it.
type Client struct {
	ID        string `json:"client_id"`
	Profile   string `json:"profile"`             // see package profile
	Ecosystem string `json:"ecosystem,omitempty"` // "" or "uk-ob"
	Name      string `json:"client_name,omitempty"`

	RedirectURIs  []string `json:"redirect_uris,omitempty"`
	ResponseTypes []string `json:"response_types,omitempty"`
	ResponseModes []string `json:"response_modes,omitempty"`
	GrantTypes    []string `json:"grant_types,omitempty"`
	Scope         string   `json:"scope,omitempty"`
	Roles         []string `json:"roles,omitempty"` // PSD2: AISP, PISP, CBPII

	AuthMethod       string `json:"token_endpoint_auth_method"`
	AuthSigningAlg   string `json:"token_endpoint_auth_signing_alg,omitempty"`
	TLSSubjectDN     string `json:"tls_client_auth_subject_dn,omitempty"`
	TLSSANDNS        string `json:"tls_client_auth_san_dns,omitempty"`
	TLSSANURI        string `json:"tls_client_auth_san_uri,omitempty"`
	TLSSANIP         string `json:"tls_client_auth_san_ip,omitempty"`
	TLSSANEmail      string `json:"tls_client_auth_san_email,omitempty"`
	CertificateBound bool   `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	RequirePAR       bool   `json:"require_pushed_authorization_requests,omitempty"`
	RequireSignedJAR bool   `json:"require_signed_request_object,omitempty"`
	RequireAuthTime  bool   `json:"require_auth_time,omitempty"`
	DefaultMaxAge    *int64 `json:"default_max_age,omitempty"` // seconds
	DefaultACRValues string `json:"default_acr_values,omitempty"`
	SubjectType      string `json:"subject_type,omitempty"` // pairwise, the only one
	SectorIdentifier string `json:"sector_identifier_uri,omitempty"`

	JWKS    json.RawMessage `json:"jwks,omitempty"`
	JWKSURI string          `json:"jwks_uri,omitempty"`

	RequestObjectSigningAlg     string `json:"request_object_signing_alg,omitempty"`
	RequestObjectEncryptionAlg  string `json:"request_object_encryption_alg,omitempty"`
	RequestObjectEncryptionEnc  string `json:"request_object_encryption_enc,omitempty"`
	IDTokenSignedResponseAlg    string `json:"id_token_signed_response_alg,omitempty"`
	IDTokenEncryptedResponseAlg string `json:"id_token_encrypted_response_alg,omitempty"`
	IDTokenEncryptedResponseEnc string `json:"id_token_encrypted_response_enc,omitempty"`
	AuthorizationSignedAlg      string `json:"authorization_signed_response_alg,omitempty"`
	AuthorizationEncryptedAlg   string `json:"authorization_encrypted_response_alg,omitempty"`
	AuthorizationEncryptedEnc   string `json:"authorization_encrypted_response_enc,omitempty"`
	ResourceServerAudience      string `json:"resource_server_audience,omitempty"`       // not empty: a resource server with this aud
	ResourceServerSeesCustomers bool   `json:"resource_server_sees_customers,omitempty"` // introspection tells it customer and accounts

	Issuer   string `json:"-"` // the issuer record it belongs to
	Disabled bool   `json:"-"` // set by the operator; a disabled client is unknown
}

// Scopes returns the registered scope values.
func (c *Client) Scopes() []string { return strings.Fields(c.Scope) }

// MayUseGrant reports whether grantType is registered (RFC 7591 §2).
func (c *Client) MayUseGrant(grantType string) bool { return slices.Contains(c.GrantTypes, grantType) }

// IsResourceServer reports whether the client is an API that asks about tokens.
func (c *Client) IsResourceServer() bool { return c.ResourceServerAudience != "" }

// Constraint returns how the client's access tokens are bound.
func (c *Client) Constraint() string {
	switch {
	case c.CertificateBound:
		return ConstraintMTLS
	default:
		return ConstraintNone
	}
}

// Once is the jti of a verified assertion or proof that is not yet spent. The
// operation's own statement spends it together with what it stores; a refused
// operation spends it alone. The zero value has nothing to spend.
type Once struct {
	Issuer    string
	Namespace string // who may not repeat it: the client id, or a key thumbprint
	Digest    Digest // SHA-256 of the jti
	ExpiresAt int64  // Unix seconds until which it is remembered
}

// IsZero reports whether there is nothing to spend.
func (o Once) IsZero() bool { return o.Namespace == "" }
