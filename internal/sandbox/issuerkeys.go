package sandbox

import (
	"context"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/procura/procura/internal/fetch"
	"github.com/procura/procura/internal/jose"
)

// keyRetry is the least time between two reads of the issuer's keys, whatever is
// presented.
const keyRetry = time.Second

// issuerKeys is the login application's view of the issuer's published keys.
type issuerKeys struct {
	url     string
	now     func() time.Time
	fetcher *fetch.Fetcher

	mu   sync.Mutex
	set  *jose.KeySet
	read time.Time
}

func newIssuerKeys(url, host string, roots *x509.CertPool, now func() time.Time) (*issuerKeys, error) {
	f, err := fetch.New(fetch.Config{AllowHosts: []string{host}, RootCAs: roots, Timeout: 5 * time.Second, MaxBytes: 64 << 10})
	if err != nil {
		return nil, fmt.Errorf("preparing to fetch the issuer's keys: %w", err)
	}
	return &issuerKeys{url: url, now: now, fetcher: f}, nil
}

// get returns the keys, read anew when there are none or the caller wants it.
func (k *issuerKeys) get(ctx context.Context, fresh bool) (*jose.KeySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set != nil && (!fresh || k.now().Sub(k.read) < keyRetry) {
		return k.set, nil
	}
	raw, err := k.fetcher.Get(ctx, k.url, "application/json", "application/jwk-set+json")
	if err != nil {
		return nil, fmt.Errorf("fetching the issuer's keys: %w", err)
	}
	set, err := jose.ParseKeySet(raw)
	if err != nil {
		return nil, fmt.Errorf("reading the issuer's keys: %w", err)
	}
	k.set, k.read = set, k.now()
	return set, nil
}
