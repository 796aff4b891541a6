package authz

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// maxAnswerLife bounds how long a login answer may live between the two sites.
const maxAnswerLife = 5 * time.Minute

// HandoverConfig describes the bank's login application.
type HandoverConfig struct {
	Issuer   fapi.Issuer
	LoginURL string // where the customer is sent, with login_challenge
	Login    string // iss of its answers and aud of our challenges
}

// HandoverDeps are the keys on both sides.
type HandoverDeps struct {
	Sign       func(c fapi.LoginChallenge, audience string) (fapi.Secret, error)
	Keys       func(ctx context.Context, kid string) (*jose.KeySet, error) // of the login application
	Decrypters func() []jose.Decrypter                                     // ours: answers may be encrypted
	Now        func() time.Time
}

// Handover is the Login that sends the customer to the bank's own application
// with a signed challenge and takes its signed answer back. Single use is not
// decided here: the interaction moves on once.
type Handover struct {
	cfg  HandoverConfig
	deps HandoverDeps
	to   url.URL
}

// NewHandover refuses a login URL that is not https.
func NewHandover(cfg HandoverConfig, deps HandoverDeps) (*Handover, error) {
	to, err := url.Parse(cfg.LoginURL)
	if err != nil || to.Scheme != "https" || to.Host == "" {
		return nil, errors.New("authz: the login application needs an https URL")
	}
	if cfg.Login == "" || cfg.Issuer.URL == "" || deps.Sign == nil || deps.Keys == nil || deps.Decrypters == nil || deps.Now == nil {
		return nil, errors.New("authz: a part of the login hand-over is missing")
	}
	return &Handover{cfg: cfg, deps: deps, to: *to}, nil
}

// Challenge implements Login.
func (h *Handover) Challenge(c fapi.LoginChallenge) (string, error) {
	challenge, err := h.deps.Sign(c, h.cfg.Login)
	if err != nil {
		return "", err
	}
	to := h.to
	query := to.Query()
	query.Set("login_challenge", challenge.Reveal())
	to.RawQuery = query.Encode()
	return to.String(), nil
}

// loginResponse is the bank's signed answer.
type loginResponse struct {
	Issuer    string            `json:"iss"`
	Audience  jose.Audience     `json:"aud"`
	IssuedAt  *jose.NumericDate `json:"iat"`
	ExpiresAt *jose.NumericDate `json:"exp"`
	ID        string            `json:"jti"`
	Challenge string            `json:"challenge"`
	Error     string            `json:"error"`
	Subject   string            `json:"sub"`
	ACR       string            `json:"acr"`
	AMR       []string          `json:"amr"`
	AuthTime  *jose.NumericDate `json:"auth_time"`
	Accounts  []fapi.Account    `json:"accounts"`
	Claims    map[string]string `json:"claims"`
}

// Answer implements Login. It checks signature, type, issuer, audience and
// times, and that the answer is complete.
func (h *Handover) Answer(ctx context.Context, raw fapi.Secret) (*LoginAnswer, error) {
	payload, err := h.open(ctx, raw.Reveal())
	if err != nil {
		return nil, err
	}
	var in loginResponse
	if err := jose.Decode(payload, &in); err != nil {
		return nil, errBadAnswer(err)
	}
	if err := h.judge(&in); err != nil {
		return nil, errBadAnswer(err)
	}
	if in.Error != "" {
		return &LoginAnswer{Interaction: in.Challenge, Refused: true}, nil
	}
	if in.Subject == "" || in.AuthTime == nil {
		return nil, errBadAnswer(errors.New("sub or auth_time is missing"))
	}
	return &LoginAnswer{Interaction: in.Challenge, Login: fapi.Login{
		Customer: in.Subject, ACR: in.ACR, AMR: in.AMR, AuthTime: in.AuthTime.Time(),
		Accounts: in.Accounts, Claims: in.Claims,
	}}, nil
}

func errBadAnswer(cause error) error {
	return fapi.InvalidRequest("the answer of the login application cannot be used").Because(cause)
}

// open decrypts where needed and verifies the signature.
func (h *Handover) open(ctx context.Context, compact string) ([]byte, error) {
	if jose.IsJWE(compact) {
		inner, err := jose.Decrypt(compact, h.deps.Decrypters(), []string{jose.RSAOAEP256, jose.ECDHES}, []string{jose.A256GCM})
		if err != nil {
			return nil, errBadAnswer(err)
		}
		compact = string(inner)
	}
	header, err := jose.ParseHeader(compact)
	if err != nil {
		return nil, errBadAnswer(err)
	}
	keys, err := h.deps.Keys(ctx, header.KID)
	if err != nil {
		return nil, err
	}
	header, payload, err := jose.Verify(compact, keys, []string{jose.ES256, jose.PS256})
	if err != nil {
		return nil, errBadAnswer(err)
	}
	if !strings.EqualFold(header.Typ, "login-response+jwt") {
		return nil, errBadAnswer(errors.New("typ is not login-response+jwt"))
	}
	return payload, nil
}

func (h *Handover) judge(in *loginResponse) error {
	now := h.deps.Now()
	switch {
	case in.Issuer != h.cfg.Login:
		return errors.New("iss is not the login application")
	case !slices.Contains(in.Audience.Values, h.cfg.Issuer.URL):
		return errors.New("aud is not this issuer")
	case in.ExpiresAt == nil || in.IssuedAt == nil || in.ID == "":
		return errors.New("exp, iat or jti is missing")
	case !now.Before(in.ExpiresAt.Time()):
		return errors.New("it has expired")
	case in.ExpiresAt.Time().After(now.Add(maxAnswerLife + fapi.ClockSkew)):
		return errors.New("it lives too long")
	case in.IssuedAt.Time().After(now.Add(fapi.ClockSkew)):
		return errors.New("it comes from the future")
	}
	return nil
}
