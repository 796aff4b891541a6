package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"text/template"

	"github.com/procura/procura/internal/sandbox/login"
)

// fileConfig is the running server's configuration, relative to the data dir: the
// same kind of file that "procura serve" reads, so that every operator's command
// works against a running sandbox.
const fileConfig = "procura.yaml"

const configText = `# Written by procura-sandbox at every start; changes are lost.
issuers:
  - url: {{q .Issuer}}
    mtls_base: {{q .MTLSBase}}
    audience: {{q .Audience}}
    login:
      url: {{q .LoginURL}}
      issuer: {{q .LoginIssuer}}
      jwks_file: {{q .LoginKeys}}
    brand:
      name: "Lagoon Connect"
      accent: "#1f4e79"
listen:
  public: {{q .Public}}
  mtls: {{q .MTLS}}
  ops: {{q .Ops}}
tls:
  certificates:
{{- range .Servers}}
    - cert_file: {{q .CertFile}}
      key_file: {{q .KeyFile}}
{{- end}}
database:
  dsn: {{q .DSN}}
key_encryption_key_file: {{q .KEK}}
trust:
  anchors_files: [{{q .Root}}]
  intermediates_files: [{{q .ClientsCA}}]
fetch:
  allow_hosts: [{{q .TPP}}, {{q .Directory}}]
  ca_file: {{q .Root}}
log:
  level: "info"
`

// configValues fills the template; paths are relative to the data dir.
type configValues struct {
	Issuer, MTLSBase, Audience       string
	LoginURL, LoginIssuer, LoginKeys string
	Public, MTLS, Ops                string
	Servers                          []certFiles
	DSN, KEK                         string
	Root, ClientsCA                  string
	TPP, Directory                   string
}

type certFiles struct{ CertFile, KeyFile string }

// writeConfig writes the configuration of the server at the given ports.
func writeConfig(dir string, at ports, dsn string, servers ...pair) error {
	v := configValues{
		Issuer: at.url(offsetIssuer), MTLSBase: at.url(offsetMTLS), Audience: at.url(offsetResource),
		LoginURL: at.url(offsetLogin) + login.Path, LoginIssuer: at.url(offsetLogin), LoginKeys: fileLoginSet,
		Public: at.listen(offsetIssuer), MTLS: at.listen(offsetMTLS), Ops: at.listen(offsetOps),
		DSN: dsn, KEK: fileKEK, Root: fileRoot, ClientsCA: fileClientsCA,
		TPP: at.host(offsetTPP), Directory: at.host(offsetDirectory),
	}
	for _, s := range servers {
		v.Servers = append(v.Servers, certFiles{s.certFile, s.keyFile})
	}
	t, err := template.New(fileConfig).Funcs(template.FuncMap{"q": quote}).Parse(configText)
	if err != nil {
		return fmt.Errorf("parsing the configuration's template: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, v); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return writeFile(dir, fileConfig, out.Bytes())
}

// quote writes a JSON string, which is a YAML string too.
func quote(s string) (string, error) {
	raw, err := json.Marshal(s)
	return string(raw), err
}
