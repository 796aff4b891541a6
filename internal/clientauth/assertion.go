package clientauth

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// maxIssuedAgo is how old the iat of an assertion may be: clients in use sign one
// for an hour.
const maxIssuedAgo = time.Hour

// Explicit types of a client assertion (CA-07); none at all is accepted too.
const (
	typeJWT       = "JWT"
	typeAssertion = "client-authentication+jwt"
)

// unproven answers whoever has not shown to hold the key of a registered client.
func unproven() *fapi.Error {
	return fapi.InvalidClient("the client is not known, is registered for another authentication method or algorithm, or the client assertion is not signed with a registered key")
}

// claims of a client assertion (RFC 7523 §3).
type claims struct {
	Issuer    string            `json:"iss"`
	Subject   string            `json:"sub"`
	Audience  jose.Audience     `json:"aud"`
	Expires   *jose.NumericDate `json:"exp"`
	NotBefore *jose.NumericDate `json:"nbf"`
	IssuedAt  *jose.NumericDate `json:"iat"`
	ID        string            `json:"jti"`
}

// assertion is a client assertion on its way through the checks.
type assertion struct {
	compact string
	header  jose.Header
	payload []byte // as read before the signature was checked
	claims  claims
}

// byAssertion is private_key_jwt. What can be judged without knowing the client
// comes first and is described; what depends on the client shares one description
// until the signature is good.
func (a *Authenticator) byAssertion(ctx context.Context, r Request) (Result, error) {
	if r.Params.Get(paramAssertionType) != fapi.AssertionTypeJWT { // CA-01
		return Result{}, fapi.InvalidClient("client_assertion_type must be " + fapi.AssertionTypeJWT)
	}
	as, err := readAssertion(r.Params.Get(paramAssertion))
	if err != nil {
		return Result{}, err
	}
	if err := as.wellFormed(r.Params.Get(paramClientID), a.deps.Now()); err != nil {
		return Result{}, err
	}
	c, err := a.find(ctx, as.claims.Subject, unproven())
	if err != nil {
		return Result{}, err
	}
	if err := as.verify(ctx, c); err != nil {
		return Result{}, err
	}
	if err := a.addressed(c, as.claims.Audience); err != nil {
		return Result{}, err
	}
	if err := ownCertificate(c, r.Peer); err != nil {
		return Result{}, err
	}
	return Result{Client: c, Once: a.once(c, as.claims)}, nil
}

// readAssertion decodes without believing anything: JWS in compact form, strict
// JSON, bounded (G-16 to G-18, JW-03).
func readAssertion(compact string) (*assertion, error) {
	malformed := fapi.InvalidClient("the client assertion must be a JWT in compact JWS form with iss, sub, aud, exp and jti")
	if compact == "" || len(compact) > fapi.MaxJWT {
		return nil, malformed
	}
	as := &assertion{compact: compact}
	var err error
	if as.header, err = jose.ParseHeader(compact); err != nil {
		return nil, malformed.Because(fmt.Errorf("reading assertion header: %w", err))
	}
	if as.payload, err = jose.Payload(compact); err != nil {
		return nil, malformed.Because(fmt.Errorf("reading assertion: %w", err))
	}
	if err = jose.Decode(as.payload, &as.claims); err != nil {
		return nil, malformed.Because(fmt.Errorf("reading assertion claims: %w", err))
	}
	return as, nil
}

// wellFormed is what needs no client, in order: the first error counts.
func (as *assertion) wellFormed(formID string, now time.Time) error {
	return cmp.Or(as.checkType(), as.checkNames(formID), as.checkTimes(now), as.checkID())
}

// checkType: CA-07, RFC 8725 §3.11. A request object or a token of ours with its
// own type is no client assertion (attacks 19 and 20).
func (as *assertion) checkType() error {
	if as.header.Typ == "" || as.header.HasTyp(typeJWT) || as.header.HasTyp(typeAssertion) {
		return nil
	}
	return fapi.InvalidClient("the client assertion's typ must be absent, JWT or client-authentication+jwt")
}

// checkNames: CA-02, G-12. The mandatory sub keeps a request object out.
func (as *assertion) checkNames(formID string) error {
	switch {
	case as.claims.Subject == "" || as.claims.Issuer != as.claims.Subject:
		return fapi.InvalidClient("iss and sub of the client assertion must both be the client_id")
	case formID != "" && formID != as.claims.Subject:
		return fapi.InvalidClient("client_id must be the sub of the client assertion, or be left out")
	}
	return nil
}

// checkTimes: CA-05, F2-16; attack 43. An assertion is dead at its exp, to the
// second, and cannot outlive the time for which its jti is remembered.
func (as *assertion) checkTimes(now time.Time) error {
	ahead := now.Add(fapi.ClockSkew)
	switch exp, nbf, iat := as.claims.Expires, as.claims.NotBefore, as.claims.IssuedAt; {
	case exp == nil:
		return fapi.InvalidClient("the client assertion needs exp")
	case !now.Before(exp.Time()):
		return fapi.InvalidClient("the client assertion has expired")
	case exp.Time().After(ahead.Add(fapi.MaxAssertionLife)):
		return fapi.InvalidClient("the client assertion's exp must be at most an hour ahead")
	case nbf != nil && nbf.Time().After(ahead):
		return fapi.InvalidClient("the client assertion's nbf lies in the future")
	case iat != nil && iat.Time().After(ahead):
		return fapi.InvalidClient("the client assertion's iat lies in the future")
	case iat != nil && iat.Time().Before(now.Add(-maxIssuedAgo)):
		return fapi.InvalidClient("the client assertion's iat must not be older than an hour")
	}
	return nil
}

// checkID: CA-06.
func (as *assertion) checkID() error {
	if as.claims.ID == "" || len(as.claims.ID) > fapi.MaxJTI {
		return fapi.InvalidClient("the client assertion needs a jti of reasonable length")
	}
	return nil
}

// verify: the client's method, algorithm, key and signature (CA-08, F1A-10, F1A-18).
func (as *assertion) verify(ctx context.Context, c *clients.Registered) error {
	if c.AuthMethod != fapi.AuthPrivateKeyJWT {
		return because(unproven(), c, errors.New("an assertion came, and its method is "+c.AuthMethod))
	}
	algs := algorithms(c)
	if !slices.Contains(algs, as.header.Alg) { // before any key is looked at (JW-01)
		return because(unproven(), c, fmt.Errorf("assertion signed with %.20q, allowed is %v", as.header.Alg, algs))
	}
	payload, err := as.signed(ctx, c, algs)
	switch {
	case errors.Is(err, fapi.ErrUnavailable):
		return fapi.TemporarilyUnavailable(err)
	case err != nil:
		return because(unproven(), c, fmt.Errorf("verifying assertion: %w", err))
	case !bytes.Equal(payload, as.payload):
		return because(unproven(), c, errors.New("the signed payload is not the one that was checked"))
	}
	return nil
}

// algorithms are those of the rules, or the registered one if they allow it.
func algorithms(c *clients.Registered) []string {
	switch {
	case c.AuthSigningAlg == "":
		return c.Rules.SigningAlgs
	case slices.Contains(c.Rules.SigningAlgs, c.AuthSigningAlg):
		return []string{c.AuthSigningAlg}
	}
	return nil
}

// signed verifies with the known keys, and once more with fresh ones when none
// fits: a client that has changed its keys may send no kid.
func (as *assertion) signed(ctx context.Context, c *clients.Registered, algs []string) ([]byte, error) {
	keys, err := c.Keys(ctx, as.header.KID)
	if err != nil {
		return nil, err
	}
	_, payload, err := jose.Verify(as.compact, keys, algs)
	if !errors.Is(err, jose.ErrSignature) && !errors.Is(err, jose.ErrKey) {
		return payload, err
	}
	fresh, freshErr := c.FreshKeys(ctx)
	if freshErr != nil || fresh == keys {
		return nil, err
	}
	_, payload, err = jose.Verify(as.compact, fresh, algs)
	return payload, err
}

// audiences are the back channel URLs of the issuer at both listeners: clients name
// the endpoint they post to, or any of them, however the request came in.
func audiences(i fapi.Issuer) map[string]bool {
	set := map[string]bool{i.URL: true}
	for _, path := range []string{fapi.PathToken, fapi.PathPAR, fapi.PathIntrospect, fapi.PathRevoke} {
		set[i.At(path)], set[i.MTLSAt(path)] = true, true
	}
	return set
}

// addressed: CA-03, CA-04, MT-15; attack 42. Values are compared byte by byte.
func (a *Authenticator) addressed(c *clients.Registered, aud jose.Audience) error {
	if c.Rules.AssertionAudienceEndpoints {
		if slices.ContainsFunc(aud.Values, func(v string) bool { return a.audiences[v] }) {
			return nil
		}
		return because(fapi.InvalidClient("the client assertion's aud must be the issuer or the URL of one of its endpoints"), c, errors.New("other audience"))
	}
	if aud.Single && aud.Has(a.issuer) {
		return nil
	}
	return because(fapi.InvalidClient("the client assertion's aud must be the issuer, as a single string"), c, errors.New("other audience"))
}

// once is remembered for the skew beyond exp: the clocks of two hosts of ours may
// differ, and the slower one must still know the jti.
func (a *Authenticator) once(c *clients.Registered, cl claims) fapi.Once {
	return fapi.Once{
		Issuer:    a.issuer,
		Namespace: c.ID,
		Digest:    sha256.Sum256([]byte(cl.ID)),
		ExpiresAt: cl.Expires.Time().Add(fapi.ClockSkew).Unix(),
	}
}
