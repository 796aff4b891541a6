package demo

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/procura/procura/internal/jose"
)

// server is what discovery says, as far as the demo needs it.
type server struct {
	Issuer    string    `json:"issuer"`
	Authorize string    `json:"authorization_endpoint"`
	JWKSURI   string    `json:"jwks_uri"`
	Aliases   endpoints `json:"mtls_endpoint_aliases"`
	SignAlgs  []string  `json:"id_token_signing_alg_values_supported"`
	Bound     bool      `json:"tls_client_certificate_bound_access_tokens"`
	keys      *jose.KeySet
}

// endpoints are the back channel over mutual TLS (RFC 8705 §5).
type endpoints struct {
	Token  string `json:"token_endpoint"`
	PAR    string `json:"pushed_authorization_request_endpoint"`
	Revoke string `json:"revocation_endpoint"`
}

func (d *Demo) discover(ctx context.Context) error {
	s := &step{title: "discovery and keys"}
	d.readServer(ctx, s)
	return d.out.tell(s)
}

func (d *Demo) readServer(ctx context.Context, s *step) {
	client := newClient(&tls.Config{RootCAs: d.roots, MinVersion: tls.VersionTLS12})
	defer client.CloseIdleConnections()
	address := d.world.Issuer + "/.well-known/openid-configuration"
	s.sends("GET %s", address)
	srv := &server{}
	if !s.fail(getJSON(ctx, client, address, srv)) {
		return
	}
	s.check(srv.Issuer == d.world.Issuer, "issuer is %s to the byte", d.world.Issuer)
	s.check(srv.Bound, "access tokens are certificate-bound")
	s.check(slices.Contains(srv.SignAlgs, jose.ES256) || slices.Contains(srv.SignAlgs, jose.PS256), "id tokens are signed with PS256 or ES256")
	for _, e := range []string{srv.Aliases.Token, srv.Aliases.PAR, srv.Aliases.Revoke} {
		s.check(strings.HasPrefix(e, d.world.MTLSBase+"/"), "mutual TLS endpoint %s", e)
	}
	s.sends("GET %s", srv.JWKSURI)
	var set json.RawMessage
	if s.err != nil || !s.fail(getJSON(ctx, client, srv.JWKSURI, &set)) {
		return
	}
	keys, err := jose.ParseKeySet(set)
	if !s.fail(err) {
		return
	}
	s.check(true, "public keys only, each fit for its algorithm")
	srv.keys, d.server = keys, srv
}

func getJSON(ctx context.Context, client *http.Client, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", address, err)
	}
	a, err := call(client, req)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("asking %s: %s", address, a.says())
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", address, err)
	}
	return nil
}

// post sends a form as the client, over mutual TLS.
func (d *Demo) post(ctx context.Context, s *step, t *tpp, endpoint string, form url.Values) (answer, bool) {
	form, err := d.identify(t, form)
	if !s.fail(err) {
		return answer{}, false
	}
	s.sends("POST %s  %s  certificate %s", endpoint, describe(form), t.subj)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if !s.fail(err) {
		return answer{}, false
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := call(t.back, req)
	return a, s.fail(err)
}

// describe prints a form with its secrets shortened.
func describe(form url.Values) string {
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	parts := make([]string, 0, len(names))
	for _, name := range names {
		value := form.Get(name)
		switch name {
		case "client_assertion_type":
			continue
		case "client_assertion", "code", "code_verifier", "refresh_token", "token", "request":
			value = short(value)
		}
		parts = append(parts, name+"="+value)
	}
	return strings.Join(parts, " ")
}
