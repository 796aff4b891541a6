// Package mint makes everything that the server signs: access tokens, id tokens,
// JARM responses, login challenges. It also reads back what it made.
//
// It refuses to sign what lacks a claim that somebody relies on, to sign with
// anything but ES256 and PS256 (FAPI 1 Advanced §8.6), and to send in the clear
// what a client registered to be encrypted. Whether a token may be issued is the
// rooms' business, not decided here.
package mint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// typ values. Each kind of token has its own, so that none passes for another
// (RFC 8725 §3.11).
const (
	typAccess    = "at+jwt" // RFC 9068 §2.1
	typJWT       = "JWT"
	typChallenge = "login-challenge+jwt"
)

// Config says for whom tokens are made.
type Config struct {
	Issuer fapi.Issuer
}

// Ring is the part of keys.Ring that the mint needs.
type Ring interface {
	Signer(alg string) (jose.Signer, error)
	Public() *jose.KeySet
}

// Deps are the mint's surroundings.
type Deps struct {
	Ring Ring
	Now  func() time.Time
	Rand io.Reader
}

// Mint signs for one issuer. It is safe for concurrent use.
type Mint struct {
	issuer string
	ring   Ring
	now    func() time.Time
	random io.Reader
}

// New makes a mint; it refuses missing parts.
func New(cfg Config, deps Deps) (*Mint, error) {
	if cfg.Issuer.URL == "" {
		return nil, errors.New("mint: no issuer")
	}
	if deps.Ring == nil || deps.Now == nil || deps.Rand == nil {
		return nil, errors.New("mint: ring, clock or randomness missing")
	}
	return &Mint{issuer: cfg.Issuer.URL, ring: deps.Ring, now: deps.Now, random: deps.Rand}, nil
}

// sign writes claims as a JWS of the given kind.
func (m *Mint) sign(alg, typ string, claims any) (string, error) {
	if alg != jose.ES256 && alg != jose.PS256 {
		return "", fmt.Errorf("signing with %q: %w", alg, jose.ErrAlgorithm)
	}
	signer, err := m.ring.Signer(alg)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("writing claims: %w", err)
	}
	return signer.Sign(typ, payload)
}

// conceal encrypts a signed token when the client registered that, and returns
// it as it is when the client did not. An enc without alg is refused (OIDC
// Registration §2, JARM §3), as is everything that does not work out: a token
// meant to be encrypted never leaves in the clear.
func conceal(signed, alg, enc string, keys *jose.KeySet) (fapi.Secret, error) {
	if alg == "" && enc == "" {
		return fapi.Secret(signed), nil
	}
	if enc == "" {
		enc = jose.A128CBCHS256 // the registered default of both specifications
	}
	sealed, err := jose.Encrypt([]byte(signed), keys, alg, enc, typJWT)
	if err != nil {
		return "", err
	}
	return fapi.Secret(sealed), nil
}

// seconds is a time as it stands in a claim.
func seconds(t time.Time) jose.NumericDate {
	if t.IsZero() {
		return 0
	}
	return jose.NumericDate(t.Unix())
}
