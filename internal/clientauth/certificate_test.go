package clientauth_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/wire"
)

// G-11, attack 45: the form of the request decides before anything is looked up.
func TestOneMethod(t *testing.T) {
	r := newRig(t)
	good := asserted(r.sign(t, "es", "", r.claims(keyed))).Params
	with := func(p wire.Params, name, value string) wire.Params {
		out := wire.Params{name: value}
		for k, v := range p {
			out[k] = v
		}
		return out
	}
	holderID := wire.Params{"client_id": holder}
	for _, tc := range []struct {
		name   string
		req    clientauth.Request
		code   string
		status int
	}{
		{"Basic beside an assertion (x/oauth2 probe)", clientauth.Request{Params: good, Authorization: "Basic dHBwOg=="}, "invalid_request", 400},
		{"Bearer beside an assertion", clientauth.Request{Params: good, Authorization: "Bearer x"}, "invalid_request", 400},
		{"anything beside an assertion", clientauth.Request{Params: good, Authorization: "x"}, "invalid_request", 400},
		{"client_secret beside an assertion", clientauth.Request{Params: with(good, "client_secret", "s")}, "invalid_request", 400},
		{"Basic and client_secret", clientauth.Request{Params: wire.Params{"client_secret": "s"}, Authorization: "Basic x"}, "invalid_request", 400},
		{"Basic and half an assertion", clientauth.Request{Params: wire.Params{"client_assertion_type": "x"}, Authorization: "Basic x"}, "invalid_request", 400},
		{"Basic alone (F1A-10)", clientauth.Request{Authorization: "Basic dHBwOnM="}, "invalid_client", 401},
		{"Basic with a certificate", clientauth.Request{Params: holderID, Authorization: "Basic dHBwOnM=", Peer: r.peer(t, "CN="+holder)}, "invalid_client", 401},
		{"client_secret alone (F1A-10)", clientauth.Request{Params: with(holderID, "client_secret", "s")}, "invalid_client", 401},
		{"nothing", clientauth.Request{}, "invalid_client", 401},
		{"client_id alone (F1A-11, attack 13)", clientauth.Request{Params: holderID}, "invalid_client", 401},
		{"private_key_jwt client without assertion", clientauth.Request{Params: wire.Params{"client_id": keyed}}, "invalid_client", 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := r.Authenticate(context.Background(), tc.req)
			mustRefuse(t, err, tc.code, tc.status)
		})
	}
	if r.finds.Load() != 0 || r.checks.Load() != 0 {
		t.Error("something was looked up")
	}
}

func TestGoodCertificate(t *testing.T) {
	r := newRig(t)
	got, err := r.Authenticate(context.Background(),
		clientauth.Request{Params: wire.Params{"client_id": holder}, Peer: r.peer(t, "CN="+holder)})
	if err != nil {
		t.Fatal(err)
	}
	if got.Client.ID != holder || !got.Once.IsZero() {
		t.Errorf("authenticated %s with %+v", got.Client.ID, got.Once)
	}
}

// MT-01 to MT-03; attack 46.
func TestBadCertificates(t *testing.T) {
	r, foreign := newRig(t), newRig(t)
	id := wire.Params{"client_id": holder}
	bad := func(edit func(*certtest.Template)) *cert.Peer { return r.peer(t, "CN="+holder, edit) }
	for _, tc := range []struct {
		name   string
		params wire.Params
		peer   *cert.Peer
	}{
		{"no certificate (MT-02)", id, nil},
		{"no client_id (MT-01)", nil, r.peer(t, "CN="+holder)},
		{"another CA (MT-03)", id, foreign.peer(t, "CN="+holder)},
		{"expired", id, bad(func(c *certtest.Template) { c.NotAfter = start.Add(-time.Second) })},
		{"not yet valid", id, bad(func(c *certtest.Template) { c.NotBefore = start.Add(time.Hour) })},
		{"serverAuth only", id, bad(func(c *certtest.Template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })},
		{"CA:TRUE", id, bad(func(c *certtest.Template) { c.IsCA = true })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := r.finds.Load()
			_, err := r.Authenticate(context.Background(), clientauth.Request{Params: tc.params, Peer: tc.peer})
			mustRefuse(t, err, "invalid_client", http.StatusUnauthorized)
			if r.finds.Load() != before {
				t.Error("a client was looked up")
			}
		})
	}
}

// MT-02, G-12: who shows a trusted certificate learns of no other client.
func TestUnmatchedCallersHearTheSame(t *testing.T) {
	r := newRig(t)
	heard := map[string]bool{}
	for name, tc := range map[string]struct{ id, subject string }{
		"unknown client":           {stranger, "CN=" + stranger},
		"another's certificate":    {holder, "CN=" + shouting},
		"extra OU":                 {holder, "CN=" + holder + ",OU=x"},
		"registered for assertion": {keyed, "CN=" + keyed},
		"registered for assertion, certificate registered": {named, "CN=" + named},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Authenticate(context.Background(),
				clientauth.Request{Params: wire.Params{"client_id": tc.id}, Peer: r.peer(t, tc.subject)})
			e := mustRefuse(t, err, "invalid_client", http.StatusUnauthorized)
			if heard[e.Description] = true; len(heard) > 1 {
				t.Errorf("heard %v", heard)
			}
		})
	}
}

// Attack 45: an assertion over the connection of somebody else.
func TestAssertionOverAForeignCertificate(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	req := asserted(r.sign(t, "es", "", r.claims(named)))
	req.Peer = r.peer(t, "CN="+named)
	if _, err := r.Authenticate(ctx, req); err != nil {
		t.Errorf("its own certificate: %v", err)
	}
	req.Peer = r.peer(t, "CN="+holder)
	_, err := r.Authenticate(ctx, req)
	mustRefuse(t, err, "invalid_client", http.StatusUnauthorized)
	// Where nothing is registered any trusted certificate may be bound to.
	req = asserted(r.sign(t, "es", "", r.claims(keyed)))
	req.Peer = r.peer(t, "CN=anything")
	if _, err := r.Authenticate(ctx, req); err != nil {
		t.Errorf("no certificate registered: %v", err)
	}
}

// F1A-04, MT-11, MT-12, MT-14.
func TestConfirm(t *testing.T) {
	r, foreign := newRig(t), newRig(t)
	for _, tc := range []struct {
		name   string
		id     string
		peer   *cert.Peer
		code   string // "" for a binding
		status int
	}{
		{"private_key_jwt", keyed, r.peer(t, "CN=any"), "", 0},
		{"private_key_jwt, no certificate", keyed, nil, "invalid_request", 400},
		{"private_key_jwt, untrusted", keyed, foreign.peer(t, "CN=any"), "invalid_request", 400},
		{"private_key_jwt, own certificate", named, r.peer(t, "CN="+named), "", 0},
		{"private_key_jwt, foreign certificate", named, r.peer(t, "CN=any"), "invalid_client", 401},
		{"tls_client_auth", holder, r.peer(t, "CN="+holder), "", 0},
		{"tls_client_auth, no certificate", holder, nil, "invalid_client", 401},
		{"tls_client_auth, untrusted", holder, foreign.peer(t, "CN="+holder), "invalid_client", 401},
		{"tls_client_auth, foreign certificate", holder, r.peer(t, "CN=any"), "invalid_client", 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := r.Find(context.Background(), tc.id)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Confirm(context.Background(), c, tc.peer)
			if tc.code != "" {
				mustRefuse(t, err, tc.code, tc.status)
				return
			}
			if err != nil || got != (fapi.Confirmation{X5T: tc.peer.Thumbprint}) {
				t.Errorf("bound to %+v, %v", got, err)
			}
		})
	}
}

// That a verdict could not be reached is no refusal.
func TestCertificateDuringOutages(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	c, err := r.Find(ctx, keyed)
	if err != nil {
		t.Fatal(err)
	}
	req := clientauth.Request{Params: wire.Params{"client_id": holder}, Peer: r.peer(t, "CN="+holder)}
	r.certErr = fmt.Errorf("asking: %w", fapi.ErrUnavailable)
	_, err = r.Authenticate(ctx, req)
	mustRefuse(t, err, "temporarily_unavailable", http.StatusServiceUnavailable)
	_, err = r.Confirm(ctx, c, req.Peer)
	mustRefuse(t, err, "temporarily_unavailable", http.StatusServiceUnavailable)
	r.certErr, r.storeErr = nil, fapi.ErrUnavailable
	_, err = r.Authenticate(ctx, req)
	mustRefuse(t, err, "temporarily_unavailable", http.StatusServiceUnavailable)
}
