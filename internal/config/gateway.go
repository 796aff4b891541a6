package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"
)

// GatewayConfig is the file of the stand-alone resource gateway. Paths in it are
// relative to the file. It holds no secret, only paths of keys.
type GatewayConfig struct {
	// Issuer and Audience are iss and aud of the tokens that are accepted, byte
	// for byte.
	Issuer   string `yaml:"issuer"`
	Audience string `yaml:"audience"`
	// MTLSBase is the base of the issuer's endpoints over mutual TLS.
	MTLSBase string `yaml:"mtls_base"`
	// ClientID is the gateway's own at the issuer, where it is registered as a
	// resource server with tls_client_auth; ClientCertificate is what it shows.
	ClientID          string      `yaml:"client_id"`
	ClientCertificate Certificate `yaml:"client_certificate"`
	// Fetch is how the issuer is reached.
	Fetch Fetch `yaml:"fetch"`
	// Upstream is the bank's API, which must be reachable through the gateway
	// alone.
	Upstream GatewayUpstream `yaml:"upstream"`
	// Listen are the gateway's addresses.
	Listen GatewayListen `yaml:"listen"`
	// TLS is what the API listener shows.
	TLS TLS `yaml:"tls"`
	// MaxFeedAge is how long the issuer's revocations may be silent before every
	// token is answered with 503. Default: 5s.
	MaxFeedAge time.Duration `yaml:"max_feed_age"`
	// Check lets other proxies ask the gateway instead of passing through it.
	Check GatewayCheck `yaml:"check"`
	// Log is about the log on standard error.
	Log Log `yaml:"log"`
	// Shutdown is how the gateway ends.
	Shutdown Shutdown `yaml:"shutdown"`
}

// GatewayUpstream is the API behind the gateway.
type GatewayUpstream struct {
	// URL is its base, http or https; the path of a request is appended.
	URL string `yaml:"url"`
	// CAFile is trusted besides the system's roots where URL is https. Optional.
	CAFile string `yaml:"ca_file"`
}

// GatewayListen holds host:port of each listener.
type GatewayListen struct {
	API string `yaml:"api"`
	// Ops serves /livez and /readyz in plain HTTP. It must be a loopback address
	// unless OpsExposed says that the network there is private.
	Ops        string `yaml:"ops"`
	OpsExposed bool   `yaml:"ops_exposed"`
}

// GatewayCheck opens /check to other proxies. Without callers it is closed.
type GatewayCheck struct {
	// Callers are the certificates of the proxies that may ask, by x5t#S256.
	Callers []string `yaml:"callers"`
	// CertificateHeader is where the proxy puts its client's certificate, which
	// it must set on every question.
	CertificateHeader string `yaml:"certificate_header"`
	// CertificateFormat is escaped-pem (nginx, Envoy) or rfc9440.
	CertificateFormat string `yaml:"certificate_format"`
}

// Values of GatewayCheck.CertificateFormat.
const (
	FormatEscapedPEM = "escaped-pem"
	FormatRFC9440    = "rfc9440"
)

// LoadGateway reads the file and makes paths absolute. Unknown and doubled keys
// are refused with file, line and column. It says nothing about whether the values
// make sense: that is Validate.
func LoadGateway(path string) (GatewayConfig, error) {
	raw, err := readFile(path)
	if err != nil {
		return GatewayConfig{}, fmt.Errorf("reading configuration: %w", err)
	}
	c := GatewayConfig{MaxFeedAge: 5 * time.Second, Log: Log{Level: "info"}, Shutdown: Shutdown{Grace: 20 * time.Second}}
	dec := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict())
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return GatewayConfig{}, located(path, err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return GatewayConfig{}, fmt.Errorf("finding the configuration's folder: %w", err)
	}
	c.anchor(dir)
	return c, nil
}

func (c *GatewayConfig) anchor(dir string) {
	paths := []*string{&c.ClientCertificate.CertFile, &c.ClientCertificate.KeyFile, &c.Fetch.CAFile, &c.Upstream.CAFile}
	for i := range c.TLS.Certificates {
		paths = append(paths, &c.TLS.Certificates[i].CertFile, &c.TLS.Certificates[i].KeyFile)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// Validate checks the values and the files that they name. It returns every
// problem at once, as Problems.
func (c *GatewayConfig) Validate() error {
	v := &validation{}
	v.base("issuer", c.Issuer, "https://auth.bank.example")
	v.base("mtls_base", c.MTLSBase, "https://mtls.auth.bank.example")
	if c.Audience == "" {
		v.add("audience", "is missing", "set it to the audience of the issuer's configuration")
	}
	if c.ClientID == "" {
		v.add("client_id", "is missing", "register the gateway at the issuer as a resource server with tls_client_auth")
	}
	if _, err := c.ClientCertificate.Load(); err != nil {
		v.add("client_certificate", err.Error(), "give PEM files of the gateway's own certificate and of its key")
	}
	v.upstream(c.Upstream)
	v.gatewayListen(c.Listen)
	v.tls(c.TLS)
	v.fetch(c.Fetch)
	if c.MaxFeedAge < minFeedAge {
		v.add("max_feed_age", "is below 2s, but the issuer is heard once a second", "leave it at 5s")
	}
	v.check(c.Check)
	v.log(c.Log)
	v.shutdown(c.Shutdown)
	if len(v.found) > 0 {
		return v.found
	}
	return nil
}

// minFeedAge leaves room for one late heartbeat.
const minFeedAge = 2 * time.Second

func (v *validation) upstream(u GatewayUpstream) {
	parsed, err := url.Parse(u.URL)
	if err != nil || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" ||
		parsed.Scheme != "http" && parsed.Scheme != "https" {
		v.add("upstream.url", "is not an http or https URL", "write it like http://127.0.0.1:8080")
	}
	if _, err := u.Roots(); err != nil {
		v.add("upstream.ca_file", err.Error(), "give a PEM file of certificates, or leave it out")
	}
}

func (v *validation) gatewayListen(l GatewayListen) {
	for _, f := range []struct{ where, addr, example string }{
		{"listen.api", l.API, "0.0.0.0:9445"}, {"listen.ops", l.Ops, "127.0.0.1:9448"},
	} {
		if _, _, err := net.SplitHostPort(f.addr); err != nil {
			v.add(f.where, "is not host:port", "write it like "+f.example)
		}
	}
	if !l.OpsExposed && l.Ops != "" && !loopback(l.Ops) {
		v.add("listen.ops", "is not a loopback address and speaks plain HTTP",
			"bind it to 127.0.0.1, or set listen.ops_exposed when that network is private")
	}
}

func (v *validation) check(c GatewayCheck) {
	if len(c.Callers) == 0 {
		return
	}
	if c.CertificateHeader == "" {
		v.add("check.certificate_header", "is missing", "name the header in which the proxy sends its client's certificate")
	}
	if c.CertificateFormat != FormatEscapedPEM && c.CertificateFormat != FormatRFC9440 {
		v.add("check.certificate_format", "is not known", "use escaped-pem (nginx, Envoy) or rfc9440")
	}
}

// Load returns the certificate with its key.
func (c Certificate) Load() (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("loading %s and %s: %w", c.CertFile, c.KeyFile, err)
	}
	return pair, nil
}

// Roots returns the pool for an https upstream; nil stands for the system's.
func (u GatewayUpstream) Roots() (*x509.CertPool, error) { return Fetch{CAFile: u.CAFile}.Roots() }
