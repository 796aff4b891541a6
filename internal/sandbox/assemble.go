package sandbox

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"github.com/procura/procura/internal/app"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/sandbox/login"
	"github.com/procura/procura/internal/sandbox/world"
	"github.com/procura/procura/resource/gateway"
)

// sessionLife is how long the bank's login application remembers a customer.
const sessionLife = 15 * time.Minute

// assemble builds the parts around the server: gateway, bank API, login
// application, PKI.
func (s *Sandbox) assemble(ctx context.Context, m *material, a *app.App) (*land, error) {
	roots := x509.NewCertPool()
	roots.AddCert(m.pki.servers.Root)
	certificates, err := m.pki.loadAll(m.serverEC, m.serverRSA)
	if err != nil {
		return nil, err
	}
	bankCert, err := m.pki.load509(m.clients.bank)
	if err != nil {
		return nil, fmt.Errorf("reading the bank's certificate: %w", err)
	}
	asking, err := gateway.TLSConfig(certificates)
	if err != nil {
		return nil, err
	}
	behind := newPipe()
	g, err := newGate(gateSpec{at: s.at, certificate: bankCert, roots: roots, bank: behind, log: s.log, now: s.deps.Now})
	if err != nil {
		return nil, fmt.Errorf("building the gateway: %w", err)
	}
	signIn, err := s.loginApp(m, roots)
	if err != nil {
		return nil, err
	}
	api, err := bankAPI(s.at.url(offsetResource), s.deps.Now)
	if err != nil {
		return nil, fmt.Errorf("building the bank's API: %w", err)
	}
	l := &land{app: a, gate: g, world: s.describe(m), probes: newProbes(s.at, roots, g)}
	l.services = []*service{{name: "the bank's API", listener: behind, handler: api}}
	for _, one := range []struct {
		offset  int
		handler http.Handler
		tls     *tls.Config
	}{
		{offsetResource, g.handler, asking},
		{offsetLogin, signIn, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: certificates}},
		{offsetPKI, pkiHandler(m.pki), nil},
	} {
		listener, err := s.at.open(ctx, one.offset)
		if err != nil {
			return nil, err
		}
		l.services = append(l.services, &service{name: s.at.roles()[one.offset], listener: listener, handler: one.handler, tls: one.tls})
	}
	return l, nil
}

func (s *Sandbox) loginApp(m *material, roots *x509.CertPool) (http.Handler, error) {
	issuer := s.at.url(offsetIssuer)
	keys, err := newIssuerKeys(issuer+fapi.PathJWKS, s.at.host(offsetIssuer), roots, s.deps.Now)
	if err != nil {
		return nil, err
	}
	signer, err := m.login.signer()
	if err != nil {
		return nil, err
	}
	application, err := login.New(login.Config{
		BaseURL: s.at.url(offsetLogin), Issuer: issuer, SessionLife: sessionLife, Customers: customers(),
	}, login.Deps{
		Now: s.deps.Now, Rand: rand.Reader, Signer: signer, Keys: keys.get,
		Refused: func(cause error) { s.log.Warn("bank login refused", "error", cause.Error()) },
	})
	if err != nil {
		return nil, fmt.Errorf("building the login application: %w", err)
	}
	return application.Handler(), nil
}

// describe is what sandbox.json will say.
func (s *Sandbox) describe(m *material) *world.World {
	w := &world.World{
		Issuer: s.at.url(offsetIssuer), MTLSBase: s.at.url(offsetMTLS),
		ResourceBase: s.at.url(offsetResource), ResourceAudience: s.at.url(offsetResource),
		TPPBase: s.at.url(offsetTPP), DirectoryBase: s.at.url(offsetDirectory),
		PKIBase: s.at.url(offsetPKI), OpsBase: s.at.url(offsetOps),
		CAFile: fileRoot, ConfigFile: fileConfig,
		Clients: m.clients.tpps, ResourceServers: m.clients.servers,
	}
	for _, c := range customers() {
		w.PSUs = append(w.PSUs, world.PSU{Username: c.Username, Password: c.Password})
	}
	return w
}

// probes asks every part whether it answers.
type probes struct {
	client *http.Client
	urls   []string
	gate   *gate
}

func newProbes(at ports, roots *x509.CertPool, g *gate) *probes {
	return &probes{
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
		}},
		urls: []string{
			at.url(offsetOps) + "/readyz", at.url(offsetIssuer) + "/.well-known/openid-configuration",
			at.url(offsetLogin) + "/", at.url(offsetPKI) + "/ca.crt",
		},
		gate: g,
	}
}

// await returns when every part has answered once, or with what the last one that
// did not had to say.
func (p *probes) await(ctx context.Context) error {
	for _, url := range p.urls {
		if err := p.until(ctx, func() error { return p.ask(ctx, url) }); err != nil {
			return err
		}
	}
	return p.until(ctx, func() error { return p.gate.verifier.Ready(ctx) })
}

func (p *probes) until(ctx context.Context, ask func() error) error {
	const pause = 20 * time.Millisecond
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func (p *probes) ask(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", url, res.StatusCode)
	}
	return nil
}
