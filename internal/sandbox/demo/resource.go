package demo

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// revokedWithin is how soon the gateway must know of a revocation.
const revokedWithin = time.Second

func (j *journey) redeem(ctx context.Context, s *step) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {j.code}, "redirect_uri": {j.tpp.RedirectURIs[0]}}
	if j.verifier != "" {
		form.Set("code_verifier", j.verifier)
	}
	t := j.tokens(ctx, s, form)
	claims, _ := j.idToken(s, t.ID)
	if j.subject != "" {
		s.check(claims.Subject == j.subject, "both id tokens name the same customer")
	}
	j.subject = claims.Subject
	s.check(claims.Nonce == "" || claims.Nonce == j.nonce, "nonce is the one that was sent")
	j.userToken(s, t.Access)
	s.check(t.Refresh != "", "refresh token %s", short(t.Refresh))
	j.access, j.refresh = t.Access, t.Refresh
}

// userToken checks an access token that speaks for the customer; it returns the
// token's jti.
func (j *journey) userToken(s *step, raw string) string {
	claims := j.accessClaims(s, raw)
	s.check(claims.Subject == j.subject, "it speaks for the customer, by the same pairwise name")
	s.check(claims.Consent == j.consent, "consent_id is the consent's")
	return claims.ID
}

func (j *journey) readAccounts(ctx context.Context, s *step) { j.accounts(ctx, s, j.access) }

// accounts reads the accounts; exactly those that the customer ticked come back.
func (j *journey) accounts(ctx context.Context, s *step, access string) {
	a, ok := j.api(ctx, s, j.tpp, http.MethodGet, j.world.ResourceBase+aispV31+"/accounts", access, "")
	if !ok || !s.saw(a.says(), a.status == http.StatusOK, "status 200") {
		return
	}
	var list struct {
		Data struct {
			Account []struct {
				AccountID string `json:"AccountId"`
			}
		}
	}
	s.fail(json.Unmarshal(a.body, &list))
	s.check(len(list.Data.Account) == j.chosen, "%d account, the one that %s chose", j.chosen, j.customer.Username)
}

func (j *journey) renew(ctx context.Context, s *step) {
	t := j.tokens(ctx, s, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {j.refresh}})
	if s.err != nil {
		return
	}
	id := j.userToken(s, t.Access)
	s.check(t.Access != j.access && id != "", "it is another access token, jti %s", id)
	s.check(t.Refresh == "" || t.Refresh == j.refresh, "the refresh token stays the same")
	j.access = t.Access
	j.accounts(ctx, s, t.Access)
}

// steal shows the token with another TPP's certificate (RFC 8705 §3).
func (j *journey) steal(ctx context.Context, s *step) {
	a, ok := j.api(ctx, s, j.other, http.MethodGet, j.world.ResourceBase+aispV31+"/accounts", j.access, "")
	if !ok {
		return
	}
	s.saw(a.says(), a.status == http.StatusUnauthorized, "refused with 401")
	s.check(strings.Contains(a.header.Get("WWW-Authenticate"), "invalid_token"), "WWW-Authenticate says invalid_token")
}

// revoke ends the grant at the server and asks the gateway until it knows, at
// most a second. Then the refresh token is tried.
func (j *journey) revoke(ctx context.Context, s *step) {
	a, ok := j.post(ctx, s, j.tpp, j.server.Aliases.Revoke, url.Values{"token": {j.refresh}})
	if !ok || !s.saw(a.says(), a.status == http.StatusOK, "status 200") {
		return
	}
	after, ok := j.awaitRefusal(ctx, s)
	if !ok || !s.check(after <= revokedWithin, "the gateway refuses the access token %d ms later", after.Milliseconds()) {
		return
	}
	a, ok = j.post(ctx, s, j.tpp, j.server.Aliases.Token, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {j.refresh}})
	if ok {
		s.saw(a.says(), a.status == http.StatusBadRequest && strings.Contains(string(a.body), `"invalid_grant"`), "the refresh token is dead: invalid_grant")
	}
}

// awaitRefusal asks the gateway until it answers 401 or the time is over.
func (j *journey) awaitRefusal(ctx context.Context, s *step) (time.Duration, bool) {
	const pause = 20 * time.Millisecond
	began := j.deps.Now()
	address := j.world.ResourceBase + aispV31 + "/accounts"
	s.sends("GET %s  until it is refused", address)
	for {
		var quiet step
		a, ok := j.api(ctx, &quiet, j.tpp, http.MethodGet, address, j.access, "")
		took := j.deps.Now().Sub(began)
		switch {
		case !ok:
			return took, s.fail(quiet.err)
		case a.status == http.StatusUnauthorized:
			return took, true
		case took > revokedWithin:
			return took, s.saw(a.says(), false, "the gateway refuses within %s", revokedWithin)
		}
		select {
		case <-ctx.Done():
			return took, s.fail(ctx.Err())
		case <-time.After(pause):
		}
	}
}

// api calls the bank's API through the gateway with the certificate of whoever
// shows the token.
func (j *journey) api(ctx context.Context, s *step, who *tpp, method, address, token, body string) (answer, bool) {
	interaction, err := uuid.NewRandom()
	if !s.fail(err) {
		return answer{}, false
	}
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if !s.fail(err) {
		return answer{}, false
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("x-fapi-interaction-id", interaction.String())
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	s.sends("%s %s  Bearer %s  certificate %s", method, address, short(token), who.subj)
	a, err := call(who.back, req)
	if !s.fail(err) {
		return answer{}, false
	}
	return a, s.check(a.header.Get("x-fapi-interaction-id") == interaction.String(), "x-fapi-interaction-id comes back")
}
