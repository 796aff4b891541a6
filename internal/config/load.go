package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"reflect"

	"github.com/goccy/go-yaml"
)

// maxFile bounds every file that configuration names.
const maxFile = 1 << 20

// Load reads the file, applies the environment ("NAME=value" as of os.Environ) and
// makes paths absolute. An unknown or doubled key is an error with file, line and
// column; the line itself is not shown, it may hold a secret. Load says nothing
// about whether the values make sense: that is Validate.
func Load(path string, environ []string) (Config, error) {
	raw, err := readFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("reading configuration: %w", err)
	}
	c := defaults()
	dec := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict())
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, located(path, err)
	}
	if reflect.DeepEqual(c, Config{}) {
		c = defaults() // the parser clears the whole of it for an empty document
	}
	if err := c.override(environ); err != nil {
		return Config{}, err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return Config{}, fmt.Errorf("finding the configuration's folder: %w", err)
	}
	c.anchor(dir)
	c.complete()
	return c, nil
}

// located turns the parser's error into FILE:LINE:COLUMN: message.
func located(path string, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) {
		return fmt.Errorf("%s: %w", path, err)
	}
	if tk := at.GetToken(); tk != nil && tk.Position != nil {
		return fmt.Errorf("%s:%d:%d: %s", path, tk.Position.Line, tk.Position.Column, at.GetMessage())
	}
	return fmt.Errorf("%s: %s", path, at.GetMessage())
}

// anchor makes every path of the file relative to its folder.
func (c *Config) anchor(dir string) {
	for _, p := range c.paths() {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

func (c *Config) paths() []*string {
	all := []*string{&c.KeyEncryptionKeyFile, &c.Database.DSNFile, &c.Fetch.CAFile}
	for i := range c.Issuers {
		all = append(all, &c.Issuers[i].Login.JWKSFile, &c.Issuers[i].Brand.LogoFile)
	}
	for i := range c.TLS.Certificates {
		all = append(all, &c.TLS.Certificates[i].CertFile, &c.TLS.Certificates[i].KeyFile)
	}
	for _, list := range [][]string{c.Trust.AnchorsFiles, c.Trust.IntermediatesFiles} {
		for i := range list {
			all = append(all, &list[i])
		}
	}
	return all
}

// complete fills in the documented defaults of issuers.
func (c *Config) complete() {
	for i := range c.Issuers {
		issuer := &c.Issuers[i]
		if u, err := url.Parse(issuer.URL); err == nil && issuer.Brand.Name == "" {
			issuer.Brand.Name = u.Hostname()
		}
		if issuer.Brand.Accent == "" {
			issuer.Brand.Accent = "#1f4e79"
		}
		if issuer.Login.ACRValues == nil && issuer.Login.URL != "" {
			issuer.Login.ACRValues = []string{"urn:openbanking:psd2:sca", "urn:openbanking:psd2:ca"}
		}
	}
}

// readFile reads a file of bounded size.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(raw) > maxFile {
		return nil, fmt.Errorf("%s is larger than 1 MiB", path)
	}
	return raw, nil
}
