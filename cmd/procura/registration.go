package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/profile"
)

// maxImport bounds a file of clients.
const maxImport = 16 << 20

// readRegistrations reads one client or a list, strictly: an unknown member is
// most likely a misspelt one, and would leave a check out. It returns every
// problem of every client.
func readRegistrations(raw []byte) ([]*fapi.Client, error) {
	docs := []json.RawMessage{raw}
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		if err := json.Unmarshal(raw, &docs); err != nil {
			return nil, fmt.Errorf("reading the list: %w", err)
		}
	}
	var list []*fapi.Client
	var problems []error
	seen := map[string]bool{}
	for n, doc := range docs {
		c, err := readRegistration(doc)
		if err != nil {
			problems = append(problems, fmt.Errorf("client %d: %w", n+1, err))
			continue
		}
		if seen[c.ID] {
			problems = append(problems, fmt.Errorf("client %d: %s stands in the file twice", n+1, c.ID))
		}
		seen[c.ID] = true
		problems = append(problems, checkRegistration(c)...)
		list = append(list, c)
	}
	if len(docs) == 0 {
		problems = append(problems, errors.New("there is no client in it"))
	}
	return list, errors.Join(problems...)
}

func readRegistration(doc []byte) (*fapi.Client, error) {
	c := &fapi.Client{}
	if err := jose.Decode(doc, c); err != nil { // case-sensitive, no member twice
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&fapi.Client{}); err != nil {
		return nil, err
	}
	return c, nil
}

// checkRegistration asks what the server would otherwise find out at the client's
// expense.
func checkRegistration(c *fapi.Client) []error {
	rules, err := profile.Resolve(c)
	if err != nil {
		return []error{err}
	}
	var problems []error
	for _, check := range []func(*fapi.Client, profile.Rules) error{
		checkID, checkMethod, checkKeys, checkBinding, checkGrants, checkAnswers, checkRedirects, checkAlgorithms,
	} {
		if err := check(c, rules); err != nil {
			problems = append(problems, fmt.Errorf("client %s: %w", c.ID, err))
		}
	}
	return problems
}

// checkID: printable ASCII (RFC 6749 appendix A.1), and not a URL's delimiter.
func checkID(c *fapi.Client, _ profile.Rules) error {
	bad := func(r rune) bool { return r <= ' ' || r > '~' }
	if c.ID == "" || len(c.ID) > 128 || strings.ContainsFunc(c.ID, bad) {
		return errors.New("client_id must be 1 to 128 printable ASCII characters")
	}
	return nil
}

// checkMethod: exactly one expected subject for tls_client_auth (RFC 8705 §2.1.2).
func checkMethod(c *fapi.Client, r profile.Rules) error {
	if !slices.Contains(r.AuthMethods, c.AuthMethod) {
		return fmt.Errorf("token_endpoint_auth_method must be one of %q", r.AuthMethods)
	}
	subjects := 0
	for _, s := range []string{c.TLSSubjectDN, c.TLSSANDNS, c.TLSSANURI, c.TLSSANIP, c.TLSSANEmail} {
		if s != "" {
			subjects++
		}
	}
	if c.AuthMethod == fapi.AuthTLSClient && subjects != 1 {
		return errors.New("tls_client_auth needs exactly one of tls_client_auth_subject_dn and tls_client_auth_san_*")
	}
	return nil
}

// checkKeys: one source of keys (RFC 7591 §2), and any where something is signed.
func checkKeys(c *fapi.Client, r profile.Rules) error {
	switch {
	case len(c.JWKS) > 0 && c.JWKSURI != "":
		return errors.New("jwks and jwks_uri exclude each other")
	case len(c.JWKS) > 0:
		if _, err := jose.ParseKeySet(c.JWKS); err != nil {
			return fmt.Errorf("reading jwks: %w", err)
		}
	case c.JWKSURI != "":
		if u, err := url.Parse(c.JWKSURI); err != nil || u.Scheme != "https" || u.Host == "" {
			return errors.New("jwks_uri is not an https URL")
		}
	case c.AuthMethod == fapi.AuthPrivateKeyJWT:
		return errors.New("private_key_jwt needs jwks or jwks_uri")
	case r.RequestObjectRequired && c.MayUseGrant(fapi.GrantAuthorizationCode):
		return errors.New("signed request objects need jwks or jwks_uri")
	}
	return nil
}

// checkBinding: FAPI 1 Advanced §5.2.2-5. Resource servers get no tokens.
func checkBinding(c *fapi.Client, r profile.Rules) error {
	if r.CertificateBound && !c.CertificateBound && !c.IsResourceServer() {
		return fmt.Errorf("tls_client_certificate_bound_access_tokens must be true for %s", c.Profile)
	}
	return nil
}

func checkGrants(c *fapi.Client, _ profile.Rules) error {
	known := []string{fapi.GrantAuthorizationCode, fapi.GrantRefreshToken, fapi.GrantClientCredentials}
	for _, g := range c.GrantTypes {
		if !slices.Contains(known, g) {
			return fmt.Errorf("grant type %q is not known; use %q", g, known)
		}
	}
	if len(c.GrantTypes) == 0 && !c.IsResourceServer() {
		return fmt.Errorf("grant_types is missing; use some of %q", known)
	}
	return nil
}

// checkAnswers: response types that the profile has at all.
func checkAnswers(c *fapi.Client, r profile.Rules) error {
	if !c.MayUseGrant(fapi.GrantAuthorizationCode) {
		return nil
	}
	var known []string
	for _, a := range r.Answers {
		known = append(known, a.ResponseType)
	}
	for _, t := range c.ResponseTypes {
		words := strings.Fields(t)
		slices.Sort(words)
		if !slices.Contains(known, strings.Join(words, " ")) {
			return fmt.Errorf("response type %q is not known to %s; use some of %q", t, c.Profile, known)
		}
	}
	if len(c.ResponseTypes) == 0 {
		return fmt.Errorf("response_types is missing; use some of %q", known)
	}
	return nil
}

// checkRedirects: https without fragment (FAPI 1 Baseline §5.2.2-20, RFC 6749
// §3.1.2); several hosts need a sector of their own (OIDC Core §8.1).
func checkRedirects(c *fapi.Client, _ profile.Rules) error {
	if !c.MayUseGrant(fapi.GrantAuthorizationCode) {
		return nil
	}
	if len(c.RedirectURIs) == 0 {
		return errors.New("redirect_uris is missing")
	}
	hosts := map[string]bool{}
	for _, raw := range c.RedirectURIs {
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Contains(raw, "#") ||
			len(raw) > fapi.MaxRedirectURI {
			return fmt.Errorf("redirect URI %q is not an https URL without fragment and user", raw)
		}
		hosts[strings.ToLower(u.Hostname())] = true
	}
	if c.SubjectType != "" && c.SubjectType != "pairwise" {
		return errors.New("subject_type must be pairwise")
	}
	if len(hosts) > 1 && c.SectorIdentifier == "" {
		return errors.New("redirect URIs on several hosts need sector_identifier_uri")
	}
	return nil
}

// checkAlgorithms: FAPI 1 Advanced §8.6 and §8.6.1; an encryption algorithm names
// its content encryption and the other way round.
func checkAlgorithms(c *fapi.Client, r profile.Rules) error {
	for _, s := range []struct{ name, alg string }{
		{"token_endpoint_auth_signing_alg", c.AuthSigningAlg},
		{"request_object_signing_alg", c.RequestObjectSigningAlg},
		{"id_token_signed_response_alg", c.IDTokenSignedResponseAlg},
		{"authorization_signed_response_alg", c.AuthorizationSignedAlg},
	} {
		if s.alg != "" && !slices.Contains(r.SigningAlgs, s.alg) {
			return fmt.Errorf("%s must be one of %q", s.name, r.SigningAlgs)
		}
	}
	for _, e := range []struct{ name, alg, enc string }{
		{"request_object_encryption", c.RequestObjectEncryptionAlg, c.RequestObjectEncryptionEnc},
		{"id_token_encrypted_response", c.IDTokenEncryptedResponseAlg, c.IDTokenEncryptedResponseEnc},
		{"authorization_encrypted_response", c.AuthorizationEncryptedAlg, c.AuthorizationEncryptedEnc},
	} {
		if e.alg == "" && e.enc == "" {
			continue
		}
		if !slices.Contains(r.KeyEncryptionAlgs, e.alg) || !slices.Contains(r.ContentEncryptionAlgs, e.enc) {
			return fmt.Errorf("%s_alg and _enc must be of %q and %q", e.name, r.KeyEncryptionAlgs, r.ContentEncryptionAlgs)
		}
	}
	return nil
}
