package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/profile"
)

// clientsCmd is about registered clients.
type clientsCmd struct {
	Import  clientsImportCmd  `cmd:"" help:"Register clients from a file, or change them."`
	List    clientsListCmd    `cmd:"" help:"List clients."`
	Show    clientsShowCmd    `cmd:"" help:"Show one client's registration as JSON."`
	Disable clientsDisableCmd `cmd:"" help:"Make a client unknown and its tokens worthless."`
}

type clientsImportCmd struct {
	ofIssuer
	acting
	File string `arg:"" help:"JSON file: one client or a list of clients; - reads standard input." placeholder:"FILE"`
}

// Help implements kong.HelpProvider.
func (clientsImportCmd) Help() string {
	return `The file holds the member names of RFC 7591 plus client_id and profile. All clients of the
file are stored or none. A client that exists is replaced; a disabled one stays disabled.

Example: procura clients import --config procura.yaml clients.json

  [{"client_id": "tpp-1", "profile": "fapi1-advanced", "client_name": "Budget App",
    "redirect_uris": ["https://app.example/callback"], "response_types": ["code id_token"],
    "grant_types": ["authorization_code", "refresh_token"], "scope": "openid accounts",
    "token_endpoint_auth_method": "private_key_jwt",
    "tls_client_certificate_bound_access_tokens": true,
    "jwks_uri": "https://keys.directory.example/tpp-1.jwks"}]`
}

// Run implements the command.
func (c clientsImportCmd) Run(w *world) error {
	raw, err := c.read()
	if err != nil {
		return usage{err}
	}
	list, err := readRegistrations(raw)
	if err != nil {
		return usage{fmt.Errorf("%s: %w", c.File, err)}
	}
	cfg, issuer, db, err := c.open(w)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := checkSectors(w, cfg, list); err != nil {
		return err
	}
	if err := db.PutClients(w.ctx, issuer, list, c.name(), w.now()); err != nil {
		return err
	}
	for _, one := range list {
		fmt.Fprintf(w.stdout, "imported %s\n", one.ID)
	}
	return nil
}

func (c clientsImportCmd) read() ([]byte, error) {
	in := io.Reader(os.Stdin)
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxImport+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", c.File, err)
	}
	if len(raw) > maxImport {
		return nil, fmt.Errorf("%s is larger than %d MiB", c.File, maxImport>>20)
	}
	return raw, nil
}

type clientsListCmd struct{ ofIssuer }

// Help implements kong.HelpProvider.
func (clientsListCmd) Help() string { return `Example: procura clients list --config procura.yaml` }

// Run implements the command.
func (c clientsListCmd) Run(w *world) error {
	_, issuer, db, err := c.open(w)
	if err != nil {
		return err
	}
	defer db.Close()
	list, err := db.ListClients(w.ctx, issuer)
	if err != nil {
		return err
	}
	return table(w.stdout, []string{"CLIENT", "NAME", "PROFILE", "METHOD", "STATE"}, list, func(c *fapi.Client) []any {
		return []any{c.ID, word(c.Name), c.Profile, c.AuthMethod, state(c)}
	})
}

type clientsShowCmd struct {
	ofIssuer
	ID string `arg:"" name:"client" help:"Client id."`
}

// Help implements kong.HelpProvider.
func (clientsShowCmd) Help() string {
	return `Prints what clients import takes.

Example: procura clients show --config procura.yaml tpp-1`
}

// Run implements the command.
func (c clientsShowCmd) Run(w *world) error {
	_, issuer, db, err := c.open(w)
	if err != nil {
		return err
	}
	defer db.Close()
	client, err := db.ReadClient(w.ctx, issuer, c.ID)
	if err != nil {
		return naming(c.ID, issuer, err)
	}
	if client.Disabled {
		fmt.Fprintf(w.stderr, "%s is disabled\n", client.ID)
	}
	enc := json.NewEncoder(w.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(client); err != nil {
		return fmt.Errorf("printing the client: %w", err)
	}
	return nil
}

type clientsDisableCmd struct {
	ofIssuer
	acting
	ID string `arg:"" name:"client" help:"Client id."`
}

// Help implements kong.HelpProvider.
func (clientsDisableCmd) Help() string {
	return `Within a second no server answers the client any more, and resource servers that follow the
revocation feed refuse its access tokens.

Example: procura clients disable --config procura.yaml tpp-1`
}

// Run implements the command.
func (c clientsDisableCmd) Run(w *world) error {
	_, issuer, db, err := c.open(w)
	if err != nil {
		return err
	}
	defer db.Close()
	client, err := db.ReadClient(w.ctx, issuer, c.ID)
	if err != nil {
		return naming(c.ID, issuer, err)
	}
	now := w.now()
	if err := db.DisableClient(w.ctx, issuer, c.ID, c.name(), now, now.Add(tokenLife(client))); err != nil {
		return naming(c.ID, issuer, err)
	}
	fmt.Fprintf(w.stdout, "disabled %s\n", c.ID)
	return nil
}

// tokenLife is how long the feed must speak of a client: as long as its longest
// access token, and skew. A client that no rule covers any more may have been
// issued tokens under rules that this build does not know: a day.
func tokenLife(c *fapi.Client) time.Duration {
	rules, err := profile.Resolve(c)
	if err != nil {
		return 24 * time.Hour
	}
	return rules.AccessLife + fapi.ClockSkew
}

// naming says which client was not found, and where.
func naming(id, issuer string, err error) error {
	if errors.Is(err, fapi.ErrNotFound) {
		return fmt.Errorf("client %q is not registered at %s", id, issuer)
	}
	return err
}

func state(c *fapi.Client) string {
	switch {
	case c.Disabled:
		return "disabled"
	case c.IsResourceServer():
		return "resource server"
	}
	return "active"
}

// word keeps a name that somebody else chose on its line of a terminal.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
