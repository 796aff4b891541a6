package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/procura/procura/internal/config"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/keys"
	"github.com/procura/procura/storage"
)

// keysCmd is about an issuer's keys.
type keysCmd struct {
	List   keysListCmd   `cmd:"" help:"List keys with their state; never their private halves."`
	Rotate keysRotateCmd `cmd:"" help:"Put the next keys in the place of the current ones."`
}

type keysListCmd struct{ ofIssuer }

// Help implements kong.HelpProvider.
func (keysListCmd) Help() string {
	return `A next key is published but does not sign yet, a retired one no longer signs but is still
published until the time shown.

Example: procura keys list --config procura.yaml`
}

// Run implements the command.
func (c keysListCmd) Run(w *world) error {
	_, issuer, db, err := c.open(w)
	if err != nil {
		return err
	}
	defer db.Close()
	return printKeys(w, db, issuer)
}

type keysRotateCmd struct {
	ofIssuer
	acting
}

// Help implements kong.HelpProvider.
func (keysRotateCmd) Help() string {
	return `Running servers follow within a second. Old keys stay published for key_retire_after, so
no token is refused; pairwise subjects do not change.

Example: procura keys rotate --config procura.yaml`
}

// Run implements the command.
func (c keysRotateCmd) Run(w *world) error {
	cfg, issuer, db, err := c.open(w, config.ForKeys)
	if err != nil {
		return err
	}
	defer db.Close()
	kek, err := cfg.KEK()
	if err != nil {
		return fmt.Errorf("reading the key encryption key: %w", err)
	}
	ring, err := keys.New(keys.Config{Issuer: issuer, KEK: kek, RetireAfter: cfg.KeyRetireAfter},
		keys.Deps{Store: db, Now: w.now, Rand: rand.Reader})
	if err != nil {
		return err
	}
	if err := ring.Open(w.ctx, c.name()); err != nil {
		return err
	}
	if err := hasty(w, ring); err != nil {
		return err
	}
	if err := ring.Rotate(w.ctx, c.name()); err != nil {
		return err
	}
	return printKeys(w, db, issuer)
}

// jwksAge is how long readers may keep a copy of the key set that lacks a new key.
const jwksAge = 5 * time.Minute

// hasty warns when a key begins to sign before every reader can know it. It does
// not refuse: after a key was stolen, haste is right.
func hasty(w *world, ring *keys.Ring) error {
	list, err := ring.List(w.ctx)
	if err != nil {
		return err
	}
	for _, k := range list {
		if k.State == fapi.KeyNext && w.now().Sub(k.CreatedAt) < jwksAge {
			fmt.Fprintf(w.stderr, "warning: the next keys have just been published; "+
				"readers that keep the key set for %s may refuse what they sign until then\n", jwksAge)
			return nil
		}
	}
	return nil
}

// printKeys needs no key encryption key: it reads what is stored in the open.
func printKeys(w *world, db *storage.DB, issuer string) error {
	list, err := db.ReadKeys(w.ctx, issuer)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		fmt.Fprintf(w.stdout, "%s has no keys yet: the server makes them when it first starts\n", issuer)
		return nil
	}
	return table(w.stdout, []string{"KID", "USE", "ALG", "STATE", "CREATED", "PUBLISHED UNTIL"}, list,
		func(k fapi.SigningKey) []any {
			return []any{k.KID, k.Use, k.Alg, k.State, stamp(k.CreatedAt), stamp(k.RetireAt)}
		})
}

// table prints rows in aligned columns.
func table[T any](out io.Writer, head []string, rows []T, cells func(T) []any) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, h := range head {
		fmt.Fprintf(tw, "%s\t", h)
	}
	fmt.Fprintln(tw)
	for _, row := range rows {
		for _, c := range cells(row) {
			fmt.Fprintf(tw, "%v\t", c)
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
