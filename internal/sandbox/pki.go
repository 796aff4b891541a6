package sandbox

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/procura/procura/cert/certtest"
)

// Lives of the sandbox's certificates: one that has less than renewBefore left is
// made anew at the next start.
const (
	caLife      = 365 * 24 * time.Hour
	renewBefore = 30 * 24 * time.Hour
)

// Files of the PKI, relative to the data dir.
const (
	fileRoot      = "pki/ca.crt"
	fileServersCA = "pki/servers-ca.crt"
	fileClientsCA = "pki/clients-ca.crt"
	fileServers   = "pki/servers-ca.secret"
	fileClients   = "pki/clients-ca.secret"
)

// pki is the sandbox's own public key infrastructure, kept over restarts: a root
// that is critically name-constrained to loopback names, so that whoever imports
// it risks little; an issuing CA for servers and one for TPPs, whose names are no
// DNS names.
type pki struct {
	dir     string
	now     time.Time
	servers *certtest.CA
	clients *certtest.CA
}

// openPKI loads the PKI of a data dir, or makes one.
func openPKI(dir string, now time.Time) (*pki, error) {
	p := &pki{dir: dir, now: now}
	err := p.load()
	if err == nil {
		return p, nil
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errOutdated) {
		return nil, fmt.Errorf("loading the PKI: %w", err)
	}
	if err := p.create(); err != nil {
		return nil, fmt.Errorf("making the PKI: %w", err)
	}
	return p, nil
}

// errOutdated: a certificate ends too soon to be worth keeping.
var errOutdated = errors.New("about to expire")

func (p *pki) load() error {
	var err error
	if p.servers, err = p.loadCA(fileServers); err != nil {
		return err
	}
	p.clients, err = p.loadCA(fileClients)
	return err
}

func (p *pki) loadCA(name string) (*certtest.CA, error) {
	raw, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		return nil, err
	}
	ca, err := certtest.LoadCA(raw)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if p.outdated(ca.Root) || p.outdated(ca.Issuer) {
		return nil, errOutdated
	}
	return ca, nil
}

func (p *pki) outdated(c *x509.Certificate) bool { return p.now.Add(renewBefore).After(c.NotAfter) }

func (p *pki) create() error {
	var err error
	if p.servers, err = certtest.NewCA(certtest.Options{Name: "Procura Sandbox", Now: p.now, Life: caLife, LocalOnly: true}); err != nil {
		return err
	}
	if p.clients, err = p.servers.IssueCA("Procura Sandbox TPP Issuing CA", func(t *x509.Certificate) { t.MaxPathLenZero = true }); err != nil {
		return err
	}
	for name, ca := range map[string]*certtest.CA{fileServers: p.servers, fileClients: p.clients} {
		raw, err := ca.Encode()
		if err != nil {
			return err
		}
		if err := writeFile(p.dir, name, raw); err != nil {
			return err
		}
	}
	for name, raw := range map[string][]byte{
		fileRoot: p.servers.RootPEM(), fileServersCA: p.servers.IssuerPEM(), fileClientsCA: p.clients.IssuerPEM(),
	} {
		if err := writeFile(p.dir, name, raw); err != nil {
			return err
		}
	}
	return nil
}

// server returns the names of the certificate and key files of a server, one pair
// for each kind of key: what FAPI leaves of TLS 1.2 needs the RSA one.
func (p *pki) server(name string, rsa bool) (pair, error) {
	t := certtest.Server(p.now, "localhost", "127.0.0.1", "::1")
	t.RSA = rsa
	return p.leaf("pki/"+name, p.servers, t)
}

// client returns the transport certificate of a TPP.
func (p *pki) client(dir, subject string) (pair, error) {
	return p.leaf(dir+"/transport", p.clients, certtest.Client(p.now, subject))
}

// pair is a certificate chain and its key, as file names below the data dir.
type pair struct{ certFile, keyFile string }

// leaf keeps the certificate that is there as long as its CA signed it and it
// does not end soon.
func (p *pki) leaf(name string, ca *certtest.CA, t certtest.Template) (pair, error) {
	files := pair{name + ".crt", name + ".key"}
	if p.usable(files, ca) {
		return files, nil
	}
	leaf, err := ca.Issue(t)
	if err != nil {
		return pair{}, fmt.Errorf("issuing %s: %w", name, err)
	}
	key, err := leaf.KeyPEM()
	if err != nil {
		return pair{}, fmt.Errorf("issuing %s: %w", name, err)
	}
	if err := writeFile(p.dir, files.keyFile, key); err != nil {
		return pair{}, err
	}
	return files, writeFile(p.dir, files.certFile, leaf.CertPEM())
}

func (p *pki) usable(files pair, ca *certtest.CA) bool {
	have, err := p.load509(files)
	if err != nil {
		return false
	}
	leaf, err := x509.ParseCertificate(have.Certificate[0])
	return err == nil && leaf.CheckSignatureFrom(ca.Issuer) == nil && !p.outdated(leaf)
}

func (p *pki) load509(files pair) (tls.Certificate, error) {
	return tls.LoadX509KeyPair(filepath.Join(p.dir, files.certFile), filepath.Join(p.dir, files.keyFile))
}

func (p *pki) loadAll(files ...pair) ([]tls.Certificate, error) {
	var all []tls.Certificate
	for _, f := range files {
		c, err := p.load509(f)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", f.certFile, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// writeFile writes a file of the data dir that only its owner can read, in one
// step.
func writeFile(dir, name string, content []byte) error {
	full := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		return fmt.Errorf("making the folder of %s: %w", name, err)
	}
	if err := os.WriteFile(full+".new", content, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(full+".new", full); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
