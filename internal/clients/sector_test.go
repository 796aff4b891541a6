package clients_test

import (
	"context"
	"errors"
	"testing"

	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
)

// OIDC Registration §5, attack 65: what is served must name every redirect URI.
func TestCheckSector(t *testing.T) {
	const uri = "https://group.example/uris.json"
	for name, c := range map[string]struct {
		uri, served string
		down        error
		ok          bool
	}{
		"none":            {uri: "", ok: true},
		"all listed":      {uri, `["https://a.example/cb","https://b.example/cb","https://c.example/cb"]`, nil, true},
		"one is missing":  {uri, `["https://a.example/cb"]`, nil, false},
		"almost the same": {uri, `["https://a.example/cb","https://b.example/cb/"]`, nil, false},
		"an object":       {uri, `{"uris":[]}`, nil, false},
		"numbers":         {uri, `[1,2]`, nil, false},
		"a page":          {uri, `<html>`, nil, false},
		"nobody answers":  {uri, "", errors.New("refused"), false},
		"not https":       {"http://group.example/uris.json", `["https://a.example/cb","https://b.example/cb"]`, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			client := &fapi.Client{SectorIdentifier: c.uri, RedirectURIs: []string{"https://a.example/cb", "https://b.example/cb"}}
			err := clients.CheckSector(context.Background(), client, func(context.Context, string) ([]byte, error) {
				return []byte(c.served), c.down
			})
			if (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
		})
	}
}
