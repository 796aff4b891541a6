package web_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/web"
)

// The issuer of every test; tests dial the listeners by address and speak to
// these names.
const (
	publicHost = "as.bank.example"
	mtlsHost   = "mtls.bank.example"
)

func issuer() fapi.Issuer {
	return fapi.Issuer{URL: "https://" + publicHost, MTLSBase: "https://" + mtlsHost, Audience: "https://api.bank.example"}
}

// ecdsaCert and rsaCert are made once: RSA keys are slow to make.
var (
	ecdsaCert = sync.OnceValue(func() tls.Certificate { return selfSigned(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))) })
	rsaCert   = sync.OnceValue(func() tls.Certificate { return selfSigned(must(rsa.GenerateKey(rand.Reader, 2048))) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func selfSigned(key crypto.Signer) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "test"},
		DNSNames:     []string{publicHost, mtlsHost},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))}
}

// logged is a log that tests read while the server writes it.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// house is a running server.
type house struct {
	t     *testing.T
	srv   *web.Server
	log   *logged
	stop  context.CancelFunc
	ended chan error
}

func pages(t *testing.T) *web.Pages {
	t.Helper()
	p, err := web.NewPages(web.PagesConfig{Issuer: issuer(), Brand: web.Brand{Name: "Test Bank", Accent: "#0b6e4f"}},
		web.PagesDeps{Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// config returns what a server with routes needs; tests change parts of it.
func config(t *testing.T, routes ...web.Route) web.Config {
	t.Helper()
	certs := []tls.Certificate{ecdsaCert(), rsaCert()}
	return web.Config{
		Sites:         []web.Site{{Issuer: issuer(), Pages: pages(t), Routes: routes}},
		Public:        web.Listener{Addr: "127.0.0.1:0", Certificates: certs},
		MTLS:          web.Listener{Addr: "127.0.0.1:0", Certificates: certs, ClientCerts: true},
		Ops:           web.Listener{Addr: "127.0.0.1:0"},
		ShutdownGrace: 10 * time.Second,
	}
}

func deps(t *testing.T, log *logged) web.Deps {
	t.Helper()
	l, err := obs.NewLogger(log, "debug")
	if err != nil {
		t.Fatal(err)
	}
	return web.Deps{Log: l, Ready: func(context.Context) error { return nil }, Now: time.Now, Rand: rand.Reader}
}

func start(t *testing.T, cfg web.Config, change ...func(*web.Deps)) *house {
	t.Helper()
	h := &house{t: t, log: &logged{}, ended: make(chan error, 1)}
	d := deps(t, h.log)
	for _, f := range change {
		f(&d)
	}
	srv, err := web.New(cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	h.srv = srv
	ctx, stop := context.WithCancel(t.Context())
	h.stop = stop
	go func() { h.ended <- srv.Run(ctx) }()
	select {
	case <-srv.Listening():
	case err := <-h.ended:
		t.Fatalf("the server did not start: %v", err)
	}
	t.Cleanup(stop)
	return h
}

// client speaks to one listener whatever name the URL has.
func (h *house) client(addr string, change ...func(*http.Transport)) *http.Client {
	tr := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		},
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // throw-away certificates
		ForceAttemptHTTP2: true,
	}
	for _, f := range change {
		f(tr)
	}
	h.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (h *house) public() *http.Client { return h.client(h.srv.Addrs().Public) }
func (h *house) mtls() *http.Client   { return h.client(h.srv.Addrs().MTLS) }

// ask sends one request and reads the whole answer.
func (h *house) ask(c *http.Client, method, url, body string, headers ...string) (*http.Response, string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res, string(raw)
}

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
}
