package clients

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
	"github.com/procura/procura/internal/profile"
)

// ErrNoKeys says that the client has no keys that could be used, by its own fault: none
// registered, a jwks_uri that may not be fetched, a document that is no key set.
var ErrNoKeys = errors.New("client has no usable keys")

// Registered is a client with everything that is derived from its registration.
// It is shared and never changed.
type Registered struct {
	*fapi.Client
	Rules profile.Rules

	inline *jose.KeySet // of jwks; nil without
	remote *remoteKeys  // of jwks_uri; nil without
	sector string
}

// resolve derives what a registration implies; before is what was known of the
// client until now, whose fetched keys stay while its jwks_uri does.
func (d *Directory) resolve(c *fapi.Client, before *Registered) (*Registered, error) {
	rules, err := profile.Resolve(c)
	if err != nil {
		return nil, err
	}
	r := &Registered{Client: c, Rules: rules, sector: sectorOf(c)}
	switch {
	case len(c.JWKS) > 0 && c.JWKSURI != "":
		return nil, errors.New("jwks and jwks_uri exclude each other (RFC 7591 §2)")
	case len(c.JWKS) > 0:
		if r.inline, err = jose.ParseKeySet(c.JWKS); err != nil {
			return nil, fmt.Errorf("reading jwks: %w", err)
		}
	case c.JWKSURI != "":
		if before != nil && before.remote != nil && before.remote.url == c.JWKSURI {
			r.remote = before.remote
			break
		}
		r.remote = &remoteKeys{url: c.JWKSURI, fetch: d.deps.Fetch, now: d.deps.Now}
	}
	return r, nil
}

// Keys returns the client's keys. Those of a jwks_uri are fetched when they are old
// or do not hold kid, at most once per interval however many ask; "" asks for no
// certain key. The set may still not hold kid. The error wraps ErrNoKeys, or
// fapi.ErrUnavailable when the client's host did not answer and no earlier answer
// is left.
func (r *Registered) Keys(ctx context.Context, kid string) (*jose.KeySet, error) {
	return r.keys(ctx, demand{kid: kid})
}

// FreshKeys returns the client's keys as they stand at its jwks_uri now, unless
// they were fetched within the interval. It is for a signature that fits none of
// the known keys: a client may have new ones and send no kid.
func (r *Registered) FreshKeys(ctx context.Context) (*jose.KeySet, error) {
	return r.keys(ctx, demand{fresh: true})
}

func (r *Registered) keys(ctx context.Context, want demand) (*jose.KeySet, error) {
	switch {
	case r.inline != nil:
		return r.inline, nil
	case r.remote != nil:
		return r.remote.keys(ctx, want)
	}
	return nil, fmt.Errorf("neither jwks nor jwks_uri is registered: %w", ErrNoKeys)
}

// Sector returns the sector identifier for pairwise subjects (OIDC Core §8.1): the
// host of sector_identifier_uri, or the one host of all redirect URIs. A client
// without either is a sector of its own.
func (r *Registered) Sector() string { return r.sector }

func sectorOf(c *fapi.Client) string {
	if c.SectorIdentifier != "" {
		return host(c.SectorIdentifier)
	}
	var only string
	for _, uri := range c.RedirectURIs {
		h := host(uri)
		if h == "" || only != "" && h != only {
			return "client:" + c.ID
		}
		only = h
	}
	if only == "" {
		return "client:" + c.ID
	}
	return only
}

func host(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// EncryptionKeys returns the keys that answers are encrypted to, or nil when the
// client registered no encryption: a client that signs nothing and gets nothing
// encrypted needs no keys at all.
func (r *Registered) EncryptionKeys(ctx context.Context) (*jose.KeySet, error) {
	if r.IDTokenEncryptedResponseAlg == "" && r.AuthorizationEncryptedAlg == "" {
		return nil, nil
	}
	return r.Keys(ctx, "")
}
