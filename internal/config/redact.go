package config

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// Redacted prints the effective configuration as YAML, with every secret replaced
// and every file named but not opened.
func (c Config) Redacted() string {
	raw, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Sprintf("# the configuration cannot be printed: %v\n", err)
	}
	return string(raw)
}
