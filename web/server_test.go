package web_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/web"
)

func (h *house) ops(path string) (int, error) {
	res, err := http.Get("http://" + h.srv.Addrs().Ops + path)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

func TestOps(t *testing.T) {
	var broken atomic.Bool
	h := start(t, config(t), func(d *web.Deps) {
		d.Ready = func(context.Context) error {
			if broken.Load() {
				return errors.New("the database is away")
			}
			return nil
		}
	})
	for _, c := range []struct {
		path   string
		broken bool
		want   int
	}{
		{"/livez", false, 200}, {"/readyz", false, 200}, {"/livez", true, 200}, {"/readyz", true, 503}, {"/token", false, 404},
	} {
		broken.Store(c.broken)
		if got, err := h.ops(c.path); err != nil || got != c.want {
			t.Errorf("%s (broken: %v): %d %v, want %d", c.path, c.broken, got, err, c.want)
		}
	}
}

// On the signal: not ready, no new connections, but what runs finishes.
func TestDrain(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		if r.Context().Err() != nil {
			http.Error(w, "the request was cancelled", http.StatusTeapot)
			return
		}
		_, _ = io.WriteString(w, "done")
	})
	h := start(t, config(t, web.Route{Method: "POST", Path: "/slow", Handler: slow, Public: true}))
	answers := make(chan string, 1)
	go func() {
		res, err := h.public().Post(publicURL+"/slow", "text/plain", nil)
		if err != nil {
			answers <- err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		answers <- string(body)
	}()
	<-entered
	h.stop()
	until(t, "readyz is 503", func() bool { status, err := h.ops("/readyz"); return err == nil && status == 503 })
	until(t, "the listener is closed", func() bool {
		conn, err := net.Dial("tcp", h.srv.Addrs().Public)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-h.ended:
		t.Fatalf("ended with a request in flight: %v", err)
	default:
	}
	close(release)
	if got := <-answers; got != "done" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := <-h.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := h.ops("/livez"); err == nil {
		t.Error("the ops listener outlived the server")
	}
}

func TestDrainDelayKeepsServing(t *testing.T) {
	cfg := config(t, web.Route{Method: "GET", Path: "/x", Handler: text("x"), Public: true})
	cfg.DrainDelay = 2 * time.Second
	h := start(t, cfg)
	h.stop()
	until(t, "readyz is 503", func() bool { status, err := h.ops("/readyz"); return err == nil && status == 503 })
	if res, _ := h.ask(h.public(), "GET", publicURL+"/x", ""); res.StatusCode != 200 {
		t.Errorf("status %d while draining", res.StatusCode)
	}
}

func TestRequestsBeyondTheGraceAreCut(t *testing.T) {
	entered := make(chan struct{})
	stuck := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { close(entered); <-r.Context().Done() })
	cfg := config(t, web.Route{Method: "GET", Path: "/stuck", Handler: stuck, Public: true})
	cfg.ShutdownGrace = 50 * time.Millisecond
	h := start(t, cfg)
	go func() {
		if res, err := h.public().Get(publicURL + "/stuck"); err == nil {
			res.Body.Close()
		}
	}()
	<-entered
	h.stop()
	if err := <-h.ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run: %v", err)
	}
}

// A stream outlives the write timeout by lifting it, and ends with the server.
func TestStreamsEndWhenTheServerDrains(t *testing.T) {
	feed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "first")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flushing: %v", err)
		}
		<-r.Context().Done()
		fmt.Fprintln(w, "last")
	})
	for _, protocol := range []string{"h2", "http/1.1"} {
		t.Run(protocol, func(t *testing.T) {
			h := start(t, config(t, web.Route{Method: "GET", Path: "/feed", Handler: feed, MTLS: true, Stream: true}))
			c := h.client(h.srv.Addrs().MTLS, func(tr *http.Transport) {
				tr.ForceAttemptHTTP2 = protocol == "h2"
				tr.TLSClientConfig.NextProtos = []string{protocol}
			})
			res, err := c.Get(mtlsURL + "/feed")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			lines := bufio.NewReader(res.Body)
			if first, err := lines.ReadString('\n'); first != "first\n" {
				t.Fatalf("%q %v", first, err)
			}
			h.stop()
			if last, err := lines.ReadString('\n'); last != "last\n" {
				t.Errorf("%q %v", last, err)
			}
			if err := <-h.ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

func TestAnAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config(t)
	cfg.MTLS.Addr = l.Addr().String()
	srv, err := web.New(cfg, deps(t, &logged{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Run(t.Context()); err == nil || !strings.Contains(err.Error(), cfg.MTLS.Addr) {
		t.Errorf("Run: %v", err)
	}
	if err := srv.Run(t.Context()); err == nil {
		t.Error("a second Run was accepted")
	}
}

// Two brands on one host, told apart by path; the RFC 8414 name goes between.
func TestTwoIssuersOnOneHost(t *testing.T) {
	cfg := config(t)
	cfg.Sites = nil
	for _, brand := range []string{"red", "blue"} {
		i := fapi.Issuer{URL: publicURL + "/" + brand, MTLSBase: mtlsURL + "/" + brand}
		p, err := web.NewPages(web.PagesConfig{Issuer: i, Brand: web.Brand{Name: brand, Accent: "#ff0000"}}, web.PagesDeps{Rand: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		meta := web.Metadata(i, options())
		cfg.Sites = append(cfg.Sites, web.Site{Issuer: i, Pages: p, Routes: []web.Route{
			{Method: "GET", Path: web.PathOpenIDConfiguration, Handler: meta, Public: true},
			{Method: "GET", Path: web.PathOAuthServer, Handler: meta, Public: true},
			{Method: "GET", Path: "/jwks", Handler: text(brand), Public: true, MTLS: true},
		}})
	}
	h := start(t, cfg)
	for path, want := range map[string]string{
		"/red/jwks": "red", "/blue/jwks": "blue",
		"/red/.well-known/openid-configuration":         `"issuer":"https://as.bank.example/red"`,
		"/.well-known/oauth-authorization-server/blue":  `"issuer":"https://as.bank.example/blue"`,
		"/red/assets/style.css":                         "--accent:#ff0000",
		"/.well-known/oauth-authorization-server/green": "not_found",
		"/blue/.well-known/oauth-authorization-server":  "nothing at this address",
		"/jwks": "nothing at this address",
	} {
		if _, body := h.ask(h.public(), "GET", publicURL+path, ""); !strings.Contains(body, want) {
			t.Errorf("%s: %.200s, want %s", path, body, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := func() web.Config {
		return config(t, web.Route{Method: "GET", Path: "/x", Handler: text("x"), Public: true})
	}
	for name, spoil := range map[string]func(*web.Config, *web.Deps){
		"no site":                     func(c *web.Config, _ *web.Deps) { c.Sites = nil },
		"no grace":                    func(c *web.Config, _ *web.Deps) { c.ShutdownGrace = 0 },
		"a negative delay":            func(c *web.Config, _ *web.Deps) { c.DrainDelay = -1 },
		"no address":                  func(c *web.Config, _ *web.Deps) { c.MTLS.Addr = "" },
		"no certificate":              func(c *web.Config, _ *web.Deps) { c.Public.Certificates = nil },
		"ops with TLS":                func(c *web.Config, _ *web.Deps) { c.Ops.Certificates = c.Public.Certificates },
		"public asks for certificate": func(c *web.Config, _ *web.Deps) { c.Public.ClientCerts = true },
		"mutual TLS does not":         func(c *web.Config, _ *web.Deps) { c.MTLS.ClientCerts = false },
		"no pages":                    func(c *web.Config, _ *web.Deps) { c.Sites[0].Pages = nil },
		"http issuer":                 func(c *web.Config, _ *web.Deps) { c.Sites[0].Issuer.URL = "http://as.bank.example" },
		"trailing slash":              func(c *web.Config, _ *web.Deps) { c.Sites[0].Issuer.URL += "/" },
		"issuer with query":           func(c *web.Config, _ *web.Deps) { c.Sites[0].Issuer.URL += "?x" },
		"issuer with user":            func(c *web.Config, _ *web.Deps) { c.Sites[0].Issuer.URL = "https://u@as.bank.example" },
		"issuer with a template":      func(c *web.Config, _ *web.Deps) { c.Sites[0].Issuer.URL += "/{x}" },
		"host that nobody can send":   func(c *web.Config, _ *web.Deps) { c.Sites[0].Issuer.URL = "https://bänk.example" },
		"route without handler":       func(c *web.Config, _ *web.Deps) { c.Sites[0].Routes[0].Handler = nil },
		"route on no listener":        func(c *web.Config, _ *web.Deps) { c.Sites[0].Routes[0].Public = false },
		"route without slash":         func(c *web.Config, _ *web.Deps) { c.Sites[0].Routes[0].Path = "x" },
		"route twice": func(c *web.Config, _ *web.Deps) {
			c.Sites[0].Routes = append(c.Sites[0].Routes, c.Sites[0].Routes[0])
		},
		"no log":        func(_ *web.Config, d *web.Deps) { d.Log = nil },
		"no clock":      func(_ *web.Config, d *web.Deps) { d.Now = nil },
		"no randomness": func(_ *web.Config, d *web.Deps) { d.Rand = nil },
		"no readiness":  func(_ *web.Config, d *web.Deps) { d.Ready = nil },
	} {
		cfg, d := good(), deps(t, &logged{})
		spoil(&cfg, &d)
		if _, err := web.New(cfg, d); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := web.New(good(), deps(t, &logged{})); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

type noRandomness struct{}

func (noRandomness) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

func TestWithoutRandomnessNothingIsServed(t *testing.T) {
	h := start(t, config(t, web.Route{Method: "GET", Path: "/x", Handler: text("x"), Public: true}),
		func(d *web.Deps) { d.Rand = noRandomness{} })
	if res, body := h.ask(h.public(), "GET", publicURL+"/x", ""); res.StatusCode != 500 || strings.Contains(body, "entropy") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

// until asks again and again; each question is a round trip, so it does not spin.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
