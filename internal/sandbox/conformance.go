package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/procura/procura/internal/config"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/profile"
	"github.com/procura/procura/internal/sandbox/world"
	"github.com/procura/procura/storage"
)

// ConformanceConfig says which plan of the OpenID conformance suite to prepare
// for.
type ConformanceConfig struct {
	DataDir string
	Plan    string // PLAN[variant=value]...
	Suite   string // base URL of the suite, as redirect URIs name it
	Alg     string // what the plan's clients sign with: PS256 or ES256
	Out     io.Writer
}

// ConformanceDeps are the command's surroundings.
type ConformanceDeps struct {
	Now     func() time.Time
	Environ []string
}

// Conformance registers the two clients that a plan needs in the running sandbox
// and prints the suite's configuration for it. The clients, their keys and
// certificates are kept in the data dir: the same plan gets the same ones again.
// It refuses plans and variants that it does not know.
func Conformance(ctx context.Context, cfg ConformanceConfig, deps ConformanceDeps) error {
	if cfg.DataDir == "" || cfg.Out == nil || cfg.Suite == "" || deps.Now == nil {
		return errors.New("conformance: DataDir, Suite, Out and Now are needed")
	}
	if cfg.Alg != jose.PS256 && cfg.Alg != jose.ES256 {
		return fmt.Errorf("conformance: clients sign with %s or %s, not %q", jose.PS256, jose.ES256, cfg.Alg)
	}
	p, err := parsePlan(cfg.Plan)
	if err != nil {
		return err
	}
	p.alg = cfg.Alg
	w, err := world.Read(cfg.DataDir)
	if err != nil {
		return err
	}
	keys, err := openPKI(cfg.DataDir, deps.Now())
	if err != nil {
		return err
	}
	pairs, err := p.candidates(keys, cfg.Suite)
	if err != nil {
		return err
	}
	conf, err := config.Load(w.Path(w.ConfigFile), deps.Environ)
	if err != nil {
		return err
	}
	if err := enrol(ctx, conf, pairs, deps.Now()); err != nil {
		return fmt.Errorf("registering the plan's clients: %w", err)
	}
	out, err := p.suite(w, conf, pairs, keys)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(cfg.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// enrol stores the clients in the sandbox's database; its server learns of them
// within a second.
func enrol(ctx context.Context, conf config.Config, pairs []candidate, now time.Time) error {
	dsn, err := conf.Database.ConnectionString()
	if err != nil {
		return err
	}
	db, err := storage.Open(ctx, storage.Config{DSN: dsn, MaxConns: 2}, storage.Deps{})
	if err != nil {
		return err
	}
	defer db.Close()
	var records []*fapi.Client
	for _, c := range pairs {
		records = append(records, c.record)
	}
	return db.PutClients(ctx, conf.Issuers[0].URL, records, "sandbox conformance", now)
}

// fapi1Plan is the one plan that is known so far.
const fapi1Plan = "fapi1-advanced-final-test-plan"

// plan is a plan of the suite with its variants.
type plan struct {
	uk, mtls, pushed, jarm bool
	alg                    string
}

// parsePlan reads PLAN[variant=value]...; all four variants must be named.
func parsePlan(text string) (plan, error) {
	var p plan
	list, found := strings.CutPrefix(text, fapi1Plan+"[")
	list, closed := strings.CutSuffix(list, "]")
	if !found || !closed {
		return p, fmt.Errorf("plan %q: only %s is known, followed by [variant=value] for each variant", text, fapi1Plan)
	}
	given := map[string]string{}
	for pair := range strings.SplitSeq(list, "][") {
		name, value, _ := strings.Cut(pair, "=")
		given[name] = value
	}
	for _, v := range []struct {
		name, no, yes string
		set           *bool
	}{
		{"client_auth_type", fapi.AuthPrivateKeyJWT, "mtls", &p.mtls},
		{"fapi_auth_request_method", "by_value", "pushed", &p.pushed},
		{"fapi_response_mode", "plain_response", "jarm", &p.jarm},
		{"fapi_profile", "plain_fapi", "openbanking_uk", &p.uk},
	} {
		if !slices.Contains([]string{v.no, v.yes}, given[v.name]) {
			return p, fmt.Errorf("plan %s: %s must be %s or %s, not %q", fapi1Plan, v.name, v.no, v.yes, given[v.name])
		}
		*v.set = given[v.name] == v.yes
		delete(given, v.name)
	}
	for name := range given {
		return p, fmt.Errorf("plan %s: variant %s is not known", fapi1Plan, name)
	}
	if p.uk && (p.pushed || p.jarm) {
		return p, fmt.Errorf("plan %s: openbanking_uk goes with by_value and plain_response alone", fapi1Plan)
	}
	return p, nil
}

// alias is the suite's name for the plan's run: it stands in redirect URIs and in
// client ids.
func (p plan) alias() string {
	pick := func(yes bool, this, that string) string {
		if yes {
			return this
		}
		return that
	}
	return strings.Join([]string{pick(p.uk, "obuk", "fapi1"), pick(p.mtls, "mtls", "pkj"),
		pick(p.pushed, "par", "value"), pick(p.jarm, "jarm", "plain"), strings.ToLower(p.alg)}, "-")
}

// candidate is one of the two clients of a plan.
type candidate struct {
	record    *fapi.Client
	key       json.RawMessage // private JWK
	transport pair
}

// candidates makes or loads the plan's two clients. Each has exactly one redirect
// URI; the second one's carries a query.
func (p plan) candidates(keys *pki, suite string) ([]candidate, error) {
	home := suite + "/test/a/" + p.alias() + "/callback"
	var all []candidate
	for i, redirect := range []string{home, home + "?dummy1=lorem&dummy2=ipsum"} {
		c, err := p.candidate(keys, fmt.Sprintf("%s-%d", p.alias(), i+1), redirect)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (p plan) candidate(keys *pki, id, redirect string) (candidate, error) {
	dir := "conformance/" + id
	subject := "CN=" + id + ",O=Conformance,C=GB"
	transport, err := keys.client(dir, subject)
	if err != nil {
		return candidate{}, err
	}
	public, err := ensureSigningKey(keys.dir, dir+"/signing.jwk", id+"-sig", p.alg)
	if err != nil {
		return candidate{}, err
	}
	secret, err := os.ReadFile(filepath.Join(keys.dir, dir, "signing.jwk"))
	if err != nil {
		return candidate{}, fmt.Errorf("reading the client's key: %w", err)
	}
	record := &fapi.Client{
		ID: id, Profile: profile.FAPI1Advanced, Name: "Conformance " + id, RedirectURIs: []string{redirect},
		ResponseTypes: []string{"code id_token"}, Scope: tppScope, Roles: []string{"AISP"},
		GrantTypes: []string{fapi.GrantAuthorizationCode, fapi.GrantRefreshToken, fapi.GrantClientCredentials},
		AuthMethod: fapi.AuthPrivateKeyJWT, CertificateBound: true, JWKS: keySet(public),
	}
	if p.jarm {
		record.ResponseTypes = []string{"code"}
	}
	if p.mtls {
		record.AuthMethod, record.TLSSubjectDN = fapi.AuthTLSClient, subject
	}
	if p.uk {
		record.Ecosystem = profile.UKOpenBanking
	}
	return candidate{record: record, key: secret, transport: transport}, nil
}
