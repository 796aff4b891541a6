// Package config is what the operator decides: one documented struct, read from
// one YAML file and overridden by PROCURA_ environment variables. It refuses keys
// that it does not know, and tells every problem at once with the next step. It
// never prints a secret, and hands out the content of files only when asked.
package config

import "time"

// Config is the whole file. Paths in it are relative to the file.
type Config struct {
	// Issuers are the bank's brands; each has its own keys, clients and pages.
	Issuers []Issuer `yaml:"issuers"`
	// Listen are the addresses of the three listeners.
	Listen Listen `yaml:"listen"`
	// TLS is what the public and the mutual TLS listener show.
	TLS TLS `yaml:"tls"`
	// Database is the one Postgres.
	Database Database `yaml:"database"`
	// KeyEncryptionKeyFile holds 32 random bytes in base64 or hexadecimal. They
	// seal the private keys in the database; losing them loses the keys.
	KeyEncryptionKeyFile string `yaml:"key_encryption_key_file"`
	// KeyEncryptionKey is the same by PROCURA_KEY_ENCRYPTION_KEY; it has no
	// place in the file.
	KeyEncryptionKey Secret `yaml:"-"`
	// KeyRetireAfter is how long a retired key stays published after a
	// rotation. Default: 24h.
	KeyRetireAfter time.Duration `yaml:"key_retire_after"`
	// Trust says whose client certificates are believed.
	Trust Trust `yaml:"trust"`
	// Fetch bounds where the server itself calls: clients' keys above all.
	Fetch Fetch `yaml:"fetch"`
	// Log is about the log on standard error.
	Log Log `yaml:"log"`
	// Shutdown is how the server ends.
	Shutdown Shutdown `yaml:"shutdown"`
}

// Issuer is one brand.
type Issuer struct {
	// URL is the iss of its tokens, byte for byte: https, no trailing slash.
	URL string `yaml:"url"`
	// MTLSBase is the base of the same endpoints on the mutual TLS listener
	// (RFC 8705 §5): another host or port than URL, so that browsers are never
	// asked for a certificate.
	MTLSBase string `yaml:"mtls_base"`
	// Audience is the aud of access tokens for the bank's API.
	Audience string `yaml:"audience"`
	// Login is the bank's own login application.
	Login Login `yaml:"login"`
	// Brand is how its pages look. Optional.
	Brand Brand `yaml:"brand"`
}

// Login is where customers log in: Procura keeps no passwords.
type Login struct {
	// URL receives the customer with a signed login_challenge.
	URL string `yaml:"url"`
	// Issuer is the iss of the login application's answers.
	Issuer string `yaml:"issuer"`
	// JWKSFile or JWKSURI holds its public keys; one of the two.
	JWKSFile string `yaml:"jwks_file"`
	JWKSURI  string `yaml:"jwks_uri"`
	// ACRValues are the authentication contexts that it can reach, best first. They
	// are published, and an essential acr outside of them is refused at once.
	// Default: urn:openbanking:psd2:sca and :ca; an empty list tries whatever is asked for.
	ACRValues []string `yaml:"acr_values"`
}

// Brand is how the bank looks on its pages.
type Brand struct {
	// Name stands in the header and in sentences. Default: the issuer's host.
	Name string `yaml:"name"`
	// Accent colours buttons, as #rrggbb. Default: #1f4e79.
	Accent string `yaml:"accent"`
	// LogoFile is a PNG or SVG of at most 256 KiB. Optional.
	LogoFile string `yaml:"logo_file"`
}

// Listen holds host:port of each listener.
type Listen struct {
	Public string `yaml:"public"`
	MTLS   string `yaml:"mtls"`
	// Ops serves /livez and /readyz in plain HTTP. It must be a loopback
	// address unless OpsExposed says that the network there is private.
	Ops        string `yaml:"ops"`
	OpsExposed bool   `yaml:"ops_exposed"`
}

// TLS lists the server's certificates: an ECDSA and an RSA one, since the suites
// that FAPI leaves at TLS 1.2 need the RSA one.
type TLS struct {
	Certificates []Certificate `yaml:"certificates"`
	// OnlyTLS13 allows to do without the RSA certificate: clients that speak no
	// TLS 1.3 are then refused.
	OnlyTLS13 bool `yaml:"only_tls13"`
}

// Certificate is a PEM chain, leaf first, and its PEM key.
type Certificate struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// Database is how Postgres is reached.
type Database struct {
	// DSN or DSNFile is the connection string; one of the two. It is a secret.
	DSN     Secret `yaml:"dsn"`
	DSNFile string `yaml:"dsn_file"`
	// MaxConns bounds the pool of one process. Default: 16.
	MaxConns int32 `yaml:"max_conns"`
}

// Trust lists PEM files.
type Trust struct {
	AnchorsFiles       []string `yaml:"anchors_files"`
	IntermediatesFiles []string `yaml:"intermediates_files"`
}

// Fetch is about outbound calls, which go to public https addresses only.
type Fetch struct {
	// AllowHosts are host:port that may have private addresses.
	AllowHosts []string `yaml:"allow_hosts"`
	// CAFile is trusted besides the system's roots. Optional.
	CAFile string `yaml:"ca_file"`
}

// Log is about the log.
type Log struct {
	// Level is debug, info, warn or error. Default: info.
	Level string `yaml:"level"`
}

// Shutdown is what happens on SIGTERM.
type Shutdown struct {
	// DrainDelay is how long the server accepts requests after /readyz turned
	// 503, so that load balancers notice. Default: 0s.
	DrainDelay time.Duration `yaml:"drain_delay"`
	// Grace is how long requests in flight may take. Default: 20s.
	Grace time.Duration `yaml:"grace"`
}

// defaults are the documented ones, all in one place.
func defaults() Config {
	return Config{
		KeyRetireAfter: 24 * time.Hour,
		Database:       Database{MaxConns: 16},
		Log:            Log{Level: "info"},
		Shutdown:       Shutdown{Grace: 20 * time.Second},
	}
}
