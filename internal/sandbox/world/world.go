// Package world is sandbox.json: what a running sandbox says of itself to
// scripts, to foreign clients and to its own demo. The file is there when
// everything in it answers and gone when the sandbox has stopped. Read refuses a
// file without an issuer; the package knows no server and no database.
package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// FileName is the file's name in the data dir.
const FileName = "sandbox.json"

// World is the whole file. Paths are relative to the data dir.
type World struct {
	Issuer           string           `json:"issuer"`
	MTLSBase         string           `json:"mtls_issuer_base"`
	ResourceBase     string           `json:"resource_base"`
	ResourceAudience string           `json:"resource_audience"` // aud of access tokens for the bank API
	TPPBase          string           `json:"tpp_base"`
	DirectoryBase    string           `json:"directory_base"`
	PKIBase          string           `json:"pki_base"`
	OpsBase          string           `json:"ops_base"`
	CAFile           string           `json:"ca_file"`     // every certificate of the sandbox chains to it
	ConfigFile       string           `json:"config_file"` // the running server's configuration
	PSUs             []PSU            `json:"psus"`
	Clients          []Client         `json:"clients"`
	ResourceServers  []ResourceServer `json:"resource_servers"`
	SSAs             []SSA            `json:"ssas"`

	dir string
}

// PSU is a payment service user: a customer of the demo bank.
type PSU struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// Client is one registered client with what its owner holds.
type Client struct {
	ID               string   `json:"client_id"`
	Profile          string   `json:"profile"`
	Ecosystem        string   `json:"ecosystem,omitempty"`
	AuthMethod       string   `json:"token_endpoint_auth_method"`
	SenderConstraint string   `json:"sender_constraint"` // mtls, dpop or none
	ClientSecret     string   `json:"client_secret,omitempty"`
	SigningKeyFile   string   `json:"signing_key_file,omitempty"` // private JWK
	CertFile         string   `json:"cert_file,omitempty"`
	KeyFile          string   `json:"key_file,omitempty"`
	RedirectURIs     []string `json:"redirect_uris"`
	Scope            string   `json:"scope"`
	Roles            []string `json:"roles,omitempty"`
}

// ResourceServer is an API's own client, with which it asks about tokens.
type ResourceServer struct {
	ID             string `json:"client_id"`
	AuthMethod     string `json:"token_endpoint_auth_method"`
	SigningKeyFile string `json:"signing_key_file,omitempty"`
	CertFile       string `json:"cert_file,omitempty"`
	KeyFile        string `json:"key_file,omitempty"`
}

// SSA is a software statement with the keys of the software that it speaks of.
type SSA struct {
	SoftwareID     string   `json:"software_id"`
	SSAFile        string   `json:"ssa_file"`
	CertFile       string   `json:"cert_file"`
	KeyFile        string   `json:"key_file"`
	SigningKeyFile string   `json:"signing_key_file"`
	RedirectURIs   []string `json:"redirect_uris"`
}

// Read reads the file in dir. A missing file means that no sandbox runs on dir.
func Read(dir string) (*World, error) {
	raw, err := os.ReadFile(filepath.Join(dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no sandbox runs on %s: start one with \"procura-sandbox up --data-dir %s\" and wait for its greeting", dir, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", FileName, err)
	}
	w := &World{dir: dir}
	if err := json.Unmarshal(raw, w); err != nil {
		return nil, fmt.Errorf("parsing %s: %w", FileName, err)
	}
	if w.Issuer == "" {
		return nil, fmt.Errorf("parsing %s: no issuer in it", FileName)
	}
	return w, nil
}

// Write puts the file into dir in one step: nobody sees half of it.
func (w *World) Write(dir string) error {
	full := *w
	if full.SSAs == nil {
		full.SSAs = []SSA{}
	}
	raw, err := json.MarshalIndent(&full, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", FileName, err)
	}
	fresh := filepath.Join(dir, FileName+".new")
	if err := os.WriteFile(fresh, append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", FileName, err)
	}
	if err := os.Rename(fresh, filepath.Join(dir, FileName)); err != nil {
		return fmt.Errorf("writing %s: %w", FileName, err)
	}
	return nil
}

// Remove takes the file away; one that is not there is fine.
func Remove(dir string) error {
	err := os.Remove(filepath.Join(dir, FileName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", FileName, err)
	}
	return nil
}

// Path turns a path of the file into one that can be opened.
func (w *World) Path(rel string) string {
	if filepath.IsAbs(rel) {
		return rel
	}
	return filepath.Join(w.dir, rel)
}

// Client returns the client with the given id.
func (w *World) Client(id string) (Client, error) {
	for _, c := range w.Clients {
		if c.ID == id {
			return c, nil
		}
	}
	return Client{}, fmt.Errorf("%s has no client %s", FileName, id)
}
