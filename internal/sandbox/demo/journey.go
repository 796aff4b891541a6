package demo

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/procura/procura/internal/sandbox/browser"
)

const (
	scope   = "openid accounts offline_access"
	acrSCA  = "urn:openbanking:psd2:sca"
	acrCA   = "urn:openbanking:psd2:ca"
	aispV31 = "/open-banking/v3.1/aisp"
)

// journey is one flow under way and what it has gathered.
type journey struct {
	*Demo
	flow
	application string // the application's own access token
	consent     string
	state       string
	nonce       string
	verifier    string // "" without PKCE
	request     string // the signed request object
	entry       string // where the customer's browser is sent
	landed      *url.URL
	code        string
	subject     string // the customer's pairwise name
	chosen      int    // accounts ticked on the consent page
	access      string
	refresh     string
}

func (d *Demo) travel(ctx context.Context, f flow) error {
	j := &journey{Demo: d, flow: f}
	d.out.printf("\n%s\n", j.heading())
	for _, leg := range []struct {
		title string
		do    func(context.Context, *step)
	}{
		{"the application's own token (client credentials)", j.applicationToken},
		{"an account-access consent is lodged through the gateway", j.lodge},
		{"the signed request object", j.requestObject},
		{"login, account selection and consent in the customer's browser", j.browse},
		{"the authorization response", j.respond},
		{"the code becomes tokens", j.redeem},
		{"the customer's accounts through the gateway", j.readAccounts},
		{"refresh", j.renew},
		{"the access token in a thief's hands", j.steal},
		{"the grant is revoked", j.revoke},
	} {
		s := &step{title: leg.title}
		leg.do(ctx, s)
		if err := d.out.tell(s); err != nil {
			return err
		}
	}
	return nil
}

func (j *journey) heading() string {
	way, kind := "request object by value", "code, answered in a signed JWT, with PKCE"
	if j.pushed {
		way = "request object through PAR"
	}
	if j.hybrid {
		kind = "code id_token"
	}
	return strings.Join([]string{j.tpp.ID, j.tpp.AuthMethod, j.tpp.signer.Alg + " " + way, kind}, " | ")
}

func (j *journey) applicationToken(ctx context.Context, s *step) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"accounts"}}
	t := j.tokens(ctx, s, form)
	j.application = t.Access
	if claims := j.accessClaims(s, t.Access); s.err == nil {
		s.check(claims.Subject == j.tpp.ID, "the token speaks for the application: sub is %s", j.tpp.ID)
	}
}

func (j *journey) lodge(ctx context.Context, s *step) {
	body := `{"Data":{"Permissions":["ReadAccountsBasic","ReadAccountsDetail","ReadBalances"]},"Risk":{}}`
	address := j.world.ResourceBase + aispV31 + "/account-access-consents"
	a, ok := j.api(ctx, s, j.tpp, http.MethodPost, address, j.application, body)
	if !ok || !s.saw(a.says(), a.status == http.StatusCreated, "status 201") {
		return
	}
	var lodged struct {
		Data struct{ ConsentID, Status string }
	}
	s.fail(json.Unmarshal(a.body, &lodged))
	s.check(lodged.Data.ConsentID != "", "consent %s", lodged.Data.ConsentID)
	s.check(lodged.Data.Status == "AwaitingAuthorisation", "it awaits the customer")
	j.consent = lodged.Data.ConsentID
}

// requestObject signs the request and prepares the address that the customer's
// browser opens: the object itself, or the reference that PAR gives for it.
func (j *journey) requestObject(ctx context.Context, s *step) {
	j.state, j.nonce = j.deps.Random(), j.deps.Random()
	var err error
	j.request, err = j.sign(j.tpp, "oauth-authz-req+jwt", j.requestClaims())
	if !s.fail(err) {
		return
	}
	query := url.Values{"client_id": {j.tpp.ID}}
	if j.pushed {
		query.Set("request_uri", j.push(ctx, s))
	} else {
		query.Set("request", j.request)
		s.check(j.request != "", "signed with %s, key %s", j.tpp.signer.Alg, j.tpp.signer.KID)
	}
	j.entry = j.server.Authorize + "?" + query.Encode()
}

func (j *journey) requestClaims() map[string]any {
	now := j.deps.Now()
	claims := map[string]any{
		"iss": j.tpp.ID, "aud": j.server.Issuer, "client_id": j.tpp.ID, "jti": j.deps.Random(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"redirect_uri": j.tpp.RedirectURIs[0], "scope": scope, "state": j.state, "nonce": j.nonce,
		"response_type": "code id_token",
		"claims": map[string]any{"id_token": map[string]any{
			"openbanking_intent_id": map[string]any{"value": j.consent, "essential": true},
			"acr":                   map[string]any{"values": []string{acrSCA, acrCA}, "essential": true},
		}},
	}
	if !j.hybrid {
		claims["response_type"], claims["response_mode"] = "code", "jwt"
	}
	if !j.hybrid || j.pushed {
		j.verifier = j.deps.Random()
		j.keep(j.verifier)
		digest := sha256.Sum256([]byte(j.verifier))
		claims["code_challenge"] = base64.RawURLEncoding.EncodeToString(digest[:])
		claims["code_challenge_method"] = "S256"
	}
	return claims
}

func (j *journey) push(ctx context.Context, s *step) string {
	a, ok := j.post(ctx, s, j.tpp, j.server.Aliases.PAR, url.Values{"request": {j.request}})
	if !ok || !s.saw(a.says(), a.status == http.StatusCreated, "status 201") {
		return ""
	}
	var pushed struct {
		RequestURI string `json:"request_uri"`
		ExpiresIn  int    `json:"expires_in"`
	}
	s.fail(json.Unmarshal(a.body, &pushed))
	s.check(strings.HasPrefix(pushed.RequestURI, "urn:ietf:params:oauth:request_uri:"), "request_uri %s", short(pushed.RequestURI))
	s.check(pushed.ExpiresIn >= 5, "expires in %d s", pushed.ExpiresIn)
	return pushed.RequestURI
}

// browse is the customer: the bank's own login application, then the consent
// page, where the first account is chosen and no other.
func (j *journey) browse(ctx context.Context, s *step) {
	b, err := browser.New(browser.Config{Roots: j.roots, Home: j.isHome})
	if !s.fail(err) {
		return
	}
	defer b.Close()
	defer func() {
		for _, place := range b.Trail() {
			s.sends("%s", place)
		}
	}()
	page, err := b.Open(ctx, j.entry)
	if !s.fail(err) || !s.saw(seen(page), page.Has("username") && page.Has("password"), "the bank asks who is there") {
		return
	}
	s.fail(page.Fill("username", j.customer.Username))
	s.fail(page.Fill("password", j.customer.Password))
	page, err = b.Submit(ctx, page, "submit_button")
	if !s.fail(err) || !s.saw(seen(page), len(page.Boxes()) > 1, "%s is asked which accounts to share", j.customer.Username) {
		return
	}
	for i, box := range page.Boxes() {
		s.fail(page.Tick(box, i == 0))
	}
	j.chosen = 1
	page, err = b.Submit(ctx, page, "submit_button")
	if s.fail(err) && s.saw(seen(page), page.Home, "the browser comes back to %s", j.tpp.RedirectURIs[0]) {
		j.landed = page.URL
	}
}

func (j *journey) isHome(u *url.URL) bool {
	home, err := url.Parse(j.tpp.RedirectURIs[0])
	return err == nil && u.Host == home.Host && u.Path == home.Path
}

// seen says in a few words what page the browser shows.
func seen(p *browser.Page) string {
	if p.Home {
		return "at the TPP"
	}
	if p.Has("error_marker") || p.Status != http.StatusOK {
		return strings.TrimSpace(p.Title + ": " + p.Text)
	}
	return p.Title
}
