package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/pgtest"
	"github.com/procura/procura/migrations"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// desk is an operator's: a folder with a configuration, and a database.
type desk struct {
	t      *testing.T
	config string
	now    time.Time
}

const issuer = "https://auth.bank.example"

func newDesk(t *testing.T, dsn string, issuers ...string) *desk {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("issuers:\n")
	for _, i := range issuers {
		fmt.Fprintf(&b, "  - {url: %q, mtls_base: %q, audience: https://api.bank.example}\n", i, strings.Replace(i, "auth", "mtls", 1))
	}
	fmt.Fprintf(&b, "database: {dsn: %q}\nkey_encryption_key_file: kek\n", dsn)
	d := &desk{t: t, config: filepath.Join(dir, "procura.yaml"), now: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}
	d.put("procura.yaml", b.String())
	kek := make([]byte, 32)
	if _, err := rand.Read(kek); err != nil {
		t.Fatal(err)
	}
	d.put("kek", base64.StdEncoding.EncodeToString(kek))
	return d
}

func (d *desk) put(name, content string) string {
	d.t.Helper()
	path := filepath.Join(filepath.Dir(d.config), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// call runs a command as typed; CONFIG stands for the configuration file.
func (d *desk) call(args ...string) (int, string, string) {
	d.t.Helper()
	var out, errs bytes.Buffer
	w := &world{ctx: d.t.Context(), stdout: &out, stderr: &errs, now: func() time.Time { return d.now }}
	for i := range args {
		args[i] = strings.Replace(args[i], "CONFIG", d.config, 1)
	}
	code := run(w, args, func(int) {})
	return code, out.String(), errs.String()
}

// must is call for a command that has to succeed.
func (d *desk) must(args ...string) string {
	d.t.Helper()
	code, out, errs := d.call(args...)
	if code != 0 {
		d.t.Fatalf("%q: exit %d: %s", args, code, errs)
	}
	return out
}

func TestEveryCommandHasAnExample(t *testing.T) {
	d := newDesk(t, "postgres://unused", issuer)
	for _, command := range []string{"serve", "migrate up", "migrate status", "migrate print", "keys list", "keys rotate",
		"clients import", "clients list", "clients show", "clients disable", "version"} {
		_, out, _ := d.call(append(strings.Fields(command), "--help")...)
		if !strings.Contains(out, "Example: ") || !strings.Contains(out, "procura "+command) || !strings.Contains(out, "--config") {
			t.Errorf("%s --help: %s", command, out)
		}
	}
}

func TestUsage(t *testing.T) {
	d := newDesk(t, "postgres://procura:hunter2@127.0.0.1:1/x", issuer, "https://auth.other.example")
	bad := d.put("bad.yaml", "database:\n  dsn: hunter2\n  max_con: 1\n")
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no command":           {nil, 2, "expected one of"},
		"unknown command":      {[]string{"frobnicate"}, 2, "unexpected argument"},
		"no configuration":     {[]string{"serve"}, 2, "--config"},
		"missing file":         {[]string{"serve", "--config", "/nowhere.yaml"}, 2, "/nowhere.yaml"},
		"misspelt key":         {[]string{"migrate", "up", "--config", bad}, 2, "bad.yaml:3:3"},
		"no login provider":    {[]string{"serve", "--config", "CONFIG"}, 2, "there is no login provider"},
		"which issuer":         {[]string{"clients", "list", "--config", "CONFIG"}, 2, "--issuer"},
		"unknown issuer":       {[]string{"clients", "list", "--config", "CONFIG", "--issuer", "https://x"}, 2, "is not configured"},
		"database is away":     {[]string{"clients", "list", "--config", "CONFIG", "--issuer", issuer}, 1, "connecting to the database"},
		"no file to import":    {[]string{"clients", "import", "--config", "CONFIG", "/nowhere.json"}, 2, "/nowhere.json"},
		"migrating without it": {[]string{"migrate", "status", "--config", "CONFIG"}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := d.call(c.args...)
			if code != c.code || !strings.Contains(errs, c.want) {
				t.Errorf("exit %d, want %d: %s", code, c.code, errs)
			}
			if strings.Contains(out+errs, "hunter2") {
				t.Errorf("the password was printed: %s%s", out, errs)
			}
		})
	}
}

func TestServePrintsItsConfiguration(t *testing.T) {
	d := newDesk(t, "postgres://procura:hunter2@db/procura", issuer)
	_, out, errs := d.call("serve", "--config", "CONFIG", "--print-config")
	if !strings.Contains(out, issuer) || !strings.Contains(out, "[redacted]") || strings.Contains(out+errs, "hunter2") {
		t.Errorf("%s%s", out, errs)
	}
	if !strings.Contains(errs, "tls.certificates") {
		t.Errorf("the problems are not told: %s", errs)
	}
}

func TestVersionAndPrint(t *testing.T) {
	d := newDesk(t, "postgres://unused", issuer)
	if out := d.must("version"); !strings.Contains(out, fmt.Sprintf("schema %d\n", migrations.Latest)) {
		t.Error(out)
	}
	if out := d.must("migrate", "print", "--serving-role", `proc"ura`); !strings.Contains(out, "CREATE TABLE") || !strings.Contains(out, `TO "proc""ura";`) {
		t.Errorf("%.300s", out)
	}
}

func TestMigrate(t *testing.T) {
	d := newDesk(t, pgtest.NewEmptyDSN(t), issuer)
	if code, _, errs := d.call("clients", "list", "--config", "CONFIG"); code != 1 || !strings.Contains(errs, "procura migrate up") {
		t.Errorf("an empty database: %d %s", code, errs)
	}
	if code, out, errs := d.call("migrate", "status", "--config", "CONFIG"); code != 1 || !strings.Contains(out, "pending") || !strings.Contains(errs, "are pending") {
		t.Errorf("status before: %d %s%s", code, out, errs)
	}
	if out := d.must("migrate", "up", "--config", "CONFIG"); !strings.Contains(out, "applied 0001_") {
		t.Error(out)
	}
	if out := d.must("migrate", "up", "--config", "CONFIG"); strings.Contains(out, "applied") {
		t.Errorf("again: %s", out)
	}
	if out := d.must("migrate", "status", "--config", "CONFIG"); strings.Contains(out, "pending") {
		t.Errorf("status after: %s", out)
	}
}

func TestKeys(t *testing.T) {
	d := newDesk(t, pgtest.NewDSN(t), issuer)
	if out := d.must("keys", "list", "--config", "CONFIG"); !strings.Contains(out, "no keys yet") {
		t.Error(out)
	}
	first := d.must("keys", "rotate", "--config", "CONFIG", "--actor", "alice")
	d.now = d.now.Add(time.Hour)
	second := d.must("keys", "rotate", "--config", "CONFIG")
	if second != d.must("keys", "list", "--config", "CONFIG") {
		t.Error("rotate prints something else than list")
	}
	before, after := states(first), states(second)
	for _, all := range []map[string]string{before, after} {
		count := map[string]int{}
		for _, state := range all {
			count[state]++
		}
		if count["next"] != 2 || count["current"] != 4 {
			t.Errorf("%v", count)
		}
	}
	for kid, state := range before {
		if want := map[string]string{"next": "current", "current": "retired", "retired": "retired"}[state]; after[kid] != want {
			t.Errorf("%s %s became %s", state, kid, after[kid])
		}
	}
	if !strings.Contains(second, d.now.Add(24*time.Hour).Format(time.RFC3339)) {
		t.Errorf("no retirement a day ahead:\n%s", second)
	}
	if _, _, errs := d.call("keys", "rotate", "--config", "CONFIG"); !strings.Contains(errs, "just been published") {
		t.Errorf("no warning about a hasty rotation: %s", errs)
	}
	d.put("kek", base64.StdEncoding.EncodeToString(make([]byte, 32)))
	if code, _, _ := d.call("keys", "rotate", "--config", "CONFIG"); code == 0 {
		t.Error("another key encryption key was accepted")
	}
}

// states reads what keys list prints: kid to state.
func states(table string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 3 && f[0] != "KID" {
			out[f[0]] = f[3]
		}
	}
	return out
}

// registration is a client that nothing is wrong with.
func registration(t *testing.T) map[string]any {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := jose.PublicJWK("k1", "sig", jose.ES256, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"client_id": "tpp-1", "profile": "fapi1-advanced", "client_name": "Budget\x1b[31m Owl",
		"redirect_uris": []string{"https://app.example/cb"}, "response_types": []string{"code id_token"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "scope": "openid accounts",
		"token_endpoint_auth_method": "private_key_jwt", "tls_client_certificate_bound_access_tokens": true,
		"jwks": map[string]any{"keys": []json.RawMessage{jwk}},
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestClients(t *testing.T) {
	d := newDesk(t, pgtest.NewDSN(t), issuer)
	first, second := registration(t), registration(t)
	second["client_id"] = "tpp-2"
	file := d.put("clients.json", encode(t, []any{first, second}))
	if out := d.must("clients", "import", "--config", "CONFIG", file); out != "imported tpp-1\nimported tpp-2\n" {
		t.Error(out)
	}
	if out := d.must("clients", "list", "--config", "CONFIG"); strings.Count(out, "active") != 2 || strings.ContainsRune(out, 0x1b) {
		t.Errorf("%q", out)
	}
	shown := d.must("clients", "show", "--config", "CONFIG", "tpp-1")
	again := d.put("again.json", shown)
	d.must("clients", "import", "--config", "CONFIG", again)
	if out := d.must("clients", "show", "--config", "CONFIG", "tpp-1"); out != shown {
		t.Errorf("what is shown does not import to the same:\n%s\n%s", shown, out)
	}
	d.must("clients", "disable", "--config", "CONFIG", "tpp-1", "--actor", "alice")
	d.must("clients", "import", "--config", "CONFIG", file)
	if out := d.must("clients", "list", "--config", "CONFIG"); strings.Count(out, "disabled") != 1 || strings.Count(out, "active") != 1 {
		t.Errorf("an import brought a disabled client back: %s", out)
	}
	for _, command := range []string{"show", "disable"} {
		if code, _, errs := d.call("clients", command, "--config", "CONFIG", "nobody"); code != 1 || !strings.Contains(errs, "is not registered at "+issuer) {
			t.Errorf("%s of nobody: %d %s", command, code, errs)
		}
	}
}

// Acts leave rows in the audit trail and in the feed.
func TestActsAreRecorded(t *testing.T) {
	dsn := pgtest.NewDSN(t)
	d := newDesk(t, dsn, issuer)
	file := d.put("clients.json", encode(t, registration(t)))
	d.must("clients", "import", "--config", "CONFIG", file, "--actor", "alice")
	d.must("clients", "disable", "--config", "CONFIG", "tpp-1", "--actor", "bob")
	db := pgtest.Open(t, dsn, 2)
	rows, err := db.ListAudit(context.Background(), issuer, 10)
	if err != nil {
		t.Fatal(err)
	}
	actors := map[string]string{}
	for _, r := range rows {
		actors[r.Act] = r.Actor
	}
	if actors["client.put"] != "alice" || actors["client.disabled"] != "bob" {
		t.Errorf("%v", actors)
	}
	changes, err := db.ChangesSince(context.Background(), issuer, d.now.Add(-time.Hour), d.now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if c.Kind == fapi.ChangeClient && c.Revoked && c.Value == "tpp-1" {
			if until := c.ExpiresAt.Sub(d.now); until < 10*time.Minute {
				t.Errorf("the feed forgets the client after %s, before its tokens end", until)
			}
			return
		}
	}
	t.Errorf("the feed does not know: %v", changes)
}

// Each registration has one thing wrong; nothing of the file is stored.
func TestImportRefuses(t *testing.T) {
	d := newDesk(t, pgtest.NewDSN(t), issuer)
	set := func(name string, v any) func(map[string]any) { return func(c map[string]any) { c[name] = v } }
	drop := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	for name, c := range map[string]struct {
		spoil func(map[string]any)
		want  string
	}{
		"misspelt member":       {set("redirect_uri", "https://app.example/cb"), "redirect_uri"},
		"unknown profile":       {set("profile", "fapi3"), "is not known"},
		"unknown ecosystem":     {set("ecosystem", "xx"), "ecosystem"},
		"no id":                 {set("client_id", ""), "client_id"},
		"id with a space":       {set("client_id", "a b"), "client_id"},
		"secret authentication": {set("token_endpoint_auth_method", "client_secret_basic"), "token_endpoint_auth_method"},
		"no keys":               {drop("jwks"), "jwks"},
		"keys twice":            {set("jwks_uri", "https://app.example/jwks"), "exclude"},
		"private key":           {set("jwks", map[string]any{"keys": []any{map[string]any{"kty": "oct", "k": "AAAA"}}}), "jwks"},
		"keys over http":        {func(c map[string]any) { delete(c, "jwks"); c["jwks_uri"] = "http://app.example" }, "jwks_uri"},
		"no subject":            {set("token_endpoint_auth_method", "tls_client_auth"), "exactly one"},
		"two subjects": {func(c map[string]any) {
			c["token_endpoint_auth_method"], c["tls_client_auth_subject_dn"], c["tls_client_auth_san_dns"] = "tls_client_auth", "CN=a", "a.example"
		}, "exactly one"},
		"tokens not bound":          {drop("tls_client_certificate_bound_access_tokens"), "tls_client_certificate_bound"},
		"unknown grant":             {set("grant_types", []string{"password"}), "grant type"},
		"no grant":                  {drop("grant_types"), "grant_types"},
		"implicit":                  {set("response_types", []string{"id_token token"}), "response type"},
		"no response type":          {drop("response_types"), "response_types"},
		"no redirect URI":           {drop("redirect_uris"), "redirect_uris"},
		"http redirect":             {set("redirect_uris", []string{"http://app.example/cb"}), "redirect URI"},
		"redirect with fragment":    {set("redirect_uris", []string{"https://app.example/cb#x"}), "redirect URI"},
		"redirect with user":        {set("redirect_uris", []string{"https://a@app.example/cb"}), "redirect URI"},
		"redirect that is a script": {set("redirect_uris", []string{"javascript:alert(1)"}), "redirect URI"},
		"several sectors":           {set("redirect_uris", []string{"https://a.example/cb", "https://b.example/cb"}), "sector_identifier_uri"},
		"RS256":                     {set("id_token_signed_response_alg", "RS256"), "id_token_signed_response_alg"},
		"alg none":                  {set("request_object_signing_alg", "none"), "request_object_signing_alg"},
		"RSA1_5": {func(c map[string]any) {
			c["id_token_encrypted_response_alg"], c["id_token_encrypted_response_enc"] = "RSA1_5", "A256GCM"
		}, "id_token_encrypted_response"},
		"encryption half named": {set("authorization_encrypted_response_alg", "RSA-OAEP-256"), "authorization_encrypted_response"},
	} {
		t.Run(name, func(t *testing.T) {
			good, bad := registration(t), registration(t)
			good["client_id"] = "good"
			c.spoil(bad)
			file := d.put("clients.json", encode(t, []any{good, bad}))
			code, _, errs := d.call("clients", "import", "--config", "CONFIG", file)
			if code != 2 || !strings.Contains(errs, c.want) {
				t.Errorf("exit %d: %s, want %s", code, errs, c.want)
			}
		})
	}
	for name, content := range map[string]string{
		"not JSON": "clients", "empty list": "[]", "null": "null", "member twice": `{"client_id":"a","client_id":"b"}`,
		"same client twice": encode(t, []any{registration(t), registration(t)}),
	} {
		file := d.put("clients.json", content)
		if code, _, errs := d.call("clients", "import", "--config", "CONFIG", file); code != 2 {
			t.Errorf("%s: exit %d: %s", name, code, errs)
		}
	}
	if out := d.must("clients", "list", "--config", "CONFIG"); strings.Contains(out, "good") {
		t.Errorf("something of a refused file was stored: %s", out)
	}
}

// A resource server needs neither grants nor bound tokens.
func TestImportOfAResourceServer(t *testing.T) {
	d := newDesk(t, pgtest.NewDSN(t), issuer)
	file := d.put("rs.json", `{"client_id":"rs-1","profile":"fapi1-advanced","token_endpoint_auth_method":"tls_client_auth",
		"tls_client_auth_san_dns":"api.bank.example","resource_server_audience":"https://api.bank.example"}`)
	d.must("clients", "import", "--config", "CONFIG", file)
	if out := d.must("clients", "list", "--config", "CONFIG"); !strings.Contains(out, "resource server") {
		t.Error(out)
	}
}
