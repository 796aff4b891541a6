package certtest_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
)

func newCA(t *testing.T, o certtest.Options) *certtest.CA {
	t.Helper()
	o.Name, o.Now = "Test", time.Now()
	ca, err := certtest.NewCA(o)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *certtest.CA, tpl certtest.Template) *certtest.Leaf {
	t.Helper()
	leaf, err := ca.Issue(tpl)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// What is issued works in a real handshake in both directions, EC and RSA, at TLS
// 1.2 and 1.3, also below a root that is constrained to this machine.
func TestHandshake(t *testing.T) {
	for name, o := range map[string]certtest.Options{
		"EC":         {},
		"RSA":        {RSA: true},
		"local only": {LocalOnly: true},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+" "+tls.VersionName(version), func(t *testing.T) {
				ca := newCA(t, o)
				server := certtest.Server(time.Now(), "localhost", "127.0.0.1", "::1")
				server.RSA = o.RSA
				client := certtest.Client(time.Now(), "CN=tpp-1,O=TPP Ltd,C=GB")
				client.RSA = o.RSA
				got := handshake(t, ca, issue(t, ca, server), issue(t, ca, client), version)
				if got != "CN=tpp-1,O=TPP Ltd,C=GB" {
					t.Errorf("the server saw %q", got)
				}
			})
		}
	}
}

func handshake(t *testing.T, ca *certtest.CA, server, client *certtest.Leaf, version uint16) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.String())
	}))
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{server.TLS()},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
		MinVersion: version, MaxVersion: version,
	}
	s.StartTLS()
	defer s.Close()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", Certificates: []tls.Certificate{client.TLS()}}}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// A root that somebody imports vouches for this machine alone.
func TestLocalOnly(t *testing.T) {
	ca := newCA(t, certtest.Options{LocalOnly: true})
	for host, ok := range map[string]bool{"localhost": true, "127.0.0.9": true, "::1": true, "bank.example.com": false, "192.0.2.1": false} {
		leaf := issue(t, ca, certtest.Server(time.Now(), host))
		pool := x509.NewCertPool()
		pool.AddCert(ca.Issuer)
		_, err := leaf.Cert.Verify(x509.VerifyOptions{Roots: ca.Pool(), Intermediates: pool})
		if (err == nil) != ok {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// Strict clients want key usage and both key identifiers.
func TestExtensions(t *testing.T) {
	ca := newCA(t, certtest.Options{})
	leaf := issue(t, ca, certtest.Client(time.Now(), "CN=x"))
	for _, c := range []*x509.Certificate{ca.Root, ca.Issuer, leaf.Cert} {
		if c.KeyUsage == 0 || len(c.SubjectKeyId) == 0 {
			t.Errorf("%s: key usage %d, SKI %x", c.Subject, c.KeyUsage, c.SubjectKeyId)
		}
	}
	if !slices.Equal(leaf.Cert.AuthorityKeyId, ca.Issuer.SubjectKeyId) {
		t.Error("AKI of the leaf is not the issuer's SKI")
	}
}

// A CA that was stored issues under the same root.
func TestEncodeAndLoad(t *testing.T) {
	for _, o := range []certtest.Options{{}, {RSA: true}} {
		ca := newCA(t, o)
		raw, err := ca.Encode()
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := certtest.LoadCA(raw)
		if err != nil {
			t.Fatal(err)
		}
		leaf := issue(t, loaded, certtest.Server(time.Now(), "localhost"))
		pool := x509.NewCertPool()
		pool.AddCert(ca.Issuer)
		if _, err := leaf.Cert.Verify(x509.VerifyOptions{Roots: ca.Pool(), Intermediates: pool}); err != nil {
			t.Error(err)
		}
		for cut := 0; cut < len(raw)-1; cut += 97 {
			if _, err := certtest.LoadCA(raw[:cut]); err == nil {
				t.Errorf("loaded from the first %d bytes", cut)
			}
		}
	}
}

func TestRefusesZeroValues(t *testing.T) {
	if _, err := certtest.NewCA(certtest.Options{}); err == nil {
		t.Error("a CA without name and time")
	}
	ca := newCA(t, certtest.Options{})
	if _, err := ca.Issue(certtest.Template{Subject: "CN=x"}); err == nil {
		t.Error("a leaf without validity")
	}
	if _, err := ca.Issue(certtest.Client(time.Now(), "no name")); err == nil {
		t.Error("a leaf without a readable subject")
	}
}
