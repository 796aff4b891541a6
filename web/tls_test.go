package web_test

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"testing"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/web"
)

func dial(addr string, cfg *tls.Config) (tls.ConnectionState, error) {
	cfg.InsecureSkipVerify = true
	cfg.ServerName = publicHost
	conn, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), conn.Handshake()
}

// F1A-20, F1A-21, attack 84: what the handshake accepts, on both listeners.
func TestHandshakes(t *testing.T) {
	h := start(t, config(t))
	cases := []struct {
		name    string
		cfg     *tls.Config
		version uint16 // 0: refused
		suite   uint16
		rsa     bool
	}{
		{name: "default takes 1.3", cfg: &tls.Config{}, version: tls.VersionTLS13},
		{name: "1.0", cfg: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}},
		{name: "1.1", cfg: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}},
		{name: "1.2 takes the RSA certificate", cfg: only12(), version: tls.VersionTLS12, rsa: true},
		{name: "1.2 ECDHE_RSA AES 128", cfg: only12(tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256), version: tls.VersionTLS12,
			suite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, rsa: true},
		{name: "1.2 ECDHE_RSA AES 256", cfg: only12(tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384), version: tls.VersionTLS12,
			suite: tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, rsa: true},
		{name: "1.2 ECDHE_ECDSA GCM", cfg: only12(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)},
		{name: "1.2 ChaCha20", cfg: only12(tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256)},
		{name: "1.2 CBC", cfg: only12(tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA)},
		{name: "1.2 static RSA", cfg: only12(tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA)},
		{name: "1.2 3DES", cfg: only12(tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA)},
	}
	for _, addr := range []string{h.srv.Addrs().Public, h.srv.Addrs().MTLS} {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				state, err := dial(addr, c.cfg.Clone())
				if c.version == 0 {
					if err == nil {
						t.Fatalf("accepted with %s", tls.CipherSuiteName(state.CipherSuite))
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if state.Version != c.version || c.suite != 0 && state.CipherSuite != c.suite {
					t.Errorf("version %x, suite %s", state.Version, tls.CipherSuiteName(state.CipherSuite))
				}
				if _, isRSA := state.PeerCertificates[0].PublicKey.(*rsa.PublicKey); isRSA != c.rsa {
					t.Errorf("RSA certificate shown: %v, want %v", isRSA, c.rsa)
				}
			})
		}
	}
}

func only12(suites ...uint16) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: suites}
}

func TestWithoutAnRSACertificateOnlyTLS13(t *testing.T) {
	cfg := config(t)
	cfg.Public.Certificates = cfg.Public.Certificates[:1]
	h := start(t, cfg)
	if _, err := dial(h.srv.Addrs().Public, only12()); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
	state, err := dial(h.srv.Addrs().Public, &tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, isEC := state.PeerCertificates[0].PublicKey.(*ecdsa.PublicKey); !isEC {
		t.Error("no ECDSA certificate")
	}
}

// MT-16: only one listener asks for a certificate, and it goes on without.
func TestWhoIsAskedForACertificate(t *testing.T) {
	h := start(t, config(t))
	for addr, want := range map[string]bool{h.srv.Addrs().Public: false, h.srv.Addrs().MTLS: true} {
		asked := false
		_, err := dial(addr, &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &tls.Certificate{}, nil
		}})
		if err != nil {
			t.Errorf("without a certificate: %v", err)
		}
		if asked != want {
			t.Errorf("asked: %v, want %v", asked, want)
		}
	}
}

// MT-19: a session ticket of one listener opens no session at the other.
func TestTicketsAreNotShared(t *testing.T) {
	routes := web.Route{Method: http.MethodGet, Path: "/x", Handler: text("x"), Public: true, MTLS: true}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		h := start(t, config(t, routes))
		cache := tls.NewLRUClientSessionCache(4)
		resumed := func(addr, host string) bool {
			t.Helper()
			c := h.client(addr, func(tr *http.Transport) {
				tr.DisableKeepAlives = true
				tr.TLSClientConfig.ClientSessionCache = cache
				tr.TLSClientConfig.MaxVersion = version
				tr.TLSClientConfig.ServerName = publicHost // one cache entry for both
			})
			res, _ := h.ask(c, http.MethodGet, "https://"+host+"/x", "")
			return res.TLS.DidResume
		}
		resumed(h.srv.Addrs().Public, publicHost)
		if !resumed(h.srv.Addrs().Public, publicHost) {
			t.Errorf("%x: the same listener did not resume: the test proves nothing", version)
		}
		if resumed(h.srv.Addrs().MTLS, mtlsHost) {
			t.Errorf("%x: the mutual TLS listener took the public one's ticket", version)
		}
	}
}

// The peer is in the context on the one listener, and nowhere else.
func TestPeer(t *testing.T) {
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := cert.PeerFrom(r.Context()); ok {
			fmt.Fprint(w, p.Thumbprint)
			return
		}
		fmt.Fprint(w, "nobody")
	})
	h := start(t, config(t, web.Route{Method: http.MethodGet, Path: "/who", Handler: who, Public: true, MTLS: true}))
	mine := cert.NewPeer([]*x509.Certificate{ecdsaCert().Leaf}).Thumbprint
	with := func(tr *http.Transport) { tr.TLSClientConfig.Certificates = []tls.Certificate{ecdsaCert()} }
	for _, c := range []struct {
		name, host string
		client     *http.Client
		want       string
	}{
		{"mutual TLS with certificate", mtlsHost, h.client(h.srv.Addrs().MTLS, with), mine},
		{"mutual TLS without", mtlsHost, h.mtls(), "nobody"},
		{"public", publicHost, h.client(h.srv.Addrs().Public, with), "nobody"},
	} {
		if _, body := h.ask(c.client, http.MethodGet, "https://"+c.host+"/who", ""); body != c.want {
			t.Errorf("%s: %s, want %s", c.name, body, c.want)
		}
	}
}
