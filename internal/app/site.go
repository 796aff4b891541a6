package app

import (
	"context"
	"time"

	"github.com/procura/procura/authz"
	"github.com/procura/procura/consent"
	"github.com/procura/procura/internal/authreq"
	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/config"
	"github.com/procura/procura/internal/engine"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/keys"
	"github.com/procura/procura/internal/mint"
	"github.com/procura/procura/internal/profile"
	"github.com/procura/procura/par"
	"github.com/procura/procura/storage"
	"github.com/procura/procura/token"
	"github.com/procura/procura/web"
)

// The one concrete store satisfies what every room asks of it.
var (
	_ authz.Store              = (*storage.DB)(nil)
	_ par.Store                = (*storage.DB)(nil)
	_ token.Store              = (*storage.DB)(nil)
	_ token.IntrospectionStore = (*storage.DB)(nil)
	_ token.RevocationStore    = (*storage.DB)(nil)
	_ token.TokenStateStore    = (*storage.DB)(nil)
	_ token.ChangeStore        = (*storage.DB)(nil)
	_ consent.Store            = (*storage.DB)(nil)
	_ keys.Store               = (*storage.DB)(nil)
)

// Caches and cadences.
const (
	clientEntries = 10_000
	clientTTL     = 5 * time.Minute        // beside the feed, which is faster
	feedInterval  = 250 * time.Millisecond // a change is everywhere within a second
	feedOverlap   = 15 * time.Second       // how late a commit may appear
	keyReload     = time.Minute            // beside the feed: mends a reload that failed
)

// site is one issuer with its rooms.
type site struct {
	app    *App
	issuer fapi.Issuer
	cfg    config.Issuer
	shared shared

	ring      *keys.Ring
	mint      *mint.Mint
	directory *clients.Directory
	auth      *clientauth.Authenticator
	hub       *token.Hub
	pages     *web.Pages

	par           *par.Service
	authz         *authz.Service
	token         *token.Service
	introspection *token.Introspection
	revocation    *token.Revocation
	userinfo      *token.Userinfo
	feed          *token.Feed
	consents      *consent.Service
}

func newSite(ctx context.Context, a *App, cfg config.Issuer, sh shared) (*site, error) {
	s := &site{app: a, cfg: cfg, shared: sh, issuer: fapi.Issuer{URL: cfg.URL, MTLSBase: cfg.MTLSBase, Audience: cfg.Audience}}
	for _, build := range []func(context.Context) error{
		s.openKeys, s.openClients, s.openFeed, s.openPages, s.openAuthorization, s.openTokens, s.openConsents,
	} {
		if err := build(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *site) openKeys(ctx context.Context) (err error) {
	kek, err := s.app.cfg.KEK()
	if err != nil {
		return err
	}
	s.ring, err = keys.New(keys.Config{Issuer: s.issuer.URL, KEK: kek, RetireAfter: s.app.cfg.KeyRetireAfter},
		keys.Deps{Store: s.app.db, Now: s.app.deps.Now, Rand: s.app.deps.Rand})
	if err != nil {
		return err
	}
	if err := s.ring.Open(ctx, "serve"); err != nil {
		return err
	}
	s.mint, err = mint.New(mint.Config{Issuer: s.issuer}, mint.Deps{Ring: s.ring, Now: s.app.deps.Now, Rand: s.app.deps.Rand})
	return err
}

func (s *site) openClients(context.Context) (err error) {
	s.directory, err = clients.New(clients.Config{Issuer: s.issuer.URL, MaxEntries: clientEntries, TTL: clientTTL},
		clients.Deps{Read: s.app.db.ReadClient, Fetch: s.fetch, Now: s.app.deps.Now})
	if err != nil {
		return err
	}
	s.auth, err = clientauth.New(clientauth.Config{Issuer: s.issuer},
		clientauth.Deps{Clients: s.directory, Certs: s.shared.validator, Now: s.app.deps.Now})
	return err
}

func (s *site) openFeed(context.Context) (err error) {
	s.hub, err = token.NewHub(token.HubConfig{Issuer: s.issuer.URL, Interval: feedInterval, Overlap: feedOverlap},
		token.HubDeps{Store: s.app.db, Now: s.app.deps.Now, Rand: s.app.deps.Rand, Failed: func(err error) {
			s.app.deps.Log.Error("reading the change feed failed", "error", err.Error())
		}})
	if err != nil {
		return err
	}
	s.feed, err = token.NewFeed(token.DefaultFeedConfig(), token.FeedDeps{Hub: s.hub, Clients: s.auth, Now: s.app.deps.Now})
	return err
}

// follow applies changes that other processes made.
func (s *site) follow(ctx context.Context) {
	go s.reloadKeys(ctx)
	s.hub.Subscribe(ctx, func(ctx context.Context, c fapi.Change) {
		switch c.Kind {
		case fapi.ChangeClient:
			s.directory.Forget(c.Value)
		case fapi.ChangeKeys:
			if err := s.ring.Reload(ctx); err != nil {
				s.app.deps.Log.Error("reloading keys failed", "error", err.Error())
			}
		}
	})
}

// reloadKeys reads the keys again now and then: a reload that failed when the feed
// told of a rotation is made up for before the retired key is missed.
func (s *site) reloadKeys(ctx context.Context) {
	ticker := time.NewTicker(keyReload)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := s.ring.Reload(ctx); err != nil && ctx.Err() == nil {
				s.app.deps.Log.Error("reloading keys failed", "error", err.Error())
			}
		}
	}
}

func (s *site) openPages(context.Context) (err error) {
	logo, err := s.cfg.Brand.Logo()
	if err != nil {
		return err
	}
	s.pages, err = web.NewPages(web.PagesConfig{Issuer: s.issuer,
		Brand: web.Brand{Name: s.cfg.Brand.Name, Accent: s.cfg.Brand.Accent, Logo: logo}},
		web.PagesDeps{Rand: s.app.deps.Rand})
	return err
}

func (s *site) openAuthorization(context.Context) error {
	validator, err := authreq.New(authreq.Config{Issuer: s.issuer},
		authreq.Deps{Decrypters: s.ring.Decrypters, Hints: s.mint, Now: s.app.deps.Now})
	if err != nil {
		return err
	}
	s.par, err = par.New(par.Config{Issuer: s.issuer}, par.Deps{Store: s.app.db, Authenticator: s.auth,
		Validator: validator, Now: s.app.deps.Now, Rand: s.app.deps.Rand})
	if err != nil {
		return err
	}
	login, err := s.handover()
	if err != nil {
		return err
	}
	codes, err := s.engine()
	if err != nil {
		return err
	}
	s.authz, err = authz.New(authz.Config{Issuer: s.issuer, ACRs: s.cfg.Login.ACRValues,
		FormKey: s.ring.DerivedSecret("consent form")}, authz.Deps{
		Store: s.app.db, Clients: s.directory, Validator: validator, Login: login, Engine: codes, Mint: s.mint,
		Pages: s.pages, Subject: s.ring.PairwiseSubject, Now: s.app.deps.Now, Rand: s.app.deps.Rand})
	return err
}

// engine makes fosite's door; the secret is the issuer's own and the same on
// every process.
func (s *site) engine() (*engine.Engine, error) {
	return engine.New(engine.Config{Secret: s.ring.DerivedSecret("codes and refresh tokens")},
		engine.Deps{Mint: s.mint, Now: s.app.deps.Now})
}

// handover connects the bank's login application. It is a party with keys like
// any client, in a file or behind a URL, so its keys are kept like a client's.
func (s *site) handover() (*authz.Handover, error) {
	party := &fapi.Client{ID: "login", Profile: profile.FAPI1Advanced, AuthMethod: fapi.AuthPrivateKeyJWT, JWKSURI: s.cfg.Login.JWKSURI}
	if party.JWKSURI == "" {
		raw, err := s.cfg.Login.Keys()
		if err != nil {
			return nil, err
		}
		party.JWKS = raw
	}
	parties, err := clients.New(clients.Config{Issuer: s.issuer.URL, MaxEntries: 1, TTL: clientTTL}, clients.Deps{
		Read:  func(context.Context, string, string) (*fapi.Client, error) { return party, nil },
		Fetch: s.fetch, Now: s.app.deps.Now})
	if err != nil {
		return nil, err
	}
	return authz.NewHandover(authz.HandoverConfig{Issuer: s.issuer, LoginURL: s.cfg.Login.URL, Login: s.cfg.Login.Issuer},
		authz.HandoverDeps{Sign: s.mint.LoginChallenge, Decrypters: s.ring.Decrypters, Now: s.app.deps.Now,
			Keys: func(ctx context.Context, kid string) (*jose.KeySet, error) {
				login, err := parties.Find(ctx, party.ID)
				if err != nil {
					return nil, err
				}
				return login.Keys(ctx, kid)
			}})
}

func (s *site) fetch(ctx context.Context, url string) ([]byte, error) {
	return s.shared.fetcher.Get(ctx, url)
}

func (s *site) openTokens(context.Context) error {
	tokens, err := s.engine()
	if err != nil {
		return err
	}
	db, now := s.app.db, s.app.deps.Now
	s.token, err = token.New(token.Config{Issuer: s.issuer}, token.Deps{Store: db, Clients: s.auth, Engine: tokens,
		Revoked: s.hub.Wake, Now: now, Rand: s.app.deps.Rand})
	if err != nil {
		return err
	}
	s.introspection, err = token.NewIntrospection(token.IntrospectionConfig{Issuer: s.issuer},
		token.IntrospectionDeps{Clients: s.auth, Tokens: s.mint, Store: db, Now: now})
	if err != nil {
		return err
	}
	s.revocation, err = token.NewRevocation(token.RevocationConfig{Issuer: s.issuer},
		token.RevocationDeps{Clients: s.auth, Tokens: s.mint, Store: db, Revoked: s.hub.Wake, Now: now})
	if err != nil {
		return err
	}
	s.userinfo, err = token.NewUserinfo(token.UserinfoConfig{Issuer: s.issuer},
		token.UserinfoDeps{Tokens: s.mint, Store: db, Now: now, Rand: s.app.deps.Rand})
	return err
}

func (s *site) openConsents(context.Context) (err error) {
	s.consents, err = consent.New(consent.Config{Issuer: s.issuer}, consent.Deps{Store: s.app.db, Callers: s.auth, Clients: s.directory,
		Revoked: s.hub.Wake, Now: s.app.deps.Now, Rand: s.app.deps.Rand})
	return err
}
