package blackbox_test

import (
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/jose"
)

// idClaims is what stands in an id token.
type idClaims struct {
	Issuer   string           `json:"iss"`
	Subject  string           `json:"sub"`
	Audience jose.Audience    `json:"aud"`
	Expires  jose.NumericDate `json:"exp"`
	IssuedAt jose.NumericDate `json:"iat"`
	AuthTime jose.NumericDate `json:"auth_time"`
	Nonce    string           `json:"nonce"`
	ACR      string           `json:"acr"`
	StateH   string           `json:"s_hash"`
	CodeH    string           `json:"c_hash"`
	AccessH  string           `json:"at_hash"`
}

// tokens are what a redemption or a refresh brought.
type tokens struct {
	*reply
	access, refresh string
	id              idClaims
}

// redeem exchanges a code as by, at the token endpoint's alias.
func (p plan) redeem(t testing.TB, by *party, form url.Values) *reply {
	t.Helper()
	auth := by.identify(t, house.meta.Aliases.Token)
	return post(t, by.back, house.meta.Aliases.Token, merged(url.Values{"grant_type": {"authorization_code"}}, auth, form))
}

// redemption is the form that redeems what a request brought.
func (r *request) redemption(o *outcome) url.Values {
	form := url.Values{"code": {o.params.Get("code")}, "redirect_uri": {r.by.redirect}}
	if r.verifier != "" {
		form.Set("code_verifier", r.verifier)
	}
	return form
}

// tokens redeems the code of a successful answer and checks the token response.
func (r *request) tokens(t testing.TB, o *outcome) tokens {
	t.Helper()
	a := r.plan.redeem(t, r.by, r.redemption(o))
	return r.checkTokens(t, a)
}

func (r *request) checkTokens(t testing.TB, a *reply) tokens {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("the token endpoint answers %s: %s", a, a.text("error_description"))
	}
	k := tokens{reply: a, access: a.text("access_token"), refresh: a.text("refresh_token")}
	if !strings.EqualFold(a.text("token_type"), "Bearer") {
		t.Errorf("token_type is %q", a.text("token_type"))
	}
	if life, _ := a.body["expires_in"].(float64); life != math.Trunc(life) || life < 1 || life > 31536000 {
		t.Errorf("expires_in is %v", a.body["expires_in"])
	}
	checkSecret(t, "access_token", k.access)
	if slices.Contains(strings.Fields(a.text("scope")), "offline_access") {
		checkSecret(t, "refresh_token", k.refresh)
	} else if k.refresh != "" {
		t.Error("a refresh token that nobody asked for")
	}
	head := verify(t, a.text("id_token"), &k.id)
	r.checkIDToken(t, k.id)
	if k.id.AccessH != jose.HalfHash(head.Alg, k.access) {
		t.Error("at_hash is not the access token's")
	}
	return k
}

// checkIDToken checks what both id tokens share.
func (r *request) checkIDToken(t testing.TB, c idClaims) {
	t.Helper()
	if c.Issuer != house.Issuer || !slices.Equal(c.Audience.Values, []string{r.by.id}) || c.Subject == "" {
		t.Errorf("the id token is from %q for %v about %q", c.Issuer, c.Audience.Values, c.Subject)
	}
	if age := time.Since(c.IssuedAt.Time()); age < -5*time.Second || age > 5*time.Minute || !c.Expires.Time().After(time.Now()) {
		t.Errorf("the id token was made %s ago and ends %s", age, c.Expires.Time())
	}
}

// detached checks the front channel's id token, which signs code and state (FAPI 1
// Advanced §5.1.1), and holds nothing that nobody asked for.
func (r *request) detached(t testing.TB, o *outcome) idClaims {
	t.Helper()
	raw := o.params.Get("id_token")
	var c idClaims
	head := verify(t, raw, &c)
	r.checkIDToken(t, c)
	if c.Nonce != r.text("nonce") {
		t.Errorf("nonce is %q", c.Nonce)
	}
	if c.CodeH != jose.HalfHash(head.Alg, o.params.Get("code")) {
		t.Error("c_hash is not the code's")
	}
	wanted := ""
	if r.text("state") != "" {
		wanted = jose.HalfHash(head.Alg, r.text("state"))
	}
	if c.StateH != wanted {
		t.Errorf("s_hash is %q, want %q", c.StateH, wanted)
	}
	var all map[string]any
	verify(t, raw, &all)
	known := []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "s_hash", "c_hash", "jti"}
	asked, _ := r.claims["claims"].(map[string]any)
	members, _ := asked["id_token"].(map[string]any)
	for name := range all {
		if _, is := members[name]; !is && !slices.Contains(known, name) {
			t.Errorf("the front channel's id token tells %s", name)
		}
	}
	return c
}

// checkSecret: at least 16 bytes of visible ASCII and more than 96 bits of entropy
// by the frequency of its characters, which is how the suite measures.
func checkSecret(t testing.TB, name, secret string) {
	t.Helper()
	count := map[rune]int{}
	for _, c := range secret {
		if c < 0x21 || c > 0x7e {
			t.Errorf("%s holds %q", name, c)
		}
		count[c]++
	}
	bits := 0.0
	for _, n := range count {
		bits -= float64(n) * math.Log2(float64(n)/float64(len(secret)))
	}
	if len(secret) < 16 || bits <= 96 {
		t.Errorf("%s of %d characters has %.0f bits of entropy", name, len(secret), bits)
	}
}

// userinfo asks the resource of the plain plans; headers may change the request.
func userinfo(t testing.TB, client *http.Client, access string, headers ...string) *reply {
	t.Helper()
	return resource(t, client, house.meta.Aliases.Userinfo, append([]string{"Authorization", "Bearer " + access}, headers...)...)
}

// resource asks a resource endpoint and checks what every answer of one must have
// (FAPI 1 Baseline §6.2.1-8 to -12).
func resource(t testing.TB, client *http.Client, address string, headers ...string) *reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	a := call(t, client, req)
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil || time.Since(date).Abs() > 5*time.Minute {
		t.Errorf("Date is %q", a.header.Get("Date"))
	}
	echo := a.header.Get("X-Fapi-Interaction-Id")
	if _, err := uuid.Parse(echo); err != nil {
		t.Errorf("x-fapi-interaction-id is %q", echo)
	}
	if sent := req.Header.Get("X-Fapi-Interaction-Id"); sent != "" && sent != echo {
		t.Errorf("x-fapi-interaction-id %s came back as %s", sent, echo)
	}
	return a
}

// flow takes a request through to tokens.
func (r *request) flow(t testing.TB) tokens {
	t.Helper()
	return r.tokens(t, r.code(t))
}

// code takes a request through to its code and checks the answer.
func (r *request) code(t testing.TB) *outcome {
	t.Helper()
	o := r.send(t)
	if o.String() != r.plan.success() {
		t.Fatalf("got %s (%s), want %s", o, o.params.Get("error_description"), r.plan.success())
	}
	checkSecret(t, "code", o.params.Get("code"))
	if !r.plan.jarm {
		r.detached(t, o)
	}
	return o
}
