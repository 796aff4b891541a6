package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
	"github.com/procura/procura/internal/config"
)

const gatewayFile = `
issuer: https://auth.bank.example
audience: https://api.bank.example
mtls_base: https://mtls.auth.bank.example
client_id: gateway
client_certificate: {cert_file: own.pem, key_file: own.key}
upstream: {url: "http://127.0.0.1:8080"}
listen: {api: "0.0.0.0:9445", ops: "127.0.0.1:9448"}
tls:
  certificates:
    - {cert_file: rsa.pem, key_file: rsa.key}
`

// gatewayDir holds the files that gatewayFile names, and the file itself.
func gatewayDir(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	ca, err := certtest.NewCA(certtest.Options{Name: "Test", Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for name, template := range map[string]certtest.Template{
		"own": certtest.Client(time.Now(), "CN=gateway"), "rsa": certtest.Server(time.Now(), "localhost"),
	} {
		template.RSA = name == "rsa"
		leaf, err := ca.Issue(template)
		if err != nil {
			t.Fatal(err)
		}
		key, err := leaf.KeyPEM()
		if err != nil {
			t.Fatal(err)
		}
		store(t, filepath.Join(dir, name+".pem"), leaf.CertPEM())
		store(t, filepath.Join(dir, name+".key"), key)
	}
	path := filepath.Join(dir, "gateway.yaml")
	store(t, path, []byte(text))
	return path
}

func store(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestGatewayFile(t *testing.T) {
	path := gatewayDir(t, gatewayFile)
	c, err := config.LoadGateway(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.MaxFeedAge != 5*time.Second || c.Log.Level != "info" || c.ClientCertificate.CertFile != filepath.Join(filepath.Dir(path), "own.pem") {
		t.Errorf("read %+v", c)
	}
}

func TestGatewayFilesThatAreRefused(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "audience:", "audiense:", ":3:1:"},
		{"doubled key", "client_id: gateway", "client_id: gateway\nclient_id: other", "client_id"},
		{"http issuer", "issuer: https:", "issuer: http:", "issuer"},
		{"slash", "https://mtls.auth.bank.example", "https://mtls.auth.bank.example/", "mtls_base"},
		{"no audience", "audience: https://api.bank.example", "", "audience"},
		{"no client", "client_id: gateway", "", "client_id"},
		{"no certificate file", "own.pem", "other.pem", "client_certificate"},
		{"upstream", `"http://127.0.0.1:8080"`, "ftp://x", "upstream.url"},
		{"listen", `"0.0.0.0:9445"`, "9445", "listen.api"},
		{"open ops", "127.0.0.1:9448", "0.0.0.0:9448", "listen.ops"},
		{"no RSA certificate", "{cert_file: rsa.pem, key_file: rsa.key}", "{cert_file: own.pem, key_file: own.key}", "tls.certificates"},
		{"short feed age", "client_id: gateway", "client_id: gateway\nmax_feed_age: 1s", "max_feed_age"},
		{"check without header", "client_id: gateway", "client_id: gateway\ncheck: {callers: [x], certificate_format: rfc9440}", "check.certificate_header"},
		{"check without format", "client_id: gateway", "client_id: gateway\ncheck: {callers: [x], certificate_header: Client-Cert}", "check.certificate_format"},
		{"level", "client_id: gateway", "client_id: gateway\nlog: {level: loud}", "log.level"},
	} {
		conf, err := config.LoadGateway(gatewayDir(t, strings.Replace(gatewayFile, c.old, c.new, 1)))
		if err == nil {
			err = conf.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a word about %s", c.name, err, c.want)
		}
	}
}
