package app

import (
	"net/http"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/web"
)

// web lists the issuer's endpoints: the whole surface on one page.
func (s *site) web() web.Site {
	metadata := web.Metadata(s.issuer, s.metadata())
	jwks := web.JWKS(func() []byte { return s.ring.Public().JSON() })
	get, post, del := http.MethodGet, http.MethodPost, http.MethodDelete
	authorize := http.HandlerFunc(s.authz.Authorize)
	consent := fapi.PathConsent + "/{interaction}"
	consents, one := fapi.PathConsents, fapi.PathConsents+"/{id}"
	return web.Site{Issuer: s.issuer, Pages: s.pages, Routes: []web.Route{
		{Method: get, Path: "/.well-known/openid-configuration", Handler: metadata, Public: true},
		{Method: get, Path: "/.well-known/oauth-authorization-server", Handler: metadata, Public: true},
		{Method: get, Path: fapi.PathJWKS, Handler: jwks, Public: true, MTLS: true},

		{Method: get, Path: fapi.PathAuthorize, Handler: authorize, Public: true, Front: true},
		{Method: post, Path: fapi.PathAuthorize, Handler: authorize, Public: true, Front: true},
		{Method: get, Path: fapi.PathLoginDone, Handler: http.HandlerFunc(s.authz.LoginDone), Public: true, Front: true},
		{Method: get, Path: consent, Handler: http.HandlerFunc(s.authz.ShowConsent), Public: true, Front: true},
		{Method: post, Path: consent, Handler: http.HandlerFunc(s.authz.DecideConsent), Public: true, Front: true},

		{Method: post, Path: fapi.PathPAR, Handler: s.par, Public: true, MTLS: true},
		{Method: post, Path: fapi.PathToken, Handler: s.token, Public: true, MTLS: true},
		{Method: post, Path: fapi.PathIntrospect, Handler: s.introspection, Public: true, MTLS: true},
		{Method: post, Path: fapi.PathRevoke, Handler: s.revocation, Public: true, MTLS: true},
		{Method: get, Path: fapi.PathUserinfo, Handler: s.userinfo, Public: true, MTLS: true},
		{Method: post, Path: fapi.PathUserinfo, Handler: s.userinfo, Public: true, MTLS: true},

		{Method: get, Path: fapi.PathChanges, Handler: s.feed, MTLS: true, Stream: true},
		{Method: post, Path: consents, Handler: s.consents, MTLS: true},
		{Method: get, Path: one, Handler: s.consents, MTLS: true},
		{Method: del, Path: one, Handler: s.consents, MTLS: true},
	}}
}

// metadata says what this deployment supports: the union over its profiles; each
// client is held to its own rules.
func (s *site) metadata() web.MetadataOptions {
	return web.MetadataOptions{
		Scopes:                []string{"openid", "offline_access", "accounts"},
		ACRValues:             s.cfg.Login.ACRValues,
		Claims:                []string{"sub", "acr", "auth_time", "openbanking_intent_id", "name", "given_name", "family_name", "email"},
		GrantTypes:            []string{fapi.GrantAuthorizationCode, fapi.GrantRefreshToken, fapi.GrantClientCredentials},
		ResponseTypes:         []string{"code", "code id_token"},
		ResponseModes:         []string{"fragment", "form_post", "jwt", "query.jwt", "fragment.jwt", "form_post.jwt"},
		AuthMethods:           []string{fapi.AuthPrivateKeyJWT, fapi.AuthTLSClient},
		SigningAlgs:           []string{"PS256", "ES256"},
		KeyEncryptionAlgs:     []string{"RSA-OAEP-256", "ECDH-ES"},
		ContentEncryptionAlgs: []string{"A256GCM"},
		Locales:               []string{"en"},
	}
}
