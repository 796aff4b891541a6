package fetch_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/internal/fetch"
)

// target is a real TLS server on this machine that counts connections and requests.
type target struct {
	*httptest.Server
	roots       *x509.CertPool
	connections atomic.Int32
	requests    atomic.Int32
}

func newTarget(t *testing.T, handler http.HandlerFunc) *target {
	t.Helper()
	ca, err := certtest.NewCA(certtest.Options{Name: "Fetch", Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(certtest.Server(time.Now(), "localhost", "127.0.0.1", "::1"))
	if err != nil {
		t.Fatal(err)
	}
	s := &target{roots: ca.Pool()}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		handler(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *target) port() string { return s.URL[strings.LastIndexByte(s.URL, ':')+1:] }

func (s *target) fetcher(t *testing.T, edit ...func(*fetch.Config)) *fetch.Fetcher {
	t.Helper()
	cfg := fetch.Config{
		AllowHosts: []string{"127.0.0.1:" + s.port(), "Localhost:" + s.port()},
		RootCAs:    s.roots, Timeout: 5 * time.Second, MaxBytes: 1000,
	}
	for _, e := range edit {
		e(&cfg)
	}
	f, err := fetch.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestNewRefusesZeroValues(t *testing.T) {
	for name, cfg := range map[string]fetch.Config{
		"no timeout":         {MaxBytes: 1},
		"no size":            {Timeout: 1},
		"host without port":  {Timeout: 1, MaxBytes: 1, AllowHosts: []string{"localhost"}},
		"host without name":  {Timeout: 1, MaxBytes: 1, AllowHosts: []string{":443"}},
		"host with a scheme": {Timeout: 1, MaxBytes: 1, AllowHosts: []string{"https://localhost:443"}},
	} {
		if _, err := fetch.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestGet(t *testing.T) {
	s := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" || r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("sent headers %v", r.Header)
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b", Path: "/"})
		w.Header().Set("Content-Type", "application/jwk-set+json; charset=utf-8")
		_, _ = io.WriteString(w, r.Header.Get("Accept"))
	})
	f := s.fetcher(t)
	for range 2 { // the cookie of the first answer does not come back
		body, err := f.Get(context.Background(), "https://localhost:"+s.port()+"/jwks?x=1", "application/json", "application/jwk-set+json")
		if err != nil || string(body) != "application/json, application/jwk-set+json" {
			t.Errorf("got %q, %v", body, err)
		}
	}
}

// JW-07, attacks 65 and 66: nothing is sent to an address that is not public. Each
// URL leads to a server that is really there.
func TestPrivateAddressesAreNotDialled(t *testing.T) {
	s := newTarget(t, func(http.ResponseWriter, *http.Request) {})
	f := s.fetcher(t, func(c *fetch.Config) { c.AllowHosts = []string{"127.0.0.2:" + s.port(), "localhost:1"} })
	for name, host := range map[string]string{
		"loopback":               "127.0.0.1",
		"loopback by name":       "localhost",
		"name with trailing dot": "localhost.",
		"unspecified":            "0.0.0.0",
		"unspecified IPv6":       "[::]",
		"loopback IPv6":          "[::1]",
		"IPv4 mapped":            "[::ffff:127.0.0.1]",
		"IPv4 mapped in hex":     "[::ffff:7f00:1]",
		"decimal":                "2130706433",
		"hexadecimal":            "0x7f000001",
		"octal":                  "0177.0.0.1",
		"short":                  "127.1",
		"metadata service":       "169.254.169.254",
		"private":                "10.0.0.1",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			if body, err := f.Get(ctx, "https://"+host+":"+s.port()+"/"); err == nil {
				t.Errorf("fetched %q", body)
			}
		})
	}
	if _, err := f.Get(context.Background(), "https://127.0.0.1:"+s.port()+"/"); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("error %v is no refusal", err)
	}
	if n := s.connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestURLsThatAreRefused(t *testing.T) {
	s := newTarget(t, func(http.ResponseWriter, *http.Request) {})
	f := s.fetcher(t)
	for name, url := range map[string]string{
		"http":           "http://localhost:" + s.port(),
		"upper-case":     "HTTP://localhost:" + s.port(),
		"file":           "file:///etc/passwd",
		"no scheme":      "localhost:" + s.port(),
		"opaque":         "https:localhost:" + s.port(),
		"no host":        "https:///path",
		"user":           "https://good@localhost:" + s.port(),
		"fragment":       "https://localhost:" + s.port() + "/#x",
		"line feed":      "https://localhost:" + s.port() + "/\n",
		"data":           "data:application/json,{}",
		"empty":          "",
		"broken escape":  "https://localhost:" + s.port() + "/%zz",
		"space in host":  "https://local host:" + s.port(),
		"broken bracket": "https://[::1:" + s.port(),
		"short address":  "https://127.1:" + s.port(),
		"decimal":        "https://2130706433:" + s.port(),
		"hexadecimal":    "https://0x7f000001:" + s.port(),
		"octal":          "https://0177.0.0.1:" + s.port(),
		"dot at the end": "https://127.1.:" + s.port(),
	} {
		if _, err := f.Get(context.Background(), url); !errors.Is(err, fetch.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	const media = "application/json"
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		refused bool // for good; otherwise it may pass with time
	}{
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) }, true},
		{"redirect to http", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusMovedPermanently)
		}, true},
		{"not found", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, true},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, true},
		{"server error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, false},
		{"too many requests", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, false},
		{"html", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "{}")
		}, true},
		{"one byte too many", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			_, _ = w.Write(bytes.Repeat([]byte(" "), 1001))
		}, true},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", media)
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 32<<10)); err != nil {
					return
				}
			}
		}, true},
		{"huge header", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			w.Header().Set("X-Filler", strings.Repeat("x", 64<<10))
		}, false},
		{"cut body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{}")
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTarget(t, tc.handler)
			_, err := s.fetcher(t).Get(context.Background(), s.URL, media)
			if err == nil || errors.Is(err, fetch.ErrRefused) != tc.refused {
				t.Errorf("error %v", err)
			}
			if n := s.requests.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestBodyOfExactlyTheLimit(t *testing.T) {
	s := newTarget(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), 1000)) })
	if body, err := s.fetcher(t).Get(context.Background(), s.URL); err != nil || len(body) != 1000 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// A server that sends a byte now and then ends at the time limit, not at its own.
func TestSlowBody(t *testing.T) {
	s := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-r.Context().Done():
				panic(http.ErrAbortHandler) // never a proper end
			case <-tick.C:
				if _, err := w.Write([]byte(" ")); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
			}
		}
	})
	f := s.fetcher(t, func(c *fetch.Config) { c.Timeout = 300 * time.Millisecond })
	began := time.Now()
	body, err := f.Get(context.Background(), s.URL)
	if err == nil || errors.Is(err, fetch.ErrRefused) {
		t.Errorf("%d bytes, error %v", len(body), err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestContextEndsTheFetch(t *testing.T) {
	arrived := make(chan struct{})
	s := newTarget(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := s.fetcher(t).Get(ctx, s.URL); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestUntrustedServers(t *testing.T) {
	s, other := newTarget(t, func(http.ResponseWriter, *http.Request) {}), newTarget(t, func(http.ResponseWriter, *http.Request) {})
	f := s.fetcher(t, func(c *fetch.Config) { c.RootCAs = other.roots })
	if _, err := f.Get(context.Background(), s.URL); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("a server of another CA: %v", err)
	}
	f = s.fetcher(t, func(c *fetch.Config) { c.RootCAs = nil })
	if _, err := f.Get(context.Background(), s.URL); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("a throw-away CA in the machine's store: %v", err)
	}
	f = s.fetcher(t, func(c *fetch.Config) { c.AllowHosts = []string{"127.0.0.9:" + s.port()} })
	if _, err := f.Get(context.Background(), "https://127.0.0.9:"+s.port()); err == nil {
		t.Error("a certificate for another address was accepted")
	}
}

// An error names the host but nothing behind it: a query may hold a secret.
func TestErrorsKeepTheURL(t *testing.T) {
	s := newTarget(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	f := s.fetcher(t, func(c *fetch.Config) { c.AllowHosts = nil })
	for _, g := range []*fetch.Fetcher{s.fetcher(t), f} {
		_, err := g.Get(context.Background(), s.URL+"/private?token=secret")
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "private?") {
			t.Errorf("error %v", err)
		}
	}
}

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "192.88.98.255": true, "100.63.255.255": true, "100.128.0.0": true,
		"2606:4700::1111": true, "2a00:1450:4001::1": true, "::ffff:8.8.8.8": true, "2001:4860::1": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.1.2.3": false, "100.64.0.1": false, "127.0.0.1": false, "127.255.255.254": false,
		"169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.0.0.8": false, "192.0.2.1": false,
		"192.88.99.1": false, "192.168.0.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false,
		"203.0.113.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "100::1": false, "2001::1": false, "2001:10::1": false, "2001:db8::1": false,
		"2002:7f00:1::1": false, "3fff::1": false, "5f00::1": false, "fc00::1": false, "fd00:ec2::254": false,
		"fe80::1": false, "fe80::1%eth0": false, "2606:4700::1111%eth0": false, "fec0::1": false, "ff02::1": false,
	} {
		if got := fetch.Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if fetch.Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}
