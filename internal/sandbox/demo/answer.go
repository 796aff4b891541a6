package demo

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/procura/procura/internal/jose"
)

// idClaims is what the demo looks at in an id token.
type idClaims struct {
	Issuer   string           `json:"iss"`
	Subject  string           `json:"sub"`
	Audience jose.Audience    `json:"aud"`
	Expires  jose.NumericDate `json:"exp"`
	IssuedAt jose.NumericDate `json:"iat"`
	Nonce    string           `json:"nonce"`
	ACR      string           `json:"acr"`
	StateH   string           `json:"s_hash"`
	CodeH    string           `json:"c_hash"`
	Intent   string           `json:"openbanking_intent_id"`
}

// accessClaims is what the demo looks at in an access token. A TPP would treat it
// as opaque; the demo shows what stands in it.
type accessClaims struct {
	Issuer   string        `json:"iss"`
	Subject  string        `json:"sub"`
	Audience jose.Audience `json:"aud"`
	ClientID string        `json:"client_id"`
	Scope    string        `json:"scope"`
	ID       string        `json:"jti"`
	Consent  string        `json:"consent_id"`
	Confirm  struct {
		X5T string `json:"x5t#S256"`
	} `json:"cnf"`
}

// tokenAnswer is the token endpoint's answer.
type tokenAnswer struct {
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

// respond reads what the browser brought back: a fragment with code and id token,
// or one signed JWT in the query.
func (j *journey) respond(_ context.Context, s *step) {
	params := j.fragment(s)
	if !j.hybrid {
		params = j.unwrap(s)
	}
	if s.err != nil {
		return
	}
	j.code = params.Get("code")
	j.keep(j.code, params.Get("id_token"), params.Get("response"))
	s.saw(params.Get("error")+" "+params.Get("error_description"), params.Get("error") == "", "no error")
	s.check(params.Get("state") == j.state, "state is the one that was sent")
	s.check(len(j.code) >= 22, "code %s", short(j.code))
	if j.hybrid {
		j.detached(s, params.Get("id_token"))
	}
}

func (j *journey) fragment(s *step) url.Values {
	if !j.hybrid {
		return nil
	}
	values, err := url.ParseQuery(j.landed.Fragment)
	s.fail(err)
	s.check(!j.landed.Query().Has("code"), "the answer stands in the fragment alone")
	return values
}

// unwrap opens a JARM answer (JARM §2.4).
func (j *journey) unwrap(s *step) url.Values {
	wrapped := j.landed.Query().Get("response")
	j.keep(wrapped)
	s.check(!j.landed.Query().Has("code"), "nothing but a JWT in the query: response=%s", short(wrapped))
	head, payload, err := jose.Verify(wrapped, j.server.keys, []string{jose.PS256, jose.ES256})
	if !s.fail(err) {
		return nil
	}
	var claims struct {
		Issuer   string           `json:"iss"`
		Audience jose.Audience    `json:"aud"`
		Expires  jose.NumericDate `json:"exp"`
		Code     string           `json:"code"`
		State    string           `json:"state"`
		Error    string           `json:"error"`
	}
	s.fail(json.Unmarshal(payload, &claims))
	s.check(true, "its signature: %s, key %s", head.Alg, head.KID)
	s.check(claims.Issuer == j.server.Issuer && claims.Audience.Has(j.tpp.ID), "it is from the issuer, for %s", j.tpp.ID)
	s.check(j.ahead(claims.Expires) > 0, "it has not expired")
	return url.Values{"code": {claims.Code}, "state": {claims.State}, "error": {claims.Error}}
}

// detached checks the front channel's id token, which signs code and state
// (FAPI 1 Advanced §5.1.1).
func (j *journey) detached(s *step, raw string) {
	claims, head := j.idToken(s, raw)
	s.check(claims.Nonce == j.nonce, "nonce is the one that was sent")
	s.check(claims.StateH == jose.HalfHash(head.Alg, j.state), "s_hash is the state's")
	s.check(claims.CodeH == jose.HalfHash(head.Alg, j.code), "c_hash is the code's")
	j.subject = claims.Subject
}

// idToken verifies an id token and the claims that every one of them has.
func (j *journey) idToken(s *step, raw string) (idClaims, jose.Header) {
	var claims idClaims
	if s.err != nil {
		return claims, jose.Header{}
	}
	j.keep(raw)
	head, payload, err := jose.Verify(raw, j.server.keys, []string{jose.PS256, jose.ES256})
	if !s.fail(err) || !s.fail(json.Unmarshal(payload, &claims)) {
		return claims, head
	}
	s.check(true, "the id token's signature: %s, key %s", head.Alg, head.KID)
	s.check(claims.Issuer == j.server.Issuer && claims.Audience.Has(j.tpp.ID), "it is from the issuer, for %s", j.tpp.ID)
	s.check(j.ahead(claims.Expires) > 0 && j.ahead(claims.IssuedAt) < time.Minute, "it is fresh")
	s.check(claims.Subject != "" && claims.Subject != j.customer.Username, "sub is a pairwise name, not %s", j.customer.Username)
	s.check(claims.Intent == j.consent, "it names the consent")
	s.check(claims.ACR == acrSCA || claims.ACR == acrCA, "acr %s, as was asked", claims.ACR)
	return claims, head
}

func (j *journey) ahead(t jose.NumericDate) time.Duration {
	return time.Unix(int64(t), 0).Sub(j.deps.Now())
}

// tokens asks the token endpoint and checks what every good answer has.
func (j *journey) tokens(ctx context.Context, s *step, form url.Values) tokenAnswer {
	var t tokenAnswer
	a, ok := j.post(ctx, s, j.tpp, j.server.Aliases.Token, form)
	if !ok || !s.saw(a.says(), a.status == http.StatusOK, "status 200") {
		return t
	}
	s.check(strings.Contains(a.header.Get("Cache-Control"), "no-store"), "never cached")
	s.fail(json.Unmarshal(a.body, &t))
	j.keep(t.Access, t.Refresh, t.ID)
	s.check(strings.EqualFold(t.Type, "Bearer") && t.Expires > 0, "a %s token %s for %d s", t.Type, short(t.Access), t.Expires)
	return t
}

// accessClaims verifies an access token as a resource server would (RFC 9068 §4)
// and that it is bound to the certificate that asked for it (RFC 8705 §3.1).
func (j *journey) accessClaims(s *step, raw string) accessClaims {
	var claims accessClaims
	if s.err != nil {
		return claims
	}
	head, payload, err := jose.Verify(raw, j.server.keys, []string{jose.PS256, jose.ES256})
	if !s.fail(err) || !s.fail(json.Unmarshal(payload, &claims)) {
		return claims
	}
	s.check(head.Typ == "at+jwt", "it is an access token: typ %s", head.Typ)
	s.check(claims.Issuer == j.server.Issuer && claims.Audience.Has(j.world.ResourceAudience), "aud is %s", j.world.ResourceAudience)
	s.check(claims.ClientID == j.tpp.ID, "client_id is %s", j.tpp.ID)
	s.check(claims.Confirm.X5T == j.tpp.x5t, "cnf x5t#S256 is the certificate's: %s", j.tpp.x5t)
	return claims
}
