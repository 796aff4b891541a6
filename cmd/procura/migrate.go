package main

import (
	"fmt"
	"time"

	"github.com/procura/procura/internal/config"
	"github.com/procura/procura/migrations"
)

// migrateCmd is about the schema.
type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply what is pending."`
	Status migrateStatusCmd `cmd:"" help:"List every migration and when it was applied."`
	Print  migratePrintCmd  `cmd:"" help:"Print the whole schema as one script for psql."`
}

type migrateUpCmd struct{ configured }

// Help implements kong.HelpProvider.
func (migrateUpCmd) Help() string {
	return `Safe to run from several places at once and again: a lease row lets one of them work.
The role in the connection string must own the schema; the server itself does with less
(see migrate print --serving-role).

Example: PROCURA_DATABASE_DSN=postgres://owner@db/procura procura migrate up --config procura.yaml`
}

// Run implements the command.
func (c migrateUpCmd) Run(w *world) error {
	dsn, err := dsnOf(w, c.configured)
	if err != nil {
		return err
	}
	applied, err := migrations.Up(w.ctx, dsn)
	if err != nil {
		return err
	}
	for _, name := range applied {
		fmt.Fprintf(w.stdout, "applied %s\n", name)
	}
	fmt.Fprintf(w.stdout, "the schema is at version %d\n", migrations.Latest)
	return nil
}

type migrateStatusCmd struct{ configured }

// Help implements kong.HelpProvider.
func (migrateStatusCmd) Help() string {
	return `Changes nothing. Exits with 1 when a migration is pending.

Example: procura migrate status --config procura.yaml`
}

// Run implements the command.
func (c migrateStatusCmd) Run(w *world) error {
	dsn, err := dsnOf(w, c.configured)
	if err != nil {
		return err
	}
	steps, err := migrations.Status(w.ctx, dsn)
	if err != nil {
		return err
	}
	pending := 0
	for _, s := range steps {
		at := "pending"
		if !s.AppliedAt.IsZero() {
			at = s.AppliedAt.UTC().Format(time.RFC3339)
		} else {
			pending++
		}
		fmt.Fprintf(w.stdout, "%-20s  %s\n", at, s.Name)
	}
	if pending > 0 {
		return fmt.Errorf("%d migrations are pending: run procura migrate up", pending)
	}
	return nil
}

// migratePrintCmd needs no configuration: it takes --config like its sisters and
// does without.
type migratePrintCmd struct {
	Config      string `help:"Not needed; accepted like everywhere." placeholder:"FILE" type:"path"`
	ServingRole string `help:"Add the grants with which this role can run the server." placeholder:"ROLE"`
}

// Help implements kong.HelpProvider.
func (migratePrintCmd) Help() string {
	return `For databases that only their administrators may change. The result is the same schema,
the table of versions included.

Example: procura migrate print --serving-role procura | psql -v ON_ERROR_STOP=1 "$OWNER_DSN"`
}

// Run implements the command.
func (c migratePrintCmd) Run(w *world) error {
	script, err := migrations.Print()
	if err != nil {
		return err
	}
	if c.ServingRole != "" {
		script += "\n" + migrations.Grants(c.ServingRole)
	}
	if _, err := fmt.Fprint(w.stdout, script); err != nil {
		return fmt.Errorf("printing the schema: %w", err)
	}
	return nil
}

func dsnOf(w *world, c configured) (string, error) {
	cfg, err := c.load(w, config.ForDatabase)
	if err != nil {
		return "", err
	}
	return cfg.Database.ConnectionString()
}
