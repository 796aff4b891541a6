package engine_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/engine"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// recorder is a mint that remembers what it was asked for.
type recorder struct {
	access  fapi.AccessToken
	idToken fapi.IDToken
	fail    error
}

func (m *recorder) Access(t fapi.AccessToken) (fapi.Secret, error) {
	m.access = t
	return "access." + fapi.Secret(t.JTI) + ".sig", m.fail
}

func (m *recorder) IDToken(_ *fapi.Client, _ *jose.KeySet, t fapi.IDToken) (fapi.Secret, error) {
	m.idToken = t
	return "id.token." + fapi.Secret(t.Subject), m.fail
}

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func testEngine(t *testing.T, m *recorder) *engine.Engine {
	t.Helper()
	e, err := engine.New(engine.Config{Secret: bytes.Repeat([]byte{7}, 32)},
		engine.Deps{Mint: m, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func client() *fapi.Client {
	return &fapi.Client{
		ID: "tpp", RedirectURIs: []string{"https://tpp.example/cb"}, ResponseTypes: []string{"code id_token", "code"},
		GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"}, Scope: "openid accounts offline_access",
	}
}

func issue(state string) engine.CodeIssue {
	return engine.CodeIssue{
		Client: client(),
		Request: &fapi.AuthorizationRequest{
			ClientID: "tpp", RedirectURI: "https://tpp.example/cb", ResponseType: "code id_token", ResponseMode: "fragment",
			Scope: []string{"accounts", "openid"}, State: state, Nonce: "n",
		},
		Grant:   fapi.Grant{ID: "grant-1", Issuer: "https://bank.example", ClientID: "tpp", Subject: "pairwise", Scope: []string{"accounts", "openid"}},
		IDToken: fapi.IDToken{Subject: "pairwise", State: state, Nonce: "n"},
		Life:    time.Minute, Keep: 10 * time.Minute,
	}
}

func TestHybridIssuesCodeAndDetachedIDToken(t *testing.T) {
	m := &recorder{}
	issued, err := testEngine(t, m).IssueCode(context.Background(), issue("xyz"))
	if err != nil {
		t.Fatal(err)
	}
	if issued.IDToken == "" || m.idToken.Code != issued.Code || m.idToken.AccessToken != "" {
		t.Errorf("the id token must be minted with the code and without an access token: %v", m.idToken)
	}
	row := issued.Row
	if row.Digest != issued.Code.Digest() || row.GrantID != "grant-1" || !row.ExpiresAt.Equal(now.Add(time.Minute)) ||
		!row.KeepUntil.Equal(now.Add(11*time.Minute)) {
		t.Errorf("row %+v", row)
	}
}

// Without a state and with one shorter than fosite likes (fosite's trap 1).
func TestStateIsNotFositesBusiness(t *testing.T) {
	for _, state := range []string{"", "x"} {
		if _, err := testEngine(t, &recorder{}).IssueCode(context.Background(), issue(state)); err != nil {
			t.Errorf("state %q: %v", state, err)
		}
	}
}

func TestCodeAloneHasNoIDTokenInFront(t *testing.T) {
	in := issue("s")
	in.Request.ResponseType, in.Request.ResponseMode = "code", "query.jwt"
	issued, err := testEngine(t, &recorder{}).IssueCode(context.Background(), in)
	if err != nil || issued.IDToken != "" || issued.Code == "" {
		t.Fatalf("%v %v", issued, err)
	}
}

func redemption(t *testing.T, e *engine.Engine) engine.Redemption {
	t.Helper()
	issued, err := e.IssueCode(context.Background(), issue("s"))
	if err != nil {
		t.Fatal(err)
	}
	return engine.Redemption{
		Client: client(), Code: issued.Code, RedirectURI: "https://tpp.example/cb",
		State:   &fapi.CodeState{Code: issued.Row, Grant: issue("s").Grant},
		Access:  fapi.AccessToken{Subject: "pairwise", JTI: "jti-1", ClientID: "tpp", ExpiresAt: now.Add(time.Minute)},
		IDToken: fapi.IDToken{Subject: "pairwise"}, WithRefresh: true,
	}
}

func TestRedeem(t *testing.T) {
	m := &recorder{}
	e := testEngine(t, m)
	tokens, err := e.Redeem(context.Background(), redemption(t, e))
	if err != nil {
		t.Fatal(err)
	}
	if tokens.Access == "" || tokens.Refresh == "" || tokens.IDToken == "" || strings.Join(tokens.Scope, " ") != "accounts openid" {
		t.Errorf("tokens: scope %v", tokens.Scope)
	}
	if m.idToken.AccessToken != tokens.Access {
		t.Error("the id token must carry the access token's hash")
	}
	if strings.Join(m.access.Scope, " ") != "accounts openid" {
		t.Errorf("access token scope %v", m.access.Scope)
	}
}

func TestNoRefreshTokenUnlessDue(t *testing.T) {
	e := testEngine(t, &recorder{})
	in := redemption(t, e)
	in.WithRefresh = false
	tokens, err := e.Redeem(context.Background(), in)
	if err != nil || tokens.Refresh != "" {
		t.Fatalf("refresh token issued: %v, %v", tokens.Refresh != "", err)
	}
}

func TestRedeemRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*engine.Redemption)
		code   string
	}{
		"other redirect_uri":           {func(r *engine.Redemption) { r.RedirectURI = "https://tpp.example/other" }, "invalid_grant"},
		"other client's code":          {func(r *engine.Redemption) { r.State.Code.ClientID = "somebody" }, "invalid_grant"},
		"a code that we never made":    {func(r *engine.Redemption) { r.Code = "AAAA.BBBB" }, "invalid_grant"},
		"a code that is not of a form": {func(r *engine.Redemption) { r.Code = "nonsense" }, "invalid_grant"},
		"no grant type":                {func(r *engine.Redemption) { r.Client.GrantTypes = nil }, "unauthorized_client"},
	} {
		t.Run(name, func(t *testing.T) {
			e := testEngine(t, &recorder{})
			in := redemption(t, e)
			c.change(&in)
			_, err := e.Redeem(context.Background(), in)
			if got := fapi.Outward(err).Code; got != c.code {
				t.Errorf("got %s (%v), want %s", got, err, c.code)
			}
		})
	}
}

func TestClientCredentials(t *testing.T) {
	m := &recorder{}
	tokens, err := testEngine(t, m).ClientCredentials(context.Background(), engine.ClientGrant{
		Client: client(), Scope: []string{"accounts"}, Access: fapi.AccessToken{Subject: "tpp", JTI: "j"}})
	if err != nil || tokens.Access == "" || tokens.Refresh != "" || tokens.IDToken != "" {
		t.Fatalf("%v %v", tokens, err)
	}
	if strings.Join(m.access.Scope, " ") != "accounts" {
		t.Errorf("scope %v", m.access.Scope)
	}
}

func TestRefreshKeepsTheToken(t *testing.T) {
	m := &recorder{}
	e := testEngine(t, m)
	first, err := e.Redeem(context.Background(), redemption(t, e))
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := e.Refresh(context.Background(), engine.Refreshment{
		Client: client(), Token: first.Refresh, Scope: []string{"accounts"},
		State:  &fapi.RefreshState{Grant: issue("s").Grant},
		Access: fapi.AccessToken{Subject: "pairwise", JTI: "jti-2"},
	})
	if err != nil || tokens.Access == "" || tokens.Refresh != "" {
		t.Fatalf("%v %v", tokens, err)
	}
	if tokens.IDToken != "" {
		t.Error("an id token without openid in the narrowed scope")
	}
}

// What fosite cannot do becomes server_error without a word of the cause.
func TestAMintThatFailsIsOurFault(t *testing.T) {
	m := &recorder{fail: errors.New("the key is gone")}
	_, err := testEngine(t, m).IssueCode(context.Background(), issue("s"))
	if e := fapi.Outward(err); e.Code != "server_error" || strings.Contains(e.Description, "key") {
		t.Errorf("%v", e)
	}
}
