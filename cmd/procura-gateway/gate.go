package main

import (
	"crypto/rand"
	"crypto/tls"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/procura/procura/internal/config"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/gateway"
)

// gate is a configured gateway that does not run yet.
type gate struct {
	conf     config.GatewayConfig
	log      *obs.Logger
	tls      *tls.Config
	handler  http.Handler
	feed     *resource.Feed
	verifier *resource.Verifier

	listening chan addresses // told once, when both listeners are open
	draining  atomic.Bool
}

// addresses are those that are really listened on.
type addresses struct{ api, ops string }

func newGate(conf config.GatewayConfig, logTo io.Writer) (*gate, error) {
	g := &gate{conf: conf, listening: make(chan addresses, 1)}
	var err error
	if g.log, err = obs.NewLogger(logTo, conf.Log.Level); err != nil {
		return nil, err
	}
	certificates, err := conf.TLS.Load()
	if err != nil {
		return nil, err
	}
	if g.tls, err = gateway.TLSConfig(certificates); err != nil {
		return nil, err
	}
	client, err := g.client()
	if err != nil {
		return nil, err
	}
	if err := g.verify(client); err != nil {
		return nil, err
	}
	return g, g.forward(client)
}

func (g *gate) client() (*http.Client, error) {
	own, err := g.conf.ClientCertificate.Load()
	if err != nil {
		return nil, err
	}
	roots, err := g.conf.Fetch.Roots()
	if err != nil {
		return nil, err
	}
	return resource.NewClient(own, roots)
}

// verify makes feed and verifier.
func (g *gate) verify(client *http.Client) error {
	roots, err := g.conf.Fetch.Roots()
	if err != nil {
		return err
	}
	fetch, err := resource.NewFetcher(roots, g.conf.Fetch.AllowHosts...)
	if err != nil {
		return err
	}
	g.feed, err = resource.NewFeed(resource.DefaultFeedConfig(g.conf.MTLSBase+"/revocations", g.conf.ClientID),
		resource.FeedDeps{Client: client, Now: time.Now, Report: func(err error) {
			g.log.Warn("the revocation feed was interrupted", "cause", err)
		}})
	if err != nil {
		return err
	}
	cfg := resource.DefaultConfig(g.conf.Issuer, g.conf.Audience)
	cfg.MaxFeedAge = g.conf.MaxFeedAge
	g.verifier, err = resource.New(cfg, resource.Deps{Fetch: fetch, Revocations: g.feed, Now: time.Now})
	return err
}

// idleUpstream is how many connections to the API are kept open.
const idleUpstream = 64

func (g *gate) forward(client *http.Client) error {
	cfg := gateway.DefaultConfig(g.conf.MTLSBase, g.conf.ClientID, g.conf.Upstream.URL)
	cfg.Check = gateway.CheckConfig{Callers: g.conf.Check.Callers, CertificateHeader: g.conf.Check.CertificateHeader,
		CertificateFormat: gateway.EscapedPEM}
	if g.conf.Check.CertificateFormat == config.FormatRFC9440 {
		cfg.Check.CertificateFormat = gateway.ClientCertField
	}
	roots, err := g.conf.Upstream.Roots()
	if err != nil {
		return err
	}
	upstream := &http.Transport{
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		MaxIdleConnsPerHost: idleUpstream,
		IdleConnTimeout:     time.Minute,
	}
	g.handler, err = gateway.New(cfg, gateway.Deps{Verifier: g.verifier, Client: client, Upstream: upstream,
		Now: time.Now, Rand: rand.Reader, Log: g.record})
	return err
}

func (g *gate) record(r gateway.Record) {
	fields := []any{"interaction_id", r.InteractionID, "method", r.Method, "path", r.Path, "status", r.Status,
		"client_id", r.Client, "consent_id", r.Consent, "check", r.Check, "took_ms", r.Took.Milliseconds()}
	if r.Reason != nil {
		fields = append(fields, "reason", r.Reason)
	}
	if r.Status >= http.StatusInternalServerError {
		g.log.Error("request", fields...)
		return
	}
	g.log.Info("request", fields...)
}

// ops is the listener for the machines that keep the process alive. It does not
// say why it is not ready: that is in the log.
func (g *gate) ops() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "alive\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if g.draining.Load() {
			say(w, http.StatusServiceUnavailable, "draining\n")
			return
		}
		if err := g.verifier.Ready(r.Context()); err != nil {
			g.log.Warn("not ready", "cause", err)
			say(w, http.StatusServiceUnavailable, "not ready\n")
			return
		}
		say(w, http.StatusOK, "ready\n")
	})
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the peer is gone when this fails; there is nobody to tell
}

// server bounds what a slow or talkative peer may take.
func server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: exchangeTimeout,
		WriteTimeout: exchangeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: quiet()}
}
