package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// The hand-over's JWT types and the life of an answer.
const (
	challengeType = "login-challenge+jwt"
	responseType  = "login-response+jwt"
	answerLife    = 2 * time.Minute
	clockSkew     = 10 * time.Second
)

// challenge is the issuer's question, verified.
type challenge struct {
	Issuer      string           `json:"iss"`
	Audience    jose.Audience    `json:"aud"`
	Expires     jose.NumericDate `json:"exp"`
	Interaction string           `json:"jti"`
	ClientName  string           `json:"client_name"`
	ACRValues   string           `json:"acr_values"` // space-separated, best first
	ForceLogin  bool             `json:"force_login"`
	MaxAge      *int64           `json:"max_age"`
	LoginHint   string           `json:"login_hint"`
	ReturnTo    string           `json:"return_to"`

	raw string
}

// response is the bank's answer, before it is signed.
type response struct {
	Issuer    string            `json:"iss"`
	Audience  string            `json:"aud"`
	IssuedAt  int64             `json:"iat"`
	Expires   int64             `json:"exp"`
	ID        string            `json:"jti"`
	Challenge string            `json:"challenge"`
	Error     string            `json:"error,omitempty"`
	Subject   string            `json:"sub,omitempty"`
	ACR       string            `json:"acr,omitempty"`
	AMR       []string          `json:"amr,omitempty"`
	AuthTime  int64             `json:"auth_time,omitempty"`
	Accounts  []fapi.Account    `json:"accounts,omitempty"`
	Claims    map[string]string `json:"claims,omitempty"`
}

// readChallenge refuses whatever the issuer did not sign, for this application,
// within its time, and with its own callback as the way back.
func (a *App) readChallenge(ctx context.Context, raw string) (challenge, error) {
	var c challenge
	if raw == "" || len(raw) > fapi.MaxJWT {
		return c, errors.New("reading the challenge: there is none")
	}
	head, payload, err := a.verify(ctx, raw)
	if err != nil {
		return c, fmt.Errorf("reading the challenge: %w", err)
	}
	if err := jose.Decode(payload, &c); err != nil {
		return c, fmt.Errorf("reading the challenge: %w", err)
	}
	now := a.deps.Now()
	switch {
	case head.Typ != challengeType:
		return c, errors.New("reading the challenge: it is a JWT of another type")
	case c.Issuer != a.cfg.Issuer || !c.Audience.Has(a.cfg.BaseURL):
		return c, errors.New("reading the challenge: it is from or for somebody else")
	case now.After(time.Unix(int64(c.Expires), 0).Add(clockSkew)):
		return c, errors.New("reading the challenge: it has expired")
	case c.ReturnTo != a.cfg.Issuer+fapi.PathLoginDone:
		return c, errors.New("reading the challenge: it leads elsewhere")
	case c.Interaction == "":
		return c, errors.New("reading the challenge: it names no interaction")
	}
	c.raw = raw
	return c, nil
}

// verify tries the known keys and, when they do not fit, the current ones: the
// issuer may have rotated them.
func (a *App) verify(ctx context.Context, raw string) (jose.Header, []byte, error) {
	algs := []string{jose.ES256, jose.PS256}
	keys, err := a.deps.Keys(ctx, false)
	if err != nil {
		return jose.Header{}, nil, err
	}
	head, payload, err := jose.Verify(raw, keys, algs)
	if !errors.Is(err, jose.ErrKey) {
		return head, payload, err
	}
	if keys, err = a.deps.Keys(ctx, true); err != nil {
		return jose.Header{}, nil, err
	}
	return jose.Verify(raw, keys, algs)
}

// satisfiedBy reports whether a login at authTime is good enough.
func (c *challenge) satisfiedBy(authTime, now time.Time) bool {
	if c.ForceLogin {
		return false
	}
	return c.MaxAge == nil || now.Sub(authTime) <= time.Duration(*c.MaxAge)*time.Second
}

// acr returns the first wanted level that the bank can reach. A password alone is
// no strong authentication; a demo claims it all the same.
func (c *challenge) acr() string {
	const sca, ca = "urn:openbanking:psd2:sca", "urn:openbanking:psd2:ca"
	for _, wanted := range strings.Fields(c.ACRValues) {
		if slices.Contains([]string{sca, ca}, wanted) {
			return wanted
		}
	}
	return sca
}

// send signs the answer, encrypts it to the issuer and goes back with it.
func (a *App) send(w http.ResponseWriter, r *http.Request, c challenge, answer response) {
	sealed, err := a.seal(r.Context(), c, answer)
	if err != nil {
		a.refuse(w, err)
		return
	}
	back := c.ReturnTo + "?" + url.Values{"login_response": {sealed}}.Encode()
	http.Redirect(w, r, back, http.StatusSeeOther)
}

func (a *App) seal(ctx context.Context, c challenge, answer response) (string, error) {
	id, err := fapi.NewSecret(a.deps.Rand, 16)
	if err != nil {
		return "", err
	}
	now := a.deps.Now()
	answer.Issuer, answer.Audience, answer.ID = a.cfg.BaseURL, a.cfg.Issuer, id.Reveal()
	answer.IssuedAt, answer.Expires = now.Unix(), now.Add(answerLife).Unix()
	answer.Challenge = c.Interaction
	payload, err := json.Marshal(answer)
	if err != nil {
		return "", fmt.Errorf("writing the answer: %w", err)
	}
	signed, err := a.deps.Signer.Sign(responseType, payload)
	if err != nil {
		return "", fmt.Errorf("signing the answer: %w", err)
	}
	keys, err := a.deps.Keys(ctx, false)
	if err != nil {
		return "", err
	}
	sealed, err := jose.Encrypt([]byte(signed), keys, jose.ECDHES, jose.A256GCM, "JWT")
	if err != nil {
		return "", fmt.Errorf("encrypting the answer: %w", err)
	}
	return sealed, nil
}
