package resource

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/procura/procura/internal/jose"
)

// Config says whose tokens are accepted and what for. New refuses zero values;
// DefaultConfig fills in what has a usual value.
type Config struct {
	Issuer   string // iss, byte for byte
	Audience string // one of aud must be this, byte for byte
	// JWKSURI is where the issuer's keys are; "" learns it from discovery.
	JWKSURI string
	// Algorithms are the accepted signatures: ES256, PS256 or both.
	Algorithms []string
	// Skew is how far the issuer's clock may be from ours; at most a minute.
	Skew time.Duration
	// MaxFeedAge is how long the revocations may have been silent. Beyond it
	// every token is answered with 503. The issuer is heard once a second.
	MaxFeedAge time.Duration
	// KeyRefresh is the age from which keys are read again while the old ones
	// still serve; MaxKeyAge the age beyond which they do not.
	KeyRefresh, MaxKeyAge time.Duration
	// KeyRetry is the least time between two reads of the keys, whatever unknown
	// key ids are presented.
	KeyRetry time.Duration
}

// DefaultConfig is a Config for an issuer with the usual limits. They are ours;
// no clause sets them.
func DefaultConfig(issuer, audience string) Config {
	return Config{
		Issuer: issuer, Audience: audience, Algorithms: []string{jose.ES256, jose.PS256},
		Skew: 5 * time.Second, MaxFeedAge: 5 * time.Second,
		KeyRefresh: 5 * time.Minute, MaxKeyAge: 24 * time.Hour, KeyRetry: 10 * time.Second,
	}
}

// Revocations is what a Verifier asks; Feed is one.
type Revocations interface {
	// Age is how long nothing was heard, false while there is no complete picture.
	Age() (time.Duration, bool)
	// Revoked reports whether the token, its grant, consent or client was revoked.
	Revoked(t *Token) bool
}

// Deps are what a Verifier works with; all are required.
type Deps struct {
	// Fetch reads a document of the issuer by https; see NewFetcher.
	Fetch       func(ctx context.Context, url string) ([]byte, error)
	Revocations Revocations
	Now         func() time.Time
}

// Verifier verifies access tokens. It is safe for concurrent use.
type Verifier struct {
	cfg    Config
	deps   Deps
	keys   *keySource
	checks []check
}

// New returns a Verifier. Nothing is fetched yet: see Prepare.
func New(cfg Config, deps Deps) (*Verifier, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configuring a token verifier: %w", err)
	}
	if deps.Fetch == nil || deps.Revocations == nil || deps.Now == nil {
		return nil, errors.New("a token verifier needs Fetch, Revocations and Now")
	}
	return &Verifier{cfg: cfg, deps: deps, keys: newKeySource(cfg, deps), checks: claimChecks()}, nil
}

func (c *Config) validate() error {
	switch {
	case !isHTTPS(c.Issuer) || strings.HasSuffix(c.Issuer, "/"):
		return errors.New("the issuer must be an https URL without trailing slash")
	case c.Audience == "" || strings.ContainsAny(c.Audience, "\"\\\r\n"):
		return errors.New("the audience is missing or holds characters that no header may")
	case c.JWKSURI != "" && !isHTTPS(c.JWKSURI):
		return errors.New("the JWKS URI must be https")
	case c.Skew < 0 || c.Skew > time.Minute:
		return errors.New("the clock skew must be between 0 and a minute")
	case c.MaxFeedAge <= 0:
		return errors.New("the age of the revocation feed must be limited")
	case c.KeyRefresh <= 0 || c.KeyRetry <= 0 || c.MaxKeyAge < c.KeyRefresh:
		return errors.New("the times of the keys must be positive, and MaxKeyAge not below KeyRefresh")
	}
	return checkAlgorithms(c.Algorithms)
}

// checkAlgorithms keeps to FAPI 1 Advanced §8.6: ES256 and PS256.
func checkAlgorithms(algs []string) error {
	if len(algs) == 0 {
		return errors.New("no signature algorithm")
	}
	for _, alg := range algs {
		if !slices.Contains([]string{jose.ES256, jose.PS256}, alg) {
			return fmt.Errorf("signature algorithm %q is not allowed", alg)
		}
	}
	return nil
}

func isHTTPS(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && u.Fragment == ""
}

// Prepare fetches the issuer's keys if there are none yet. It is for start-up
// and readiness; Verify does the same when it has to.
func (v *Verifier) Prepare(ctx context.Context) error {
	_, err := v.keys.find(ctx, "")
	return err
}

// Ready reports why no token could be accepted now: no keys, or revocations
// that are too old.
func (v *Verifier) Ready(ctx context.Context) error {
	if err := v.Prepare(ctx); err != nil {
		return err
	}
	return v.informed()
}

var (
	errNotSynced = errors.New("the revocation feed has not caught up yet")
	errFeedOld   = errors.New("the revocation feed is too old")
)

// informed fails closed (AT-06, FAPI 2 §5.3.4-3): what cannot be known to be
// alive is not accepted.
func (v *Verifier) informed() error {
	age, synced := v.deps.Revocations.Age()
	switch {
	case !synced:
		return errNotSynced
	case age > v.cfg.MaxFeedAge:
		return errFeedOld
	}
	return nil
}

// Verify returns the token of a request that may be believed, or an *Error. It
// does not look at scope or consent.
func (v *Verifier) Verify(ctx context.Context, q Request) (*Token, error) {
	if err := q.place(); err != nil {
		return nil, err
	}
	compact, found, err := bearer(q.Authorization)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, &Error{Status: http.StatusUnauthorized, realm: v.cfg.Audience}
	}
	t, err := v.read(ctx, compact)
	if err != nil {
		return nil, err
	}
	if err := holds(t.Thumbprint, q.Peer); err != nil {
		return nil, InvalidToken("the access token is bound to another certificate", err)
	}
	return v.alive(t)
}

// alive asks for revocations last: strangers learn nothing about our feed.
func (v *Verifier) alive(t *Token) (*Token, error) {
	if err := v.informed(); err != nil {
		return nil, Unavailable(err)
	}
	if v.deps.Revocations.Revoked(t) {
		return nil, InvalidToken("the access token was revoked", nil)
	}
	return t, nil
}

// notAccepted is all that the outside learns of a token that is not good; which
// of its parts is at fault goes to the log.
const notAccepted = "the access token is not valid"

func (v *Verifier) read(ctx context.Context, compact string) (*Token, error) {
	header, err := jose.ParseHeader(compact)
	if err != nil {
		return nil, InvalidToken(notAccepted, err)
	}
	// ID tokens and every other kind of JWT stay out (RFC 9068 §4, attack 59).
	if !header.HasTyp("at+jwt") || header.KID == "" {
		return nil, InvalidToken(notAccepted, errors.New("typ or kid is not that of an access token"))
	}
	keys, err := v.keys.find(ctx, header.KID)
	if err != nil {
		return nil, Unavailable(err)
	}
	_, payload, err := jose.Verify(compact, keys, v.cfg.Algorithms)
	if err != nil {
		return nil, InvalidToken(notAccepted, err)
	}
	return v.claims(compact, payload)
}

func (v *Verifier) claims(compact string, payload []byte) (*Token, error) {
	var c claims
	if err := jose.Decode(payload, &c); err != nil {
		return nil, InvalidToken(notAccepted, err)
	}
	now := v.deps.Now()
	for _, check := range v.checks {
		if !check.ok(&c, v, now) {
			return nil, InvalidToken(notAccepted, errors.New(check.says))
		}
	}
	return c.token(compact), nil
}
