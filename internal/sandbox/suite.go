package sandbox

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/procura/procura/internal/config"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/sandbox/world"
)

// marker is what every refusal page says, for whoever cannot see.
const marker = "authorization request was refused"

// suiteConfig is the configuration that the suite's runner takes.
type suiteConfig struct {
	Alias       string                    `json:"alias"`
	Description string                    `json:"description"`
	Server      map[string]string         `json:"server"`
	Client      suiteClient               `json:"client"`
	Client2     suiteClient               `json:"client2"`
	MTLS        suiteCert                 `json:"mtls"`
	MTLS2       suiteCert                 `json:"mtls2"`
	Resource    map[string]string         `json:"resource"`
	Options     map[string]bool           `json:"options"`
	Browser     []suiteEntry              `json:"browser"`
	Override    map[string]map[string]any `json:"override"`
}

type suiteClient struct {
	ID    string                       `json:"client_id"`
	Scope string                       `json:"scope"`
	JWKS  map[string][]json.RawMessage `json:"jwks"`
}

type suiteCert struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
	CA   string `json:"ca"`
}

// suiteEntry is what the suite's browser does at an address; suiteTask is one
// page of it.
type suiteEntry struct {
	Match string      `json:"match"`
	Limit int         `json:"match-limit,omitempty"`
	Tasks []suiteTask `json:"tasks"`
}

type suiteTask struct {
	Task     string  `json:"task"`
	Match    string  `json:"match"`
	Optional bool    `json:"optional,omitempty"`
	Commands [][]any `json:"commands"`
}

// suite writes the plan's configuration.
func (p plan) suite(w *world.World, conf config.Config, pairs []candidate, keys *pki) (*suiteConfig, error) {
	certs := make([]suiteCert, len(pairs))
	for i, c := range pairs {
		var err error
		if certs[i], err = suiteCertOf(keys, c.transport); err != nil {
			return nil, err
		}
	}
	stage, err := newStage(w, conf, pairs[0].record.RedirectURIs[0])
	if err != nil {
		return nil, err
	}
	return &suiteConfig{
		Alias: p.alias(), Description: "Procura sandbox, " + p.alias(),
		Server: map[string]string{"discoveryUrl": w.Issuer + "/.well-known/openid-configuration"},
		Client: pairs[0].suite(), Client2: pairs[1].suite(), MTLS: certs[0], MTLS2: certs[1],
		Resource: p.resource(w), Options: map[string]bool{"browsercontrol_css_enable": false},
		Browser: stage.entries(stage.agree()...), Override: stage.overrides(),
	}, nil
}

// resource is userinfo, or the bank's API behind the gateway for the UK profile,
// which lodges a consent there first.
func (p plan) resource(w *world.World) map[string]string {
	if p.uk {
		return map[string]string{"resourceUrl": w.ResourceBase + "/open-banking/v3.1/aisp/"}
	}
	return map[string]string{"resourceUrl": w.MTLSBase + fapi.PathUserinfo}
}

func (c candidate) suite() suiteClient {
	return suiteClient{ID: c.record.ID, Scope: c.record.Scope, JWKS: map[string][]json.RawMessage{"keys": {c.key}}}
}

func suiteCertOf(keys *pki, files pair) (suiteCert, error) {
	chain, err := keys.load509(files)
	if err != nil {
		return suiteCert{}, fmt.Errorf("reading the client's certificate: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(keys.dir, files.keyFile))
	if err != nil {
		return suiteCert{}, fmt.Errorf("reading the client's key: %w", err)
	}
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain.Certificate[0]})
	return suiteCert{Cert: string(leaf), Key: string(key), CA: string(keys.clients.IssuerPEM())}, nil
}

// stage knows the pages that the suite's browser meets.
type stage struct {
	issuer, login, home string
	customer            world.PSU
}

func newStage(w *world.World, conf config.Config, home string) (stage, error) {
	at, err := url.Parse(conf.Issuers[0].Login.URL)
	if err != nil || len(w.PSUs) == 0 {
		return stage{}, fmt.Errorf("the sandbox has no login application or no customer")
	}
	return stage{issuer: w.Issuer, login: at.Scheme + "://" + at.Host, home: home + "*", customer: w.PSUs[0]}, nil
}

// entries says what is done at the authorization endpoint.
func (s stage) entries(tasks ...suiteTask) []suiteEntry {
	return []suiteEntry{{Match: s.issuer + fapi.PathAuthorize + "*", Tasks: tasks}}
}

// agree logs in and consents where asked to, shows a refusal page to whoever
// wants to see one, and otherwise waits for the callback.
func (s stage) agree() []suiteTask { return s.visit("Consent", "submit_button") }

// visit is what a customer does with all the pages that may come; decision is the
// button of the consent page.
func (s stage) visit(name, decision string) []suiteTask {
	return []suiteTask{
		{Task: "Login", Optional: true, Match: s.login + "/*", Commands: [][]any{
			{"text", "id", "username", s.customer.Username}, {"text", "id", "password", s.customer.Password},
			{"click", "id", "submit_button"},
		}},
		{Task: name, Optional: true, Match: s.issuer + fapi.PathConsent + "*", Commands: [][]any{
			{"click", "id", decision},
		}},
		{Task: "Refusal page", Optional: true, Match: s.issuer + "/*", Commands: [][]any{
			{"wait", "xpath", "//*", 10, marker, "update-image-placeholder-optional"},
		}},
		{Task: "Callback", Optional: true, Match: s.home, Commands: [][]any{
			{"wait", "id", "submission_complete", 10},
		}},
	}
}

// overrides are the modules in which the customer does something else.
func (s stage) overrides() map[string]map[string]any {
	const prefix = "fapi1-advanced-final-"
	glance := suiteEntry{Match: s.issuer + fapi.PathAuthorize + "*", Limit: 1, Tasks: []suiteTask{}}
	return map[string]map[string]any{
		prefix + "user-rejects-authentication": {
			"browser": s.entries(s.visit("Refuse", "cancel_button")...),
		},
		// The first visit looks at the login page and leaves.
		prefix + "par-ensure-reused-request-uri-prior-to-auth-completion-succeeds": {
			"browser": append([]suiteEntry{glance}, s.entries(s.agree()...)...),
		},
	}
}
