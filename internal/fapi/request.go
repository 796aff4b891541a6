package fapi

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// AuthorizationRequest is one set of effective parameters: read from a request
// object, from a pushed request or from plain parameters, never from a mixture,
// and checked. Its JSON form is what pushed_requests and interactions store.
type AuthorizationRequest struct {
	ClientID      string        `json:"client_id"`
	RedirectURI   string        `json:"redirect_uri"`
	ResponseType  string        `json:"response_type"` // members sorted: "code", "code id_token"
	ResponseMode  string        `json:"response_mode"` // effective: query, fragment, form_post, query.jwt, fragment.jwt, form_post.jwt
	Scope         []string      `json:"scope"`
	State         string        `json:"state,omitempty"`
	Nonce         string        `json:"nonce,omitempty"`
	CodeChallenge string        `json:"code_challenge,omitempty"` // S256 only (RFC 7636 §4.2)
	Prompt        []string      `json:"prompt,omitempty"`
	MaxAge        *int64        `json:"max_age,omitempty"` // seconds
	ACRValues     []string      `json:"acr_values,omitempty"`
	LoginHint     string        `json:"login_hint,omitempty"`
	HintSubject   string        `json:"hint_subject,omitempty"` // the sub of a verified id_token_hint
	UILocales     []string      `json:"ui_locales,omitempty"`
	Claims        ClaimsRequest `json:"claims,omitzero"`
	ConsentID     string        `json:"consent_id,omitempty"` // the intent named by the claims parameter
}

// HasScope reports whether the exact scope value was asked for.
func (r *AuthorizationRequest) HasScope(s string) bool { return slices.Contains(r.Scope, s) }

// HasPrompt reports whether the exact prompt value was asked for.
func (r *AuthorizationRequest) HasPrompt(p string) bool { return slices.Contains(r.Prompt, p) }

// Hybrid reports whether an id token is returned from the authorization endpoint.
func (r *AuthorizationRequest) Hybrid() bool { return r.ResponseType == "code id_token" }

// OpenID reports whether this is an OpenID Connect request.
func (r *AuthorizationRequest) OpenID() bool { return r.HasScope("openid") }

// JARM reports whether the answer is wrapped in a JWT (JARM §2.3).
func (r *AuthorizationRequest) JARM() bool { return strings.HasSuffix(r.ResponseMode, ".jwt") }

// ClaimsRequest is the claims parameter of OIDC Core §5.5.
type ClaimsRequest struct {
	IDToken  map[string]*ClaimRequest `json:"id_token,omitempty"`
	Userinfo map[string]*ClaimRequest `json:"userinfo,omitempty"`
}

// ClaimRequest says how one claim is wanted; nil means voluntary, any value.
type ClaimRequest struct {
	Essential bool              `json:"essential,omitempty"`
	Value     json.RawMessage   `json:"value,omitempty"`
	Values    []json.RawMessage `json:"values,omitempty"`
}

// Wanted returns the string values that the request names (value and values).
func (c *ClaimRequest) Wanted() []string {
	if c == nil {
		return nil
	}
	var out []string
	for _, raw := range append([]json.RawMessage{c.Value}, c.Values...) {
		var s string
		if len(raw) > 0 && json.Unmarshal(raw, &s) == nil {
			out = append(out, s)
		}
	}
	return out
}

// PushedRequest is what /par stores (RFC 9126). It is spent by the answer that
// completes the authorization, not by the first look at it.
type PushedRequest struct {
	Digest    Digest // of the request_uri
	Issuer    string
	ClientID  string
	Request   AuthorizationRequest
	CreatedAt time.Time
	ExpiresAt time.Time // by then /authorize must have opened it
	Spent     bool
}
