package browsertest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/sandbox/sandboxtest"
	"github.com/procura/procura/internal/sandbox/world"
)

// tppID is the client that the tests play: its certificate is its identity.
const tppID = "tpp-mtls-1"

// tpp is the third party: a site with a callback, and the client behind it.
type tpp struct {
	world.Client
	world  *world.World
	pin    string // of the CA that signed every server here, for the browser
	back   *http.Client
	signer jose.Signer
	site   *http.Server
	mu     sync.Mutex
	posts  map[string]url.Values // what was posted to the callback, by state
}

func openTPP(box *sandboxtest.Box) (*tpp, error) {
	w := box.World
	me, err := w.Client(tppID)
	if err != nil {
		return nil, err
	}
	p := &tpp{Client: me, world: w, posts: map[string]url.Values{}}
	return p, errors.Join(p.openBack(), p.openSigner(), p.openSite())
}

func (p *tpp) openBack() error {
	raw, err := os.ReadFile(p.world.Path(p.world.CAFile))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(raw)
	pair, err := tls.LoadX509KeyPair(p.world.Path(p.CertFile), p.world.Path(p.KeyFile))
	if err != nil {
		return err
	}
	p.back = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}}
	return nil
}

func (p *tpp) openSigner() error {
	raw, err := os.ReadFile(p.world.Path(p.SigningKeyFile))
	if err != nil {
		return err
	}
	kid, _, alg, key, err := jose.ParsePrivateJWK(raw)
	if err != nil {
		return err
	}
	private, ok := key.(crypto.Signer)
	if !ok {
		return errors.New("the signing key cannot sign")
	}
	p.signer, err = jose.NewSigner(kid, alg, private)
	return err
}

// openSite listens where the sandbox leaves a port for the third party.
func (p *tpp) openSite() error {
	raw, err := os.ReadFile(p.world.Path("pki/servers-ca.secret"))
	if err != nil {
		return err
	}
	ca, err := certtest.LoadCA(raw)
	if err != nil {
		return err
	}
	pin := sha256.Sum256(ca.Issuer.RawSubjectPublicKeyInfo)
	p.pin = base64.StdEncoding.EncodeToString(pin[:])
	leaf, err := ca.Issue(certtest.Server(time.Now(), "localhost", "127.0.0.1"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", strings.TrimPrefix(p.world.TPPBase, "https://"))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/callback", p.callback)
	mux.HandleFunc("GET /frame", frame)
	p.site = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}, MinVersion: tls.VersionTLS12}}
	go func() { _ = p.site.ServeTLS(listener, "", "") }() // ends with close
	return nil
}

func (p *tpp) close() error {
	if p == nil || p.site == nil {
		return nil
	}
	p.back.CloseIdleConnections()
	return p.site.Close()
}

const pageHead = `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>TPP</title>`

func (p *tpp) callback(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && r.ParseForm() == nil {
		p.mu.Lock()
		p.posts[r.PostForm.Get("state")] = r.PostForm
		p.mu.Unlock()
	}
	_, _ = io.WriteString(w, pageHead+`<h1 id="submission_complete">Thank you</h1>`)
}

// frame is the page of an attacker: somebody else's page in a frame.
func frame(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, pageHead+`<h1 id="bait">Win a prize</h1><iframe id="victim" width="600" height="600" src="`+
		html.EscapeString(r.FormValue("src"))+`"></iframe>`)
}

func (p *tpp) posted(state string) url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.posts[state]
}

// request lodges a consent and returns the address that the customer's browser
// opens, with the state in it.
func (p *tpp) request(t *testing.T, responseType, mode string) (address, state string) {
	t.Helper()
	state = rand.Text()
	challenge := sha256.Sum256([]byte(rand.Text()))
	now := time.Now()
	claims := map[string]any{
		"iss": p.ID, "aud": p.world.Issuer, "client_id": p.ID, "jti": rand.Text(), "redirect_uri": p.RedirectURIs[0],
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"scope": "openid accounts offline_access", "state": state, "nonce": rand.Text(), "response_type": responseType,
		"code_challenge": base64.RawURLEncoding.EncodeToString(challenge[:]), "code_challenge_method": "S256",
		"claims": map[string]any{"id_token": map[string]any{
			"openbanking_intent_id": map[string]any{"value": p.lodge(t), "essential": true}}},
	}
	if mode != "" {
		claims["response_mode"] = mode
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	object, err := p.signer.Sign("oauth-authz-req+jwt", payload)
	if err != nil {
		t.Fatal(err)
	}
	return p.world.Issuer + "/authorize?" + url.Values{"client_id": {p.ID}, "request": {object}}.Encode(), state
}

// lodge creates an account-access consent and returns its id.
func (p *tpp) lodge(t *testing.T) string {
	t.Helper()
	var own struct {
		Token string `json:"access_token"`
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"accounts"}, "client_id": {p.ID}}
	p.post(t, p.world.MTLSBase+"/token", "", "application/x-www-form-urlencoded", form.Encode(), &own)
	var consent struct {
		Data struct{ ConsentID string }
	}
	p.post(t, p.world.ResourceBase+"/open-banking/v3.1/aisp/account-access-consents", own.Token, "application/json",
		`{"Data":{"Permissions":["ReadAccountsBasic","ReadAccountsDetail","ReadBalances","ReadTransactionsBasic",`+
			`"ReadTransactionsCredits","ReadTransactionsDebits"]},"Risk":{}}`, &consent)
	return consent.Data.ConsentID
}

func (p *tpp) post(t *testing.T, address, token, kind, body string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("x-fapi-interaction-id", uuid.NewString())
	}
	res, err := p.back.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var all bytes.Buffer
	if _, err := all.ReadFrom(res.Body); err != nil || res.StatusCode/100 != 2 {
		t.Fatalf("%s: %s %v %s", address, res.Status, err, all.String())
	}
	if err := json.Unmarshal(all.Bytes(), into); err != nil {
		t.Fatal(fmt.Errorf("reading the answer: %w", err))
	}
}
