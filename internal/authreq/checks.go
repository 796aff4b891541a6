package authreq

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/profile"
	"github.com/procura/procura/internal/wire"
)

// draft is a request on its way through the checks: what came in, what has been
// accepted so far, and where an error may go.
type draft struct {
	client *clients.Registered
	rules  *profile.Rules
	issuer *fapi.Issuer
	hints  HintReader
	now    time.Time
	pushed bool

	in   parameters
	out  fapi.AuthorizationRequest
	back Return
}

// checks is the whole list in order; the first one that fails answers.
var checks = []func(*draft) error{
	checkRedirectURI,  // RFC 6749 §3.1.2.3, FAPI 1 Baseline §5.2.2-8, -9, -10
	checkAnswer,       // FAPI 1 Advanced §5.2.2-2, OAuth Multiple Response Types §5
	checkScope,        // RFC 6749 §3.3, FAPI 1 Advanced §5.2.2-10
	checkStateNonce,   // FAPI 1 Baseline §5.2.2.2-1, §5.2.2.3-1, OIDC Core §3.3.2.11
	checkPKCE,         // RFC 7636 §4.2-4.4, FAPI 1 Advanced §5.2.2-18
	checkPrompt,       // OIDC Core §3.1.2.1
	checkMaxAge,       // OIDC Core §3.1.2.1
	checkClaims,       // OIDC Core §5.5
	checkIDTokenHint,  // OIDC Core §3.1.2.1
	checkIntent,       // UK open banking: openbanking_intent_id
	copyHarmlessHints, // OIDC Core §15.1: never an error
}

func (d *draft) check() (*fapi.AuthorizationRequest, error) {
	d.out.ClientID = d.client.ID
	for _, check := range checks {
		if err := check(d); err != nil {
			return nil, err
		}
	}
	return &d.out, nil
}

func checkRedirectURI(d *draft) error {
	uri := d.in.RedirectURI
	switch {
	case uri == "":
		return fapi.InvalidRequest("redirect_uri is missing")
	case len(uri) > fapi.MaxRedirectURI || !slices.Contains(d.client.RedirectURIs, uri):
		return fapi.InvalidRequest("redirect_uri is not registered for the client")
	}
	d.out.RedirectURI = uri
	return nil
}

func checkAnswer(d *draft) error {
	responseType := sortedWords(d.in.ResponseType)
	if responseType == "" {
		return fapi.InvalidRequest("response_type is missing")
	}
	for _, answer := range d.rules.Answers {
		if answer.ResponseType != responseType {
			continue
		}
		mode := effectiveMode(responseType, d.in.ResponseMode, answer.Default)
		if !slices.Contains(answer.Modes, mode) {
			return fapi.InvalidRequest("the response_mode is not allowed with this response_type")
		}
		if !registeredType(d.client.Client, responseType) {
			return fapi.NewError("unsupported_response_type", "the client is not registered for this response_type")
		}
		if len(d.client.ResponseModes) > 0 && !slices.Contains(d.client.ResponseModes, mode) {
			return fapi.InvalidRequest("the client is not registered for this response_mode")
		}
		d.out.ResponseType, d.out.ResponseMode = responseType, mode
		return nil
	}
	return fapi.InvalidRequest("this response_type is not allowed for the client's profile")
}

func registeredType(c *fapi.Client, responseType string) bool {
	return slices.ContainsFunc(c.ResponseTypes, func(t string) bool { return sortedWords(t) == responseType })
}

func checkScope(d *draft) error {
	scope := strings.Fields(d.in.Scope)
	switch {
	case len(scope) == 0:
		return fapi.InvalidRequest("scope is missing")
	case len(d.in.Scope) > fapi.MaxScope:
		return fapi.InvalidScope("scope is too long")
	}
	registered := d.client.Scopes()
	for _, s := range scope {
		if !slices.Contains(registered, s) {
			return fapi.InvalidScope("the client is not registered for a requested scope")
		}
	}
	slices.Sort(scope)
	d.out.Scope = slices.Compact(scope)
	return nil
}

func checkStateNonce(d *draft) error {
	openid := d.out.OpenID()
	switch {
	case len(d.in.State) > fapi.MaxState:
		return fapi.InvalidRequest("state is too long")
	case len(d.in.Nonce) > fapi.MaxNonce:
		return fapi.InvalidRequest("nonce is too long")
	case d.out.Hybrid() && !openid:
		return fapi.InvalidRequest("an id token needs the openid scope")
	case d.in.Nonce == "" && (d.out.Hybrid() || openid && d.rules.NonceWithOpenID):
		return fapi.InvalidRequest("nonce is missing")
	case d.in.State == "" && !openid && d.rules.StateWithoutOpenID:
		return fapi.InvalidRequest("state is missing")
	}
	d.out.State, d.out.Nonce = d.in.State, d.in.Nonce
	return nil
}

// challenge is BASE64URL(SHA256(verifier)) of RFC 7636 §4.2.
var challenge = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

func checkPKCE(d *draft) error {
	if d.in.CodeChallenge == "" {
		if d.in.CodeChallengeMethod != "" || d.pushed && d.rules.PKCEWithPAR {
			return fapi.InvalidRequest("code_challenge is missing")
		}
		return nil
	}
	if d.in.CodeChallengeMethod != "S256" { // absent means plain (RFC 7636 §4.3)
		return fapi.InvalidRequest("code_challenge_method must be S256")
	}
	if !challenge.MatchString(d.in.CodeChallenge) {
		return fapi.InvalidRequest("code_challenge is malformed")
	}
	d.out.CodeChallenge = d.in.CodeChallenge
	return nil
}

func checkPrompt(d *draft) error {
	d.out.Prompt = strings.Fields(d.in.Prompt)
	for _, p := range d.out.Prompt {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, p) {
			return fapi.InvalidRequest("prompt has a value that is not known")
		}
	}
	if d.out.HasPrompt("none") && len(d.out.Prompt) > 1 {
		return fapi.InvalidRequest("prompt none cannot be combined")
	}
	return nil
}

func checkMaxAge(d *draft) error {
	d.out.MaxAge = d.client.DefaultMaxAge
	if len(d.in.MaxAge) == 0 {
		return nil
	}
	n, err := strconv.ParseInt(strings.Trim(string(d.in.MaxAge), `"`), 10, 64)
	if err != nil || n < 0 {
		return fapi.InvalidRequest("max_age must be a number of seconds")
	}
	n = min(n, maxMaxAge)
	d.out.MaxAge = &n
	return nil
}

func checkClaims(d *draft) error {
	raw := d.in.Claims
	if len(raw) == 0 {
		return nil
	}
	if len(raw) > fapi.MaxClaims {
		return fapi.InvalidRequest("claims is too long")
	}
	var text string
	if json.Unmarshal(raw, &text) == nil { // some clients send the object as a string
		raw = []byte(text)
	}
	if err := jose.Decode(raw, &d.out.Claims); err != nil {
		return fapi.InvalidRequest("claims must be a JSON object as in OpenID Connect Core 5.5").Because(err)
	}
	return nil
}

func checkIDTokenHint(d *draft) error {
	if d.in.IDTokenHint == "" {
		return nil
	}
	subject, audience, err := d.hints.ReadIDTokenHint(d.in.IDTokenHint)
	if err != nil {
		return fapi.InvalidRequest("id_token_hint is not an id token of this issuer").Because(err)
	}
	if !slices.Contains(audience, d.client.ID) {
		return fapi.InvalidRequest("id_token_hint was issued to another client")
	}
	d.out.HintSubject = subject
	return nil
}

func checkIntent(d *draft) error {
	if wanted := d.out.Claims.IDToken[d.rules.IntentClaim].Wanted(); len(wanted) > 0 {
		d.out.ConsentID = wanted[0]
	} else if wanted := d.out.Claims.Userinfo[d.rules.IntentClaim].Wanted(); len(wanted) > 0 {
		d.out.ConsentID = wanted[0]
	}
	needs := slices.ContainsFunc(d.rules.IntentScopes, d.out.HasScope)
	if needs && d.rules.IntentRequired && d.out.ConsentID == "" {
		return fapi.InvalidRequest("the claims parameter must name the consent as openbanking_intent_id")
	}
	return nil
}

func copyHarmlessHints(d *draft) error {
	d.out.ACRValues = strings.Fields(d.in.ACRValues)
	if len(d.out.ACRValues) == 0 {
		d.out.ACRValues = strings.Fields(d.client.DefaultACRValues)
	}
	d.out.LoginHint = d.in.LoginHint
	d.out.UILocales = strings.Fields(d.in.UILocales)
	return nil
}

// sortedWords makes "id_token code" and "code id_token" the same.
func sortedWords(s string) string {
	words := strings.Fields(s)
	slices.Sort(words)
	return strings.Join(words, " ")
}

// plain reads the parameters of a request without an object.
func plain(p wire.Params) parameters {
	in := parameters{
		ClientID: p.Get("client_id"), ResponseType: p.Get("response_type"), ResponseMode: p.Get("response_mode"),
		RedirectURI: p.Get("redirect_uri"), Scope: p.Get("scope"), State: p.Get("state"), Nonce: p.Get("nonce"),
		CodeChallenge: p.Get("code_challenge"), CodeChallengeMethod: p.Get("code_challenge_method"),
		Prompt: p.Get("prompt"), ACRValues: p.Get("acr_values"), LoginHint: p.Get("login_hint"),
		IDTokenHint: p.Get("id_token_hint"), UILocales: p.Get("ui_locales"),
	}
	if p.Has("max_age") {
		in.MaxAge = json.RawMessage(p.Get("max_age"))
	}
	if p.Has("claims") {
		in.Claims = json.RawMessage(p.Get("claims"))
	}
	return in
}
