package gateway

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/resource"
)

// CertificateFormat is how a proxy writes the client's certificate into a header.
type CertificateFormat int

// Formats.
const (
	// EscapedPEM is percent-encoded PEM: nginx $ssl_client_escaped_cert, Envoy
	// %DOWNSTREAM_PEER_CERT%.
	EscapedPEM CertificateFormat = iota + 1
	// ClientCertField is base64 of DER between colons (RFC 9440 §2.1).
	ClientCertField
)

// CheckConfig opens /check to other proxies. The zero value keeps it closed.
type CheckConfig struct {
	// Callers are the x5t#S256 of the certificates with which the proxies
	// connect. Nobody else's certificate header is believed (RFC 8705 §6.5,
	// MT-18).
	Callers []string
	// CertificateHeader is where the proxy puts the client's certificate. The
	// proxy must set it on every question, empty when the client has none.
	CertificateHeader string
	CertificateFormat CertificateFormat
}

func (c *CheckConfig) enabled() bool { return len(c.Callers) > 0 }

func (c *CheckConfig) validate() error {
	if c.enabled() && (c.CertificateHeader == "" || c.CertificateFormat != EscapedPEM && c.CertificateFormat != ClientCertField) {
		return errors.New("the check endpoint needs the name and the format of the certificate header")
	}
	return nil
}

// checkPath is where proxies ask. Two styles are served: the question about
// "/check" + path is the request itself, method included (Envoy's path_prefix);
// the question "/check" names it in X-Original-Method and X-Original-URI (nginx
// auth_request).
const checkPath = "/check"

// Headers of the nginx style.
const (
	originalMethod = "X-Original-Method"
	originalURI    = "X-Original-URI"
	// headerVerdict carries the true status where nginx understands 401 and 403
	// alone.
	headerVerdict = "X-Procura-Verdict"
)

// check answers with 200 and the facts, or refuses. It forwards nothing, and it
// sees no body: a token there is not noticed, but does not count either.
func (g *Gateway) check(w http.ResponseWriter, r *http.Request, rest string) {
	rec := recordOf(r.Context())
	rec.Check = true
	q, err := g.asked(r, rest)
	var d *decision
	if err == nil {
		rec.Method, rec.Path = q.method, q.path
		d, err = g.decide(r.Context(), q)
	}
	if err == nil {
		rec.allowed(d)
		d.facts().Set(w.Header())
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusOK)
		return
	}
	rec.Reason = err
	if rest == "" {
		w = &verdictWriter{w}
	}
	refuse(w, q.path, err)
}

func (g *Gateway) asked(r *http.Request, rest string) (question, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 ||
		!slices.Contains(g.cfg.Check.Callers, cert.NewPeer(r.TLS.PeerCertificates).Thumbprint) {
		return question{}, &refusal{status: http.StatusForbidden, code: codeForbidden, message: "this caller may not ask"}
	}
	q := question{method: r.Method, path: rest, bankOnly: true}
	u := r.URL
	if rest == "" {
		var err error
		if u, err = url.ParseRequestURI(r.Header.Get(originalURI)); err != nil || r.Header.Get(originalMethod) == "" {
			return q, &refusal{status: http.StatusBadRequest, code: codeHeader, message: "the original request is not named", cause: err}
		}
		q.method, q.path = r.Header.Get(originalMethod), u.EscapedPath()
	}
	peer, err := g.cfg.Check.peer(r.Header)
	if err != nil {
		return q, resource.InvalidToken("the client certificate is not readable", err)
	}
	q.request = resource.Request{Authorization: r.Header.Values("Authorization"), Peer: peer, Method: q.method, URL: u}
	return q, nil
}

// maxCertificateHeader bounds the header. Ours.
const maxCertificateHeader = 16 << 10

// peer reads the certificate that the proxy vouches for; nil when there is none.
// A header that stands twice, its twin with underscores counted, is refused.
func (c *CheckConfig) peer(h http.Header) (*x509.Certificate, error) {
	var found []string
	for name, values := range h {
		if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), strings.ReplaceAll(c.CertificateHeader, "_", "-")) {
			found = append(found, values...)
		}
	}
	switch {
	case len(found) > 1:
		return nil, errors.New("the certificate header stands more than once")
	case len(found) == 0 || found[0] == "":
		return nil, nil
	case len(found[0]) > maxCertificateHeader:
		return nil, errors.New("the certificate header is too large")
	}
	der, err := c.CertificateFormat.decode(found[0])
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (f CertificateFormat) decode(value string) ([]byte, error) {
	if f == ClientCertField {
		inner, ok := strings.CutPrefix(value, ":")
		inner, end := strings.CutSuffix(inner, ":")
		if !ok || !end {
			return nil, errors.New("the certificate header is no byte sequence")
		}
		return base64.StdEncoding.Strict().DecodeString(inner)
	}
	// PathUnescape, because a plus sign is a plus sign here.
	text, err := url.PathUnescape(value)
	if err != nil {
		return nil, errors.New("the certificate header is not percent-encoded")
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("the certificate header is not one certificate in PEM")
	}
	return block.Bytes, nil
}

// verdictWriter folds refusals into the two that nginx auth_request understands;
// faults of ours stay faults, on which nginx refuses too.
type verdictWriter struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (v *verdictWriter) WriteHeader(status int) {
	v.Header().Set(headerVerdict, strconv.Itoa(status))
	if status >= 400 && status < 500 && status != http.StatusUnauthorized {
		status = http.StatusForbidden
	}
	v.ResponseWriter.WriteHeader(status)
}
