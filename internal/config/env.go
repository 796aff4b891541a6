package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// variable is one environment variable and what it sets.
type variable struct {
	name string
	set  func(c *Config, v string) error
}

// variables lists them all. Lists of records (issuers, certificates) are set by
// the file alone. Names that are not listed are ignored, not refused: container
// platforms put variables of their own under the name of a service.
func variables() []variable {
	return []variable{
		{"PROCURA_DATABASE_DSN", func(c *Config, v string) error { c.Database.DSN, c.Database.DSNFile = Secret(v), ""; return nil }},
		{"PROCURA_DATABASE_DSN_FILE", func(c *Config, v string) error { c.Database.DSN, c.Database.DSNFile = "", v; return nil }},
		{"PROCURA_DATABASE_MAX_CONNS", setConns},
		{"PROCURA_FETCH_ALLOW_HOSTS", func(c *Config, v string) error { c.Fetch.AllowHosts = split(v); return nil }},
		{"PROCURA_FETCH_CA_FILE", text(func(c *Config) *string { return &c.Fetch.CAFile })},
		{"PROCURA_KEY_ENCRYPTION_KEY", func(c *Config, v string) error {
			c.KeyEncryptionKey, c.KeyEncryptionKeyFile = Secret(v), ""
			return nil
		}},
		{"PROCURA_KEY_ENCRYPTION_KEY_FILE", text(func(c *Config) *string { return &c.KeyEncryptionKeyFile })},
		{"PROCURA_LISTEN_MTLS", text(func(c *Config) *string { return &c.Listen.MTLS })},
		{"PROCURA_LISTEN_OPS", text(func(c *Config) *string { return &c.Listen.Ops })},
		{"PROCURA_LISTEN_OPS_EXPOSED", setExposed},
		{"PROCURA_LISTEN_PUBLIC", text(func(c *Config) *string { return &c.Listen.Public })},
		{"PROCURA_LOG_LEVEL", text(func(c *Config) *string { return &c.Log.Level })},
		{"PROCURA_SHUTDOWN_DRAIN_DELAY", span(func(c *Config) *time.Duration { return &c.Shutdown.DrainDelay })},
		{"PROCURA_SHUTDOWN_GRACE", span(func(c *Config) *time.Duration { return &c.Shutdown.Grace })},
		{"PROCURA_TRUST_ANCHORS_FILES", func(c *Config, v string) error { c.Trust.AnchorsFiles = split(v); return nil }},
		{"PROCURA_TRUST_INTERMEDIATES_FILES", func(c *Config, v string) error { c.Trust.IntermediatesFiles = split(v); return nil }},
	}
}

// override applies the variables that are set and not empty. An error names the
// variable and never shows its value.
func (c *Config) override(environ []string) error {
	set := map[string]string{}
	for _, line := range environ {
		name, v, _ := strings.Cut(line, "=")
		set[name] = v
	}
	for _, v := range variables() {
		if set[v.name] == "" {
			continue
		}
		if err := v.set(c, set[v.name]); err != nil {
			return fmt.Errorf("environment variable %s: %w", v.name, err)
		}
	}
	return nil
}

func text(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error { *field(c) = v; return nil }
}

func span(field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil {
			return fmt.Errorf("not a duration such as 20s")
		}
		*field(c) = d
		return nil
	}
}

func setConns(c *Config, v string) error {
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return fmt.Errorf("not a whole number")
	}
	c.Database.MaxConns = int32(n)
	return nil
}

func setExposed(c *Config, v string) error {
	exposed, err := strconv.ParseBool(v)
	if err != nil {
		return fmt.Errorf("neither true nor false")
	}
	c.Listen.OpsExposed = exposed
	return nil
}

func split(v string) []string {
	var out []string
	for part := range strings.SplitSeq(v, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
