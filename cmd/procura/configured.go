package main

import (
	"fmt"
	"os/user"
	"slices"

	"github.com/procura/procura/internal/config"
	"github.com/procura/procura/storage"
)

// operatorConns is the size of the pool of a command that asks one thing at a time.
const operatorConns = 2

// configured is the flag that every command with a database has.
type configured struct {
	Config string `help:"Configuration file." placeholder:"FILE" required:"" type:"path" env:"PROCURA_CONFIG"`
}

// load reads the configuration and checks the parts that the command needs.
func (c configured) load(w *world, parts ...config.Part) (config.Config, error) {
	cfg, err := config.Load(c.Config, w.environ)
	if err != nil {
		return cfg, usage{err}
	}
	if len(parts) == 0 {
		return cfg, nil
	}
	return cfg, cfg.Validate(parts...)
}

// database opens the database and refuses a schema that this build does not serve.
func database(w *world, cfg config.Config) (*storage.DB, error) {
	dsn, err := cfg.Database.ConnectionString()
	if err != nil {
		return nil, err
	}
	db, err := storage.Open(w.ctx, storage.Config{DSN: dsn, MaxConns: operatorConns}, storage.Deps{})
	if err != nil {
		return nil, err
	}
	if err := db.Ready(w.ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// ofIssuer is the flag of commands that act on one issuer.
type ofIssuer struct {
	configured
	Issuer string `help:"Issuer URL; needed when the configuration has several." placeholder:"URL"`
}

// open loads the configuration, finds the issuer and opens the database.
func (o ofIssuer) open(w *world, parts ...config.Part) (config.Config, string, *storage.DB, error) {
	cfg, err := o.load(w, append(parts, config.ForDatabase, config.ForIssuers)...)
	if err != nil {
		return cfg, "", nil, err
	}
	issuer, err := o.pick(cfg)
	if err != nil {
		return cfg, "", nil, err
	}
	db, err := database(w, cfg)
	return cfg, issuer, db, err
}

// pick returns the issuer that is meant; it never guesses among several.
func (o ofIssuer) pick(cfg config.Config) (string, error) {
	var urls []string
	for _, i := range cfg.Issuers {
		urls = append(urls, i.URL)
	}
	switch {
	case o.Issuer == "" && len(urls) == 1:
		return urls[0], nil
	case o.Issuer == "":
		return "", usage{fmt.Errorf("the configuration has several issuers; choose one with --issuer: %q", urls)}
	case !slices.Contains(urls, o.Issuer):
		return "", usage{fmt.Errorf("issuer %q is not configured; choose one of %q", o.Issuer, urls)}
	}
	return o.Issuer, nil
}

// acting is the flag of commands that leave an audit row.
type acting struct {
	Actor string `help:"Who acts, for the audit trail. Default: operator: and the system's user name." placeholder:"NAME"`
}

func (a acting) name() string {
	if a.Actor != "" {
		return a.Actor
	}
	u, err := user.Current()
	if err != nil {
		return "operator:unknown"
	}
	return "operator:" + u.Username
}
