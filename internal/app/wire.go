package app

import (
	"context"
	"fmt"
	"time"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/internal/fetch"
	"github.com/procura/procura/web"
)

// certSkew is the tolerance for notBefore of client certificates; the others bound
// what the server fetches for itself.
const (
	certSkew     = 5 * time.Minute
	fetchTimeout = 5 * time.Second
	fetchBytes   = 256 << 10
)

// wire builds what all issuers share, then each issuer's site, then the listeners.
func (a *App) wire(ctx context.Context) error {
	validator, err := a.validator()
	if err != nil {
		return err
	}
	fetcher, err := a.fetcher()
	if err != nil {
		return err
	}
	var sites []web.Site
	for _, issuer := range a.cfg.Issuers {
		s, err := newSite(ctx, a, issuer, shared{validator: validator, fetcher: fetcher})
		if err != nil {
			return fmt.Errorf("issuer %s: %w", issuer.URL, err)
		}
		a.sites = append(a.sites, s)
		sites = append(sites, s.web())
	}
	a.web, err = a.listeners(sites)
	return err
}

// shared are parts that all issuers use.
type shared struct {
	validator *cert.Validator
	fetcher   *fetch.Fetcher
}

func (a *App) validator() (*cert.Validator, error) {
	anchors, intermediates, err := a.cfg.Trust.Load()
	if err != nil {
		return nil, err
	}
	return cert.New(cert.Config{
		Trust: cert.TrustSet{Name: "clients", Anchors: anchors, Intermediates: intermediates},
		Skew:  certSkew,
	}, cert.Deps{Now: a.deps.Now})
}

func (a *App) fetcher() (*fetch.Fetcher, error) {
	roots, err := a.cfg.Fetch.Roots()
	if err != nil {
		return nil, err
	}
	return fetch.New(fetch.Config{AllowHosts: a.cfg.Fetch.AllowHosts, RootCAs: roots,
		Timeout: fetchTimeout, MaxBytes: fetchBytes})
}

func (a *App) listeners(sites []web.Site) (*web.Server, error) {
	pairs, err := a.cfg.TLS.Load()
	if err != nil {
		return nil, err
	}
	return web.New(web.Config{
		Sites:         sites,
		Public:        web.Listener{Addr: a.cfg.Listen.Public, Certificates: pairs},
		MTLS:          web.Listener{Addr: a.cfg.Listen.MTLS, Certificates: pairs, ClientCerts: true},
		Ops:           web.Listener{Addr: a.cfg.Listen.Ops},
		ShutdownGrace: a.cfg.Shutdown.Grace,
		DrainDelay:    a.cfg.Shutdown.DrainDelay,
	}, web.Deps{Log: a.deps.Log, Ready: a.db.Ready, Now: a.deps.Now, Rand: a.deps.Rand})
}
