package clients

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// CheckSector fetches a client's sector_identifier_uri, where it has one, and
// refuses the registration unless the document is a JSON array that holds every
// redirect URI (OIDC Core §8.1, OIDC Registration §5): otherwise one TPP could
// claim another's sector and learn its customers' names. It is asked when a client
// is registered, not when it is used.
func CheckSector(ctx context.Context, c *fapi.Client, fetch func(ctx context.Context, url string) ([]byte, error)) error {
	if c.SectorIdentifier == "" {
		return nil
	}
	u, err := url.Parse(c.SectorIdentifier)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return errors.New("sector_identifier_uri must be an https URL")
	}
	raw, err := fetch(ctx, c.SectorIdentifier)
	if err != nil {
		return fmt.Errorf("fetching sector_identifier_uri: %w", err)
	}
	var members []string
	if err := jose.Decode(raw, &members); err != nil {
		return fmt.Errorf("sector_identifier_uri holds no JSON array of strings: %w", err)
	}
	for _, uri := range c.RedirectURIs {
		if !slices.Contains(members, uri) {
			return fmt.Errorf("the document at sector_identifier_uri does not list the redirect URI %s", uri)
		}
	}
	return nil
}
