package sandbox

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/gateway"
)

// gate is the gateway with what it needs to run.
type gate struct {
	handler  http.Handler
	feed     *resource.Feed
	verifier *resource.Verifier
}

// gateSpec says what the gateway stands between.
type gateSpec struct {
	at          ports
	certificate tls.Certificate
	roots       *x509.CertPool
	bank        *pipe
	log         *obs.Logger
	now         func() time.Time
}

func newGate(spec gateSpec) (*gate, error) {
	client, err := resource.NewClient(spec.certificate, spec.roots)
	if err != nil {
		return nil, fmt.Errorf("making the gateway's client: %w", err)
	}
	fetcher, err := resource.NewFetcher(spec.roots, spec.at.host(offsetIssuer))
	if err != nil {
		return nil, fmt.Errorf("making the gateway's fetcher: %w", err)
	}
	g := &gate{}
	mtls := spec.at.url(offsetMTLS)
	g.feed, err = resource.NewFeed(resource.DefaultFeedConfig(mtls+fapi.PathChanges, bankServer), resource.FeedDeps{
		Client: client, Now: spec.now,
		Report: func(err error) { spec.log.Debug("revocation feed", "error", err.Error()) },
	})
	if err != nil {
		return nil, err
	}
	conf := resource.DefaultConfig(spec.at.url(offsetIssuer), spec.at.url(offsetResource))
	g.verifier, err = resource.New(conf, resource.Deps{Fetch: fetcher, Revocations: g.feed, Now: spec.now})
	if err != nil {
		return nil, err
	}
	g.handler, err = gateway.New(gateway.DefaultConfig(mtls, bankServer, "http://bank"), gateway.Deps{
		Verifier: g.verifier, Client: client, Upstream: &http.Transport{DialContext: spec.bank.dial},
		Now: spec.now, Rand: rand.Reader, Log: func(r gateway.Record) { record(spec.log, r) },
	})
	return g, err
}

// run reads revocations until ctx ends.
func (g *gate) run(ctx context.Context) error {
	if err := g.feed.Run(ctx); ctx.Err() == nil {
		return fmt.Errorf("reading revocations: %w", err)
	}
	return nil
}

func record(log *obs.Logger, r gateway.Record) {
	reason := ""
	if r.Reason != nil {
		reason = r.Reason.Error()
	}
	log.Info("gateway", "interaction", r.InteractionID, "method", r.Method, "path", r.Path,
		"status", r.Status, "client", r.Client, "consent", r.Consent, "reason", reason, "took", r.Took.String())
}
