package authreq

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// parameters are the members of an authorization request as they came, from
// either source.
type parameters struct {
	ClientID            string          `json:"client_id"`
	ResponseType        string          `json:"response_type"`
	ResponseMode        string          `json:"response_mode"`
	RedirectURI         string          `json:"redirect_uri"`
	Scope               string          `json:"scope"`
	State               string          `json:"state"`
	Nonce               string          `json:"nonce"`
	CodeChallenge       string          `json:"code_challenge"`
	CodeChallengeMethod string          `json:"code_challenge_method"`
	Prompt              string          `json:"prompt"`
	MaxAge              json.RawMessage `json:"max_age"` // a number, or its digits as a string
	ACRValues           string          `json:"acr_values"`
	LoginHint           string          `json:"login_hint"`
	IDTokenHint         string          `json:"id_token_hint"`
	UILocales           string          `json:"ui_locales"`
	Claims              json.RawMessage `json:"claims"` // an object, or the same as a JSON string
}

// object is a request object: parameters beside the claims that guard it.
type object struct {
	parameters
	Issuer     *string           `json:"iss"`
	Subject    json.RawMessage   `json:"sub"`
	Audience   jose.Audience     `json:"aud"`
	ExpiresAt  *jose.NumericDate `json:"exp"`
	NotBefore  *jose.NumericDate `json:"nbf"`
	IssuedAt   *jose.NumericDate `json:"iat"`
	Request    json.RawMessage   `json:"request"`
	RequestURI json.RawMessage   `json:"request_uri"`
}

// readObject decrypts, verifies and judges a request object and makes its
// members the only effective ones (RFC 9101 §5, §6).
func (v *Validator) readObject(ctx context.Context, d *draft, compact string) error {
	signed, err := v.decrypt(d, compact)
	if err != nil {
		return err
	}
	payload, err := verify(ctx, d, signed)
	if err != nil {
		return err
	}
	var o object
	if err := jose.Decode(payload, &o); err != nil {
		return fapi.InvalidRequestObject("the request object has members that are malformed or repeated").Because(err)
	}
	d.in = o.parameters
	// From here on the object is the client's own word, also on where to answer.
	d.back = returnTo(d.client, o.RedirectURI, o.ResponseType, o.ResponseMode, o.State)
	return d.judgeObject(&o)
}

// decrypt opens a nested JWE; the result must be a JWS (RFC 9101 §6.1, §10.1).
func (v *Validator) decrypt(d *draft, compact string) (string, error) {
	if !jose.IsJWE(compact) {
		return compact, nil
	}
	algs, encs := d.rules.KeyEncryptionAlgs, d.rules.ContentEncryptionAlgs
	if d.client.RequestObjectEncryptionAlg != "" {
		algs = intersect(algs, d.client.RequestObjectEncryptionAlg)
	}
	if d.client.RequestObjectEncryptionEnc != "" {
		encs = intersect(encs, d.client.RequestObjectEncryptionEnc)
	}
	inner, err := jose.Decrypt(compact, v.deps.Decrypters(), algs, encs)
	if err != nil {
		return "", fapi.InvalidRequestObject("the request object could not be decrypted").Because(err)
	}
	if jose.IsJWE(string(inner)) {
		return "", fapi.InvalidRequestObject("an encrypted request object must hold a signed one")
	}
	return string(inner), nil
}

// verify checks the signature with the client's keys (RFC 9101 §6.2; FAPI 1
// Advanced §8.6 for the algorithms; none is never among them).
func verify(ctx context.Context, d *draft, signed string) ([]byte, error) {
	header, err := jose.ParseHeader(signed)
	if err != nil {
		return nil, fapi.InvalidRequestObject("the request object is not a compact JWS").Because(err)
	}
	algs := d.rules.SigningAlgs
	if d.client.RequestObjectSigningAlg != "" {
		algs = intersect(algs, d.client.RequestObjectSigningAlg)
	}
	if !slices.Contains(algs, header.Alg) {
		return nil, fapi.InvalidRequestObject("the request object is signed with an algorithm that is not allowed")
	}
	if !objectType(header.Typ) {
		return nil, fapi.InvalidRequestObject("the JWT is of another type than a request object") // RFC 8725 §3.11
	}
	keys, err := d.client.Keys(ctx, header.KID)
	if err != nil {
		if errors.Is(err, fapi.ErrUnavailable) {
			return nil, err
		}
		return nil, fapi.InvalidRequestObject("the client's keys could not be read").Because(err)
	}
	_, payload, err := jose.Verify(signed, keys, algs)
	if err != nil {
		return nil, fapi.InvalidRequestObject("the signature of the request object is not valid").Because(err)
	}
	return payload, nil
}

// objectType allows the type of RFC 9101 §10.8, in any letter case, the generic
// one and none.
func objectType(typ string) bool {
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "", "jwt", "oauth-authz-req+jwt":
		return true
	}
	return false
}

// judgeObject checks the claims that guard the object.
func (d *draft) judgeObject(o *object) error {
	bad := fapi.InvalidRequestObject
	switch {
	case o.ClientID != d.client.ID: // RFC 9101 §5, RFC 9126 §3
		return bad("client_id in the request object is not the client's")
	case o.Issuer != nil && *o.Issuer != d.client.ID: // RFC 9101 §4
		return bad("iss of the request object must be the client_id")
	case len(o.Subject) > 0: // RFC 9101 §10.8: it could pass for a client assertion
		return bad("a request object must not have a sub")
	case len(o.Request) > 0 || len(o.RequestURI) > 0: // RFC 9101 §4
		return bad("request and request_uri must not stand in a request object")
	case !o.Audience.Has(d.issuer.URL): // FAPI 1 Advanced §5.2.2-15
		return bad("aud of the request object must be the issuer")
	}
	return d.judgeTimes(o)
}

// judgeTimes: FAPI 1 Advanced §5.2.2-13 and -17, RFC 7519 §4.1.4 and §4.1.5.
func (d *draft) judgeTimes(o *object) error {
	bad := fapi.InvalidRequestObject
	if d.rules.ObjectTimes && (o.ExpiresAt == nil || o.NotBefore == nil) {
		return bad("the request object must have exp and nbf")
	}
	if o.ExpiresAt != nil && !d.now.Before(o.ExpiresAt.Time()) {
		return bad("the request object has expired")
	}
	for _, t := range []*jose.NumericDate{o.NotBefore, o.IssuedAt} {
		if t != nil && t.Time().After(d.now.Add(fapi.ClockSkew)) {
			return bad("the request object is not valid yet")
		}
	}
	if !d.rules.ObjectTimes {
		return nil
	}
	if o.ExpiresAt.Time().Sub(o.NotBefore.Time()) > fapi.MaxObjectAge {
		return bad("exp of the request object is more than 60 minutes after nbf")
	}
	if d.now.Sub(o.NotBefore.Time()) > fapi.MaxObjectAge {
		return bad("nbf of the request object is more than 60 minutes ago")
	}
	return nil
}

func intersect(allowed []string, registered string) []string {
	if slices.Contains(allowed, registered) {
		return []string{registered}
	}
	return nil
}

// maxMaxAge is the largest max_age that is taken literally; larger ones mean
// the same.
const maxMaxAge = int64(10 * 365 * 24 * time.Hour / time.Second)
