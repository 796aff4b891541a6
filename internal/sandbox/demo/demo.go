// Package demo is a third party provider (TPP) without a screen: it takes its
// customers through complete FAPI 1.0 Advanced flows against a running sandbox,
// over the wire only and with nothing but sandbox.json in hand, prints what it
// sends and what it checks, and refuses to go on after the first thing that is
// wrong.
package demo

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/sandbox/world"
)

// profileName is the profile whose flow the demo speaks.
const profileName = "fapi1-advanced"

// Config says which sandbox to visit and where to tell of it.
type Config struct {
	DataDir string
	Out     io.Writer
}

// Deps are the demo's clock and dice. Random returns an unguessable string of 43
// to 128 letters and digits.
type Deps struct {
	Now    func() time.Time
	Random func() string
}

// Demo is one visit to one sandbox.
type Demo struct {
	deps    Deps
	out     *teller
	world   *world.World
	roots   *x509.CertPool
	server  *server
	secrets []string
}

// flow is one way through FAPI 1.0 Advanced.
type flow struct {
	tpp, other *tpp // other is whoever stole the access token
	pushed     bool
	hybrid     bool // code id_token; otherwise code, answered in a JWT
	customer   world.PSU
}

// New reads sandbox.json and trusts its CA. It refuses a data dir on which no
// sandbox runs.
func New(cfg Config, deps Deps) (*Demo, error) {
	if cfg.DataDir == "" || cfg.Out == nil || deps.Now == nil || deps.Random == nil {
		return nil, errors.New("demo: DataDir, Out, Now and Random are needed")
	}
	w, err := world.Read(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(w.Path(w.CAFile))
	if err != nil {
		return nil, fmt.Errorf("reading the sandbox's CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("reading the sandbox's CA: no certificate in it")
	}
	return &Demo{deps: deps, out: &teller{w: cfg.Out}, world: w, roots: roots}, nil
}

// Run goes through every flow; the first thing that is wrong ends it with an
// error that says what was expected.
func (d *Demo) Run(ctx context.Context) error {
	began := d.deps.Now()
	if err := d.discover(ctx); err != nil {
		return err
	}
	flows, err := d.flows()
	if err != nil {
		return err
	}
	for _, f := range flows {
		if err := d.travel(ctx, f); err != nil {
			return err
		}
	}
	d.out.printf("\nAll as it should be: %d flows, %d steps, %d checks in %s.\n",
		len(flows), d.out.steps, d.out.checks, d.deps.Now().Sub(began).Round(10*time.Millisecond))
	return nil
}

// Secrets returns every code, token and assertion that was sent or received, for
// whoever must make sure that none of them was written down anywhere.
func (d *Demo) Secrets() []string { return slices.Clone(d.secrets) }

func (d *Demo) keep(secrets ...string) {
	for _, s := range secrets {
		if s != "" {
			d.secrets = append(d.secrets, s)
		}
	}
}

// flows crosses both authentication methods with both ways to send a request
// object and both kinds of answer.
func (d *Demo) flows() ([]flow, error) {
	signed, err := d.pair("private_key_jwt")
	if err != nil {
		return nil, err
	}
	mutual, err := d.pair("tls_client_auth")
	if err != nil {
		return nil, err
	}
	if len(d.world.PSUs) < 2 {
		return nil, fmt.Errorf("%s names fewer than two customers", world.FileName)
	}
	alice, bob := d.world.PSUs[0], d.world.PSUs[1]
	return []flow{
		{tpp: signed[0], other: mutual[0], hybrid: true, customer: alice},
		{tpp: mutual[0], other: signed[0], hybrid: true, pushed: true, customer: bob},
		{tpp: mutual[1], other: signed[1], customer: alice},
		{tpp: signed[1], other: mutual[1], pushed: true, customer: bob},
	}, nil
}

// pair returns two clients of an authentication method, the one that signs with
// PS256 first and one that signs with ES256 second.
func (d *Demo) pair(method string) ([2]*tpp, error) {
	var found [2]*tpp
	for _, c := range d.world.Clients {
		if c.Profile != profileName || c.AuthMethod != method {
			continue
		}
		t, err := loadTPP(d.world, c, d.roots)
		if err != nil {
			return found, fmt.Errorf("loading client %s: %w", c.ID, err)
		}
		place := slices.Index([]string{jose.PS256, jose.ES256}, t.signer.Alg)
		if place >= 0 && found[place] == nil {
			found[place] = t
		}
	}
	if found[0] == nil || found[1] == nil {
		return found, fmt.Errorf("%s needs two %s clients for %s, one signing with PS256 and one with ES256", world.FileName, profileName, method)
	}
	return found, nil
}
