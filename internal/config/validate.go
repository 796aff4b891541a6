package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Part is a part of the configuration that a command needs.
type Part int

// Parts of the configuration.
const (
	ForDatabase Part = iota // database, log
	ForKeys                 // key encryption key
	ForIssuers              // names of the issuers
	ForServing              // all the rest: listeners, TLS, trust, login
)

// Problem is one thing to repair.
type Problem struct{ Where, What, Next string }

// Problems is everything that is wrong, in the order of the file.
type Problems []Problem

// Error implements error, one line for each problem.
func (p Problems) Error() string {
	var b strings.Builder
	b.WriteString("the configuration has problems:")
	for _, one := range p {
		fmt.Fprintf(&b, "\n  %s: %s; %s", one.Where, one.What, one.Next)
	}
	return b.String()
}

// Validate checks the parts that are asked for, all of them when none is named,
// files that they name included. It returns every problem at once, as Problems.
func (c Config) Validate(parts ...Part) error {
	v := &validation{}
	needs := func(p Part) bool { return len(parts) == 0 || slices.Contains(parts, p) }
	if needs(ForIssuers) {
		v.issuers(c.Issuers)
	}
	if needs(ForServing) {
		v.logins(c.Issuers)
		v.listen(c.Listen)
		v.tls(c.TLS)
	}
	if needs(ForDatabase) {
		v.database(c.Database)
	}
	if needs(ForKeys) {
		v.kek(c)
	}
	if needs(ForServing) {
		v.trust(c.Trust)
		v.fetch(c.Fetch)
	}
	v.log(c.Log)
	if needs(ForServing) {
		v.shutdown(c.Shutdown)
	}
	if len(v.found) > 0 {
		return v.found
	}
	return nil
}

type validation struct{ found Problems }

func (v *validation) add(where, what, next string) {
	v.found = append(v.found, Problem{where, what, next})
}

func (v *validation) issuers(all []Issuer) {
	if len(all) == 0 {
		v.add("issuers", "there is none", "name at least one issuer with url, mtls_base and audience")
	}
	seen := map[string]bool{}
	for n, i := range all {
		at := fmt.Sprintf("issuers[%d]", n)
		v.base(at+".url", i.URL, "https://auth.bank.example")
		v.base(at+".mtls_base", i.MTLSBase, "https://mtls.auth.bank.example")
		if i.URL != "" && host(i.URL) == host(i.MTLSBase) {
			v.add(at+".mtls_base", "has the host and port of url",
				"give the mutual TLS endpoints another host or port (RFC 8705 §5)")
		}
		for _, b := range []string{i.URL, i.MTLSBase} {
			if b != "" && seen[b] {
				v.add(at, b+" is used twice", "give every issuer its own url and mtls_base")
			}
			seen[b] = true
		}
		if i.Audience == "" {
			v.add(at+".audience", "is missing", "set it to the aud that the bank's API expects in access tokens")
		}
	}
}

// base checks an issuer URL (RFC 8414 §2, OIDC Discovery §3).
func (v *validation) base(where, raw, example string) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		v.add(where, "is missing", "write it like "+example)
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(raw, "?#{}%"):
		v.add(where, "is not an https URL of host and path alone", "write it like "+example)
	case strings.HasSuffix(raw, "/"):
		v.add(where, "ends in a slash", "write it like "+example)
	case u.Host != strings.ToLower(u.Host):
		v.add(where, "has upper case letters in its host", "write the host in lower case: clients compare bytes")
	}
}

func (v *validation) logins(all []Issuer) {
	for n, i := range all {
		at := fmt.Sprintf("issuers[%d].login", n)
		if i.Login.URL == "" && i.Login.Issuer == "" && i.Login.JWKSFile == "" && i.Login.JWKSURI == "" {
			v.add(at, "there is no login provider",
				"set url, issuer and jwks_file of the bank's login application: Procura keeps no passwords")
			continue
		}
		if u, err := url.Parse(i.Login.URL); err != nil || u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
			v.add(at+".url", "is not an https URL", "write it like https://login.bank.example/start")
		}
		if i.Login.Issuer == "" {
			v.add(at+".issuer", "is missing", "set it to the iss of the login application's answers")
		}
		v.loginKeys(at, i.Login)
	}
}

func (v *validation) loginKeys(at string, l Login) {
	if (l.JWKSFile == "") == (l.JWKSURI == "") {
		v.add(at, "needs either jwks_file or jwks_uri", "name one place for the login application's public keys")
		return
	}
	if l.JWKSURI != "" && !strings.HasPrefix(l.JWKSURI, "https://") {
		v.add(at+".jwks_uri", "is not an https URL", "serve the keys over https, or use jwks_file")
	}
	if _, err := l.Keys(); err != nil {
		v.add(at+".jwks_file", err.Error(), "write the login application's public JWK set there")
	}
}

func (v *validation) listen(l Listen) {
	seen := map[string]string{}
	for _, f := range []struct{ where, addr, example string }{
		{"listen.public", l.Public, "0.0.0.0:9443"}, {"listen.mtls", l.MTLS, "0.0.0.0:9444"}, {"listen.ops", l.Ops, "127.0.0.1:9448"},
	} {
		_, port, err := net.SplitHostPort(f.addr)
		switch {
		case err != nil:
			v.add(f.where, "is not host:port", "write it like "+f.example)
		case port != "0" && seen[f.addr] != "":
			v.add(f.where, "has the address of "+seen[f.addr], "give it its own port")
		}
		seen[f.addr] = f.where
	}
	if !l.OpsExposed && l.Ops != "" && !loopback(l.Ops) {
		v.add("listen.ops", "is not a loopback address and speaks plain HTTP",
			"bind it to 127.0.0.1, or set listen.ops_exposed when that network is private")
	}
}

func (v *validation) tls(t TLS) {
	if len(t.Certificates) == 0 {
		v.add("tls.certificates", "there is none", "name cert_file and key_file of an ECDSA and of an RSA certificate")
		return
	}
	certs, err := t.Load()
	switch {
	case err != nil:
		v.add("tls.certificates", err.Error(), "give PEM files of a certificate chain, leaf first, and of its key")
	case !hasRSA(certs) && !t.OnlyTLS13:
		v.add("tls.certificates", "there is no RSA certificate, so no client could speak TLS 1.2",
			"add one (the suites of FAPI 1 Advanced §8.5 need it), or set tls.only_tls13")
	}
}

func (v *validation) database(d Database) {
	if (d.DSN == "") == (d.DSNFile == "") {
		v.add("database", "needs either dsn or dsn_file", "set dsn_file, or PROCURA_DATABASE_DSN in the environment")
	} else if _, err := d.ConnectionString(); err != nil {
		v.add("database.dsn_file", err.Error(), "write the connection string there, like postgres://procura@db.bank.example/procura")
	}
	if d.MaxConns < 2 || d.MaxConns > 1000 {
		v.add("database.max_conns", "is not between 2 and 1000", "set it to about four for each core of the database")
	}
}

func (v *validation) kek(c Config) {
	const next = "make one with: openssl rand -base64 32 > kek, and keep a copy where the database's backups are not"
	if c.KeyEncryptionKeyFile == "" && c.KeyEncryptionKey == "" {
		v.add("key_encryption_key_file", "is missing", next)
		return
	}
	if _, err := c.KEK(); err != nil {
		v.add("key_encryption_key_file", err.Error(), next)
	}
	if c.KeyRetireAfter < time.Hour {
		v.add("key_retire_after", "is less than an hour", "leave it at 24h: tokens and cached key sets outlive a rotation")
	}
}

func (v *validation) trust(t Trust) {
	if len(t.AnchorsFiles) == 0 {
		v.add("trust.anchors_files", "there is none, so no client certificate could be accepted",
			"name PEM files with the certificate authorities of your clients")
	}
	if _, _, err := t.Load(); err != nil {
		v.add("trust", err.Error(), "give PEM files that hold certificates and nothing else")
	}
}

func (v *validation) fetch(f Fetch) {
	for n, h := range f.AllowHosts {
		if name, port, err := net.SplitHostPort(h); err != nil || name == "" || port == "" {
			v.add(fmt.Sprintf("fetch.allow_hosts[%d]", n), "is not host:port", "write it like directory.bank.example:443")
		}
	}
	if _, err := f.Roots(); err != nil {
		v.add("fetch.ca_file", err.Error(), "give a PEM file of certificates, or leave it out")
	}
}

func (v *validation) log(l Log) {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, l.Level) {
		v.add("log.level", "is not a level", "use debug, info, warn or error")
	}
}

func (v *validation) shutdown(s Shutdown) {
	if s.Grace <= 0 {
		v.add("shutdown.grace", "is not positive", "write it like 20s")
	}
	if s.DrainDelay < 0 {
		v.add("shutdown.drain_delay", "is negative", "write it like 5s, or leave it out")
	}
}

// host returns the authority of a URL, "" when it has none.
func host(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// loopback reports whether addr ("host:port") is reachable from this machine only.
func loopback(addr string) bool {
	name, _, err := net.SplitHostPort(addr)
	if err != nil {
		return true // not host:port at all, which is told elsewhere
	}
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && ip.IsLoopback()
}
