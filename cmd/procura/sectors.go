package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/config"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/fetch"
)

// What a sector_identifier_uri may take.
const (
	sectorTimeout = 5 * time.Second
	sectorBytes   = 64 << 10
)

// checkSectors asks for every sector_identifier_uri of the file, under the bounds
// that the server itself obeys: no client is stored that claims another's sector.
func checkSectors(w *world, cfg config.Config, list []*fapi.Client) error {
	if !slices.ContainsFunc(list, func(c *fapi.Client) bool { return c.SectorIdentifier != "" }) {
		return nil
	}
	roots, err := cfg.Fetch.Roots()
	if err != nil {
		return err
	}
	fetcher, err := fetch.New(fetch.Config{AllowHosts: cfg.Fetch.AllowHosts, RootCAs: roots, Timeout: sectorTimeout, MaxBytes: sectorBytes})
	if err != nil {
		return err
	}
	get := func(ctx context.Context, url string) ([]byte, error) { return fetcher.Get(ctx, url) }
	for _, c := range list {
		if err := clients.CheckSector(w.ctx, c, get); err != nil {
			return fmt.Errorf("client %s: %w; nothing was stored", c.ID, err)
		}
	}
	return nil
}
