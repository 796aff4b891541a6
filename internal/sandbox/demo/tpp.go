package demo

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/sandbox/world"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// tpp is one client with everything that its owner holds.
type tpp struct {
	world.Client
	signer jose.Signer
	x5t    string       // thumbprint of its certificate
	subj   string       // subject of its certificate
	back   *http.Client // presents the certificate
}

func loadTPP(w *world.World, c world.Client, roots *x509.CertPool) (*tpp, error) {
	signer, err := loadSigner(w.Path(c.SigningKeyFile))
	if err != nil {
		return nil, err
	}
	if len(c.RedirectURIs) == 0 {
		return nil, errors.New("no redirect URI")
	}
	pair, err := tls.LoadX509KeyPair(w.Path(c.CertFile), w.Path(c.KeyFile))
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("parsing the certificate: %w", err)
	}
	return &tpp{
		Client: c, signer: signer, subj: leaf.Subject.CommonName,
		x5t:  jose.CertThumbprint(leaf.Raw),
		back: newClient(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}),
	}, nil
}

func loadSigner(file string) (jose.Signer, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return jose.Signer{}, fmt.Errorf("reading the signing key: %w", err)
	}
	kid, _, alg, key, err := jose.ParsePrivateJWK(raw)
	if err != nil {
		return jose.Signer{}, fmt.Errorf("parsing the signing key: %w", err)
	}
	private, ok := key.(crypto.Signer)
	if !ok {
		return jose.Signer{}, errors.New("parsing the signing key: it cannot sign")
	}
	return jose.NewSigner(kid, alg, private)
}

func newClient(conf *tls.Config) *http.Client {
	return &http.Client{
		Timeout:       20 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: conf},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// identify adds the client's own authentication to a form: an assertion, or just
// its name when the certificate speaks for it.
func (d *Demo) identify(t *tpp, form url.Values) (url.Values, error) {
	if t.AuthMethod == "tls_client_auth" {
		form.Set("client_id", t.ID)
		return form, nil
	}
	now := d.deps.Now()
	assertion, err := d.sign(t, "JWT", map[string]any{
		"iss": t.ID, "sub": t.ID, "aud": d.server.Issuer, "jti": d.deps.Random(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})
	if err != nil {
		return nil, err
	}
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	return form, nil
}

func (d *Demo) sign(t *tpp, typ string, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("writing claims: %w", err)
	}
	signed, err := t.signer.Sign(typ, payload)
	if err != nil {
		return "", fmt.Errorf("signing as %s: %w", t.ID, err)
	}
	d.keep(signed)
	return signed, nil
}

// answer is one HTTP answer, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func call(client *http.Client, req *http.Request) (answer, error) {
	res, err := client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("calling the server: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return answer{}, fmt.Errorf("reading the answer: %w", err)
	}
	return answer{res.StatusCode, res.Header, body}, nil
}

// says explains an unexpected answer: an error body holds no secret.
func (a answer) says() string {
	const shown = 300
	if a.status/100 == 2 {
		return fmt.Sprintf("status %d", a.status)
	}
	return fmt.Sprintf("status %d %.*s", a.status, shown, a.body)
}
