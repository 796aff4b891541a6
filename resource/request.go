package resource

import (
	"bytes"
	"crypto/x509"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/procura/procura/internal/fapi"
)

// tokenParameter is the parameter of RFC 6750 §2.2 and §2.3 that no request may
// carry here.
const tokenParameter = "access_token"

// Request is what a Verifier looks at.
type Request struct {
	// Authorization holds every Authorization header as it was received.
	Authorization []string
	// Peer is the client's certificate, from this server's own TLS layer or from
	// an authenticated proxy (RFC 8705 §6.5); nil without one.
	Peer *x509.Certificate
	// Method and URL of the request; of the URL only the query is looked at.
	Method string
	URL    *url.URL
	// TokenInBody is set when the body is a form that has a token parameter.
	TokenInBody bool
}

// RequestFrom takes a Request out of an HTTP request whose TLS connection ends
// here. Of a form body it reads the whole, within bounds, and puts it back; other
// bodies are not touched.
func RequestFrom(r *http.Request) (Request, error) {
	inBody, err := formHasToken(r)
	if err != nil {
		return Request{}, err
	}
	out := Request{Authorization: r.Header.Values("Authorization"),
		Method: r.Method, URL: r.URL, TokenInBody: inBody}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		out.Peer = r.TLS.PeerCertificates[0]
	}
	return out, nil
}

func formHasToken(r *http.Request) (bool, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" || r.Body == nil {
		return false, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, fapi.MaxBody+1))
	if err != nil {
		e := invalidRequest("the request body could not be read")
		e.cause = err
		return false, e
	}
	if len(body) > fapi.MaxBody {
		e := invalidRequest("the request body is too large")
		e.Status = http.StatusRequestEntityTooLarge
		return false, e
	}
	r.Body = readCloser{bytes.NewReader(body), r.Body}
	return hasToken(string(body))
}

// hasToken refuses what cannot be parsed, so that another parser behind us does
// not find a token where this one saw none.
func hasToken(query string) (bool, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		e := invalidRequest("the parameters are not properly form encoded")
		e.cause = err
		return false, e
	}
	return values.Has(tokenParameter), nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// place checks where the token stands: in one Authorization header and nowhere
// else (FAPI 1 Baseline §6.2.1-2 and -3, FAPI 2 §5.3.4-1 and -2, attack 58). A
// valid token in the header does not heal one in query or body.
func (q *Request) place() error {
	inQuery := false
	if q.URL != nil {
		var err error
		if inQuery, err = hasToken(q.URL.RawQuery); err != nil {
			return err
		}
	}
	switch {
	case inQuery:
		return invalidRequest("an access token does not belong into the query")
	case q.TokenInBody:
		return invalidRequest("an access token does not belong into the body")
	case len(q.Authorization) > 1:
		return invalidRequest("more than one Authorization header")
	}
	return nil
}

// bearer returns the token of the one Authorization header; found is false when
// the request brings no bearer token at all. The scheme's name is compared
// without regard to case (RFC 9110 §11.1, F1B-20); the token must be a b64token
// (RFC 6750 §2.1) of bearable length.
func bearer(authorization []string) (token string, found bool, err error) {
	if len(authorization) == 0 {
		return "", false, nil
	}
	scheme, rest, _ := strings.Cut(strings.Trim(authorization[0], " \t"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false, nil
	}
	token = strings.TrimLeft(rest, " ")
	if token == "" || len(token) > fapi.MaxJWT || !isB64Token(token) {
		return "", true, InvalidToken("the access token is malformed", nil)
	}
	return token, true, nil
}

func isB64Token(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" {
		return false
	}
	for i := range len(body) {
		c := body[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return true
}
