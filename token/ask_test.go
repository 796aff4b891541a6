package token_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// as is an HTTP client with somebody's certificate, "" for none.
func (r *rig) as(id string) *http.Client {
	config := &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS13}
	if id != "" {
		config.Certificates = []tls.Certificate{r.leaves[id].TLS()}
	}
	transport := &http.Transport{TLSClientConfig: config}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func (r *rig) send(c *http.Client, req *http.Request) reply {
	r.t.Helper()
	res, err := c.Do(req)
	must(r.t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	must(r.t, err)
	out := reply{status: res.StatusCode, header: res.Header, raw: strings.TrimSpace(string(raw))}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out.body); err != nil {
			r.t.Fatalf("the answer is no JSON: %s", raw)
		}
	}
	return out
}

// form posts as a client, with its certificate or a fresh assertion.
func (r *rig) form(id, path string, form url.Values) reply {
	r.t.Helper()
	if r.keys[id] != nil {
		return r.post("", path, merge(form, r.assertion(id, uuid.NewString())))
	}
	return r.post(id, path, merge(form, url.Values{"client_id": {id}}))
}

func (r *rig) post(certOf, path string, form url.Values) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.mtls.URL+path, strings.NewReader(form.Encode()))
	must(r.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
	req.Header.Set("Accept", "text/html, image/gif, image/jpeg, */*; q=0.2")
	return r.send(r.as(certOf), req)
}

func merge(sets ...url.Values) url.Values {
	out := url.Values{}
	for _, set := range sets {
		for k, v := range set {
			out[k] = v
		}
	}
	return out
}

func (r *rig) assertion(id, jti string) url.Values {
	r.t.Helper()
	claims, err := json.Marshal(map[string]any{"iss": id, "sub": id, "aud": issuer.URL, "jti": jti,
		"exp": r.clock.Now().Add(time.Minute).Unix()})
	must(r.t, err)
	signer, err := r.keys[id].Signer(jose.ES256)
	must(r.t, err)
	signed, err := signer.Sign("JWT", claims)
	must(r.t, err)
	return url.Values{"client_assertion_type": {fapi.AssertionTypeJWT}, "client_assertion": {signed}}
}
