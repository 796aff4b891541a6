package web

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/procura/procura/internal/fapi"
)

// metadataAge is how long discovery and keys may be cached. A key is published
// long before it signs, so readers never wait for one.
const metadataAge = "public, max-age=300"

// MetadataOptions is the part of discovery that the deployment decides; lists that
// are empty are left out (RFC 8414 §3.2).
type MetadataOptions struct {
	Scopes                []string // with openid
	ACRValues             []string
	Claims                []string
	GrantTypes            []string
	ResponseTypes         []string
	ResponseModes         []string
	AuthMethods           []string // of clients at the back channel endpoints
	SigningAlgs           []string
	KeyEncryptionAlgs     []string
	ContentEncryptionAlgs []string
	Locales               []string // BCP 47
}

// aliases are the same endpoints over mutual TLS (RFC 8705 §5). Each member also
// stands at the top level.
type aliases struct {
	Token         string `json:"token_endpoint"`
	PAR           string `json:"pushed_authorization_request_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	Userinfo      string `json:"userinfo_endpoint"`
}

// document is the metadata of OIDC Discovery §3 and RFC 8414 §2 with the members
// of the extensions that are implemented, and no others: a client may rely on
// each. signed_metadata would override them all and is not offered.
type document struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	JWKSURI               string `json:"jwks_uri"`
	aliases
	Aliases aliases `json:"mtls_endpoint_aliases"`

	Scopes        []string `json:"scopes_supported,omitempty"`
	ResponseTypes []string `json:"response_types_supported,omitempty"`
	ResponseModes []string `json:"response_modes_supported,omitempty"`
	GrantTypes    []string `json:"grant_types_supported,omitempty"`
	SubjectTypes  []string `json:"subject_types_supported"`
	ACRValues     []string `json:"acr_values_supported,omitempty"`
	Claims        []string `json:"claims_supported,omitempty"`
	ClaimTypes    []string `json:"claim_types_supported"`
	Locales       []string `json:"ui_locales_supported,omitempty"`

	TokenAuth            []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	TokenAuthAlgs        []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	IntrospectionAuth    []string `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	IntrospectionAlgs    []string `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`
	RevocationAuth       []string `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	RevocationAlgs       []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
	IDTokenAlgs          []string `json:"id_token_signing_alg_values_supported,omitempty"`
	IDTokenEncAlgs       []string `json:"id_token_encryption_alg_values_supported,omitempty"`
	IDTokenEncEncs       []string `json:"id_token_encryption_enc_values_supported,omitempty"`
	RequestObjectAlgs    []string `json:"request_object_signing_alg_values_supported,omitempty"`
	RequestObjectEncAlgs []string `json:"request_object_encryption_alg_values_supported,omitempty"`
	RequestObjectEncEncs []string `json:"request_object_encryption_enc_values_supported,omitempty"`
	AuthorizationAlgs    []string `json:"authorization_signing_alg_values_supported,omitempty"`
	AuthorizationEncAlgs []string `json:"authorization_encryption_alg_values_supported,omitempty"`
	AuthorizationEncEncs []string `json:"authorization_encryption_enc_values_supported,omitempty"`
	ChallengeMethods     []string `json:"code_challenge_methods_supported"`

	ClaimsParameter     bool `json:"claims_parameter_supported"`
	RequestParameter    bool `json:"request_parameter_supported"`
	RequestURIParameter bool `json:"request_uri_parameter_supported"`
	RegisterRequestURI  bool `json:"require_request_uri_registration"`
	RequireObject       bool `json:"require_signed_request_object"`
	RequirePAR          bool `json:"require_pushed_authorization_requests"`
	IssParameter        bool `json:"authorization_response_iss_parameter_supported"`
	CertificateBound    bool `json:"tls_client_certificate_bound_access_tokens"`
}

// Metadata serves the issuer's discovery document; both well-known names take the
// same handler, so that they cannot differ (RFC 9068 §4). The document is made
// once, of configuration alone.
func Metadata(i fapi.Issuer, o MetadataOptions) http.Handler {
	raw, err := json.Marshal(describe(i, o))
	if err != nil {
		return failing(err)
	}
	return public("application/json", func() []byte { return raw })
}

func describe(i fapi.Issuer, o MetadataOptions) document {
	d := document{
		Issuer:                i.URL,
		AuthorizationEndpoint: i.At(fapi.PathAuthorize),
		JWKSURI:               i.At(fapi.PathJWKS),
		aliases:               endpoints(i.At),
		Aliases:               endpoints(i.MTLSAt),
		Scopes:                o.Scopes,
		ResponseTypes:         o.ResponseTypes,
		ResponseModes:         o.ResponseModes,
		GrantTypes:            o.GrantTypes,
		SubjectTypes:          []string{"pairwise"},
		ACRValues:             o.ACRValues,
		Claims:                o.Claims,
		ClaimTypes:            []string{"normal"},
		Locales:               o.Locales,
		ChallengeMethods:      []string{"S256"},
		ClaimsParameter:       true,
		RequestParameter:      true,
		IssParameter:          true,
		CertificateBound:      true,
		// request_uri values of others are not fetched; those of /par need no
		// mention here. OIDC's default is true, so false is said aloud.
		RequestURIParameter: false,
		// Asked of each client by its profile, not of all alike.
		RequireObject: false,
		RequirePAR:    false,
	}
	d.authentication(o)
	d.signatures(o)
	return d
}

func endpoints(at func(string) string) aliases {
	return aliases{
		Token:         at(fapi.PathToken),
		PAR:           at(fapi.PathPAR),
		Introspection: at(fapi.PathIntrospect),
		Revocation:    at(fapi.PathRevoke),
		Userinfo:      at(fapi.PathUserinfo),
	}
}

// authentication lists how clients authenticate, with the algorithms beside every
// list that names private_key_jwt (RFC 8414 §2).
func (d *document) authentication(o MetadataOptions) {
	d.TokenAuth, d.IntrospectionAuth, d.RevocationAuth = o.AuthMethods, o.AuthMethods, o.AuthMethods
	if slices.Contains(o.AuthMethods, fapi.AuthPrivateKeyJWT) {
		d.TokenAuthAlgs, d.IntrospectionAlgs, d.RevocationAlgs = o.SigningAlgs, o.SigningAlgs, o.SigningAlgs
	}
}

func (d *document) signatures(o MetadataOptions) {
	d.IDTokenAlgs, d.RequestObjectAlgs, d.AuthorizationAlgs = o.SigningAlgs, o.SigningAlgs, o.SigningAlgs
	d.IDTokenEncAlgs, d.RequestObjectEncAlgs, d.AuthorizationEncAlgs = o.KeyEncryptionAlgs, o.KeyEncryptionAlgs, o.KeyEncryptionAlgs
	d.IDTokenEncEncs, d.RequestObjectEncEncs, d.AuthorizationEncEncs = o.ContentEncryptionAlgs, o.ContentEncryptionAlgs, o.ContentEncryptionAlgs
}

// JWKS serves the issuer's public keys (OIDC Core §10.1.1); keys returns the set
// as it is at the moment.
func JWKS(keys func() []byte) http.Handler { return public("application/json", keys) }

// public serves a document that anybody may read and keep for a while.
func public(contentType string, body func() []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", metadataAge)
		_, _ = w.Write(body()) // the peer is gone when this fails; there is nobody to tell
	})
}

func failing(err error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { refuse(w, r, nil, fapi.Outward(err)) })
}
