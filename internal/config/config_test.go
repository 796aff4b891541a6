package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/procura/procura/internal/config"
)

func load(t *testing.T, path string, environ ...string) config.Config {
	t.Helper()
	c, err := config.Load(path, environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadReadsEveryKey(t *testing.T) {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	want := config.Config{
		Issuers: []config.Issuer{{
			URL: "https://auth.bank.example", MTLSBase: "https://mtls.auth.bank.example", Audience: "https://api.bank.example",
			Login: config.Login{URL: "https://login.bank.example/start", Issuer: "https://login.bank.example",
				JWKSFile: in("login.jwks"), ACRValues: []string{"urn:openbanking:psd2:sca"}},
			Brand: config.Brand{Name: "The Bank", Accent: "#0b6e4f", LogoFile: in("logo.svg")},
		}},
		Listen: config.Listen{Public: "0.0.0.0:9443", MTLS: "0.0.0.0:9444", Ops: "127.0.0.1:9448"},
		TLS: config.TLS{Certificates: []config.Certificate{
			{CertFile: in("ec.pem"), KeyFile: in("ec.key")},
			{CertFile: "/etc/procura/rsa.pem", KeyFile: "/etc/procura/rsa.key"},
		}},
		Database:             config.Database{DSN: "postgres://procura:hunter2@db.bank.example/procura", MaxConns: 20},
		KeyEncryptionKeyFile: in("kek"),
		KeyRetireAfter:       48 * time.Hour,
		Trust: config.Trust{AnchorsFiles: []string{in("trust/anchors.pem")},
			IntermediatesFiles: []string{in("trust/intermediates.pem")}},
		Fetch:    config.Fetch{AllowHosts: []string{"directory.bank.example:443"}, CAFile: in("trust/ca.pem")},
		Log:      config.Log{Level: "warn"},
		Shutdown: config.Shutdown{DrainDelay: 5 * time.Second, Grace: 30 * time.Second},
	}
	if diff := cmp.Diff(want, load(t, "testdata/full.yaml")); diff != "" {
		t.Error(diff)
	}
}

func TestDefaults(t *testing.T) {
	c := load(t, write(t, "c.yaml", "issuers:\n  - url: https://auth.bank.example:8443/x\n    login: {url: https://l.example}\n"))
	if c.Database.MaxConns != 16 || c.Log.Level != "info" || c.Shutdown.Grace != 20*time.Second || c.Shutdown.DrainDelay != 0 ||
		c.KeyRetireAfter != 24*time.Hour {
		t.Errorf("%+v", c)
	}
	i := c.Issuers[0]
	if i.Brand.Name != "auth.bank.example" || i.Brand.Accent != "#1f4e79" || len(i.Login.ACRValues) != 2 {
		t.Errorf("%+v", i)
	}
}

// A mistake is found by file, line and column, and its line is not shown: the
// next one may be a password.
func TestLoadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"unknown key":        {"log:\n  levle: info\n", `c.yaml:2:3: unknown field "levle"`},
		"unknown key on top": {"database:\n  dsn: postgres://hunter2\nlissen: {}\n", `c.yaml:3:1: unknown field "lissen"`},
		"doubled key":        {"log:\n  level: info\n  level: warn\n", `c.yaml:3:3: mapping key "level" already defined`},
		"wrong type":         {"issuers: yes\n", "c.yaml:1:10: "},
		"number of words":    {"database:\n  max_conns: hunter2\n", "c.yaml:2:14: "},
		"not YAML":           {"log: [\n", "c.yaml:1:"},
		"bad duration":       {"shutdown:\n  grace: soon\n", "c.yaml"},
		"secret in the file": {"key_encryption_key: hunter2\n", `c.yaml:1:1: unknown field "key_encryption_key"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(write(t, "c.yaml", c.yaml), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a value: %v", err)
			}
		})
	}
	if _, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := config.Load(write(t, "c.yaml", strings.Repeat("#", 1<<20+1)), nil); err == nil {
		t.Error("a huge file was accepted")
	}
}

func TestEnvironmentOverrides(t *testing.T) {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, "testdata/full.yaml",
		"PROCURA_DATABASE_DSN=postgres://other", "PROCURA_DATABASE_MAX_CONNS=7", "PROCURA_LOG_LEVEL=debug",
		"PROCURA_KEY_ENCRYPTION_KEY=0123", "PROCURA_LISTEN_PUBLIC=:1", "PROCURA_LISTEN_MTLS=:2", "PROCURA_LISTEN_OPS=:3",
		"PROCURA_LISTEN_OPS_EXPOSED=true", "PROCURA_FETCH_ALLOW_HOSTS=a:1, b:2,", "PROCURA_FETCH_CA_FILE=/ca",
		"PROCURA_SHUTDOWN_GRACE=1s", "PROCURA_SHUTDOWN_DRAIN_DELAY=2s", "PROCURA_TRUST_ANCHORS_FILES=/a,b",
		"PROCURA_PORT=tcp://10.0.0.1:443", "PATH=/bin", "PROCURA_LOG=")
	if c.Database.DSN != "postgres://other" || c.Database.MaxConns != 7 || c.Log.Level != "debug" ||
		c.KeyEncryptionKey != "0123" || c.KeyEncryptionKeyFile != "" ||
		c.Listen != (config.Listen{Public: ":1", MTLS: ":2", Ops: ":3", OpsExposed: true}) ||
		c.Shutdown != (config.Shutdown{Grace: time.Second, DrainDelay: 2 * time.Second}) || c.Fetch.CAFile != "/ca" {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff([]string{"a:1", "b:2"}, c.Fetch.AllowHosts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/a", filepath.Join(dir, "b")}, c.Trust.AnchorsFiles); diff != "" {
		t.Error(diff)
	}
	if c = load(t, "testdata/full.yaml", "PROCURA_DATABASE_DSN_FILE=dsn"); c.Database.DSN != "" || c.Database.DSNFile != filepath.Join(dir, "dsn") {
		t.Errorf("a DSN file does not replace the DSN: %v", c.Database)
	}
	for _, bad := range []string{"PROCURA_DATABASE_MAX_CONNS=hunter2", "PROCURA_SHUTDOWN_GRACE=hunter2", "PROCURA_LISTEN_OPS_EXPOSED=hunter2"} {
		name, _, _ := strings.Cut(bad, "=")
		if _, err := config.Load("testdata/full.yaml", []string{bad}); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	c := load(t, "testdata/full.yaml", "PROCURA_KEY_ENCRYPTION_KEY=hunter2")
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{c.Redacted(), string(asJSON), fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c),
		fmt.Sprintf("%s %q %x", c.Database.DSN, c.Database.DSN, c.Database.DSN)} {
		if strings.Contains(out, "hunter2") || strings.Contains(out, "68756e74657232") {
			t.Errorf("a secret in %s", out)
		}
	}
	if !strings.Contains(c.Redacted(), "[redacted]") || !strings.Contains(c.Redacted(), "https://auth.bank.example") {
		t.Errorf("%s", c.Redacted())
	}
	again := load(t, write(t, "again.yaml", c.Redacted()))
	if again.Listen != c.Listen || again.Shutdown != c.Shutdown || again.KeyRetireAfter != c.KeyRetireAfter {
		t.Errorf("what is printed does not read back: %s", c.Redacted())
	}
}

// Problems come all at once, each with the next step (golden).
func TestValidateTellsEverything(t *testing.T) {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]config.Config{
		"empty": load(t, write(t, "c.yaml", "")),
		"wrong": load(t, "testdata/wrong.yaml"),
	} {
		golden := "testdata/" + name + ".problems"
		err := c.Validate()
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "DIR/") + "\n"
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// good writes a whole configuration that has no problem.
func good(t *testing.T) config.Config {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pair := func(name string, key any, public any) config.Certificate {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return config.Certificate{
			CertFile: put(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
			KeyFile:  put(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})),
		}
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, "testdata/full.yaml")
	c.TLS.Certificates = []config.Certificate{pair("rsa", r, r.Public()), pair("ec", e, e.Public())}
	c.KeyEncryptionKeyFile = put("kek", []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n"))
	c.Trust = config.Trust{AnchorsFiles: []string{c.TLS.Certificates[0].CertFile}}
	c.Fetch.CAFile = c.TLS.Certificates[1].CertFile
	c.Issuers[0].Login.JWKSFile = put("login.jwks", []byte(`{"keys":[]}`))
	c.Issuers[0].Brand.LogoFile = ""
	return c
}

func TestGoodConfiguration(t *testing.T) {
	c := good(t)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	certs, err := c.TLS.Load()
	if err != nil || len(certs) != 2 {
		t.Fatal(certs, err)
	}
	if _, isEC := certs[0].Leaf.PublicKey.(*ecdsa.PublicKey); !isEC {
		t.Error("the ECDSA certificate does not come first")
	}
	if anchors, between, err := c.Trust.Load(); err != nil || len(anchors) != 1 || len(between) != 0 {
		t.Error(anchors, between, err)
	}
	if pool, err := c.Fetch.Roots(); err != nil || pool == nil {
		t.Error(pool, err)
	}
	if keys, err := c.Issuers[0].Login.Keys(); err != nil || string(keys) != `{"keys":[]}` {
		t.Error(string(keys), err)
	}
	if logo, err := c.Issuers[0].Brand.Logo(); err != nil || logo != nil {
		t.Error(logo, err)
	}
}

// Each change makes exactly the problem that it names.
func TestValidateOneByOne(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*config.Config)
		where string
	}{
		"no login provider":      {func(c *config.Config) { c.Issuers[0].Login = config.Login{} }, "issuers[0].login"},
		"no RSA certificate":     {func(c *config.Config) { c.TLS.Certificates = c.TLS.Certificates[1:] }, "tls.certificates"},
		"mTLS at the same place": {func(c *config.Config) { c.Issuers[0].MTLSBase = c.Issuers[0].URL + "/mtls" }, "issuers[0].mtls_base"},
		"query in the issuer":    {func(c *config.Config) { c.Issuers[0].URL += "?x" }, "issuers[0].url"},
		"upper case":             {func(c *config.Config) { c.Issuers[0].URL = "https://Auth.bank.example" }, "issuers[0].url"},
		"issuer twice": {func(c *config.Config) {
			again := c.Issuers[0]
			again.MTLSBase = "https://m2.bank.example"
			c.Issuers = append(c.Issuers, again)
		}, "issuers[1]"},
		"ops exposed":    {func(c *config.Config) { c.Listen.Ops = ":9448" }, "listen.ops"},
		"both DSNs":      {func(c *config.Config) { c.Database.DSNFile = "x" }, "database"},
		"empty DSN file": {func(c *config.Config) { c.Database = config.Database{DSNFile: os.DevNull, MaxConns: 9} }, "database.dsn_file"},
		"keys over http": {func(c *config.Config) {
			c.Issuers[0].Login.JWKSFile, c.Issuers[0].Login.JWKSURI = "", "http://login.bank.example/jwks"
		}, "issuers[0].login.jwks_uri"},
		"key in the trust file": {func(c *config.Config) { c.Trust.AnchorsFiles = []string{c.TLS.Certificates[0].KeyFile} }, "trust"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good(t)
			c.spoil(&cfg)
			var problems config.Problems
			if err := cfg.Validate(); !errors.As(err, &problems) || len(problems) != 1 || problems[0].Where != c.where {
				t.Errorf("%v, want one at %s", err, c.where)
			}
		})
	}
	for name, allow := range map[string]func(*config.Config){
		"TLS 1.3 alone is decided": func(c *config.Config) { c.TLS.Certificates, c.TLS.OnlyTLS13 = c.TLS.Certificates[1:], true },
		"ops exposed on purpose":   func(c *config.Config) { c.Listen.Ops, c.Listen.OpsExposed = ":9448", true },
		"ports of the system":      func(c *config.Config) { c.Listen.Public, c.Listen.MTLS = "127.0.0.1:0", "127.0.0.1:0" },
	} {
		cfg := good(t)
		allow(&cfg)
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A command asks only for what it needs.
func TestValidateParts(t *testing.T) {
	c := load(t, write(t, "c.yaml", "database: {dsn: postgres://x}\n"))
	if err := c.Validate(config.ForDatabase); err != nil {
		t.Error(err)
	}
	for _, p := range []config.Part{config.ForKeys, config.ForIssuers, config.ForServing} {
		if err := c.Validate(config.ForDatabase, p); err == nil {
			t.Errorf("part %d: accepted", p)
		}
	}
}

func TestKEK(t *testing.T) {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i) + 0xe0
	}
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"base64":        {base64.StdEncoding.EncodeToString(key) + "\n", true},
		"base64url":     {base64.RawURLEncoding.EncodeToString(key), true},
		"hexadecimal":   {hex.EncodeToString(key), true},
		"too short":     {base64.StdEncoding.EncodeToString(key[:31]), false},
		"too long":      {hex.EncodeToString(append(key, 1)), false},
		"raw":           {string(key), false},
		"empty":         {"", false},
		"two of them":   {hex.EncodeToString(key) + "\n" + hex.EncodeToString(key), false},
		"a pass phrase": {"correct horse battery staple", false},
	} {
		got, err := config.Config{KeyEncryptionKeyFile: write(t, "kek", c.text)}.KEK()
		if (err == nil) != c.ok || c.ok && string(got) != string(key) {
			t.Errorf("%s: %x %v", name, got, err)
		}
		if err != nil && c.text != "" && strings.Contains(err.Error(), strings.TrimSpace(c.text)) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	if got, err := (config.Config{KeyEncryptionKey: config.Secret(hex.EncodeToString(key))}).KEK(); err != nil || string(got) != string(key) {
		t.Errorf("from the environment: %v", err)
	}
}
