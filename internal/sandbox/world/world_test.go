package world_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/procura/procura/internal/sandbox/world"
)

func TestWriteReadRemove(t *testing.T) {
	dir := t.TempDir()
	w := &world.World{Issuer: "https://localhost:9443", Clients: []world.Client{{ID: "tpp", CertFile: "clients/tpp.crt"}}}
	if err := w.Write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := world.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := got.Client("tpp")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "clients/tpp.crt"); got.Path(c.CertFile) != want {
		t.Errorf("path %s, want %s", got.Path(c.CertFile), want)
	}
	if _, err := got.Client("nobody"); err == nil {
		t.Error("an unknown client was found")
	}
	if err := world.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := world.Remove(dir); err != nil {
		t.Errorf("removing twice: %v", err)
	}
	if _, err := world.Read(dir); err == nil || !strings.Contains(err.Error(), "no sandbox runs") {
		t.Errorf("reading a missing file: %v", err)
	}
}

// Scripts iterate over the lists: an empty one is a list, not null.
func TestWriteEmptySSAs(t *testing.T) {
	dir := t.TempDir()
	if err := (&world.World{Issuer: "https://localhost:9443"}).Write(dir); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, world.FileName))
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	if got := string(members["ssas"]); got != "[]" {
		t.Errorf("ssas is %s, want []", got)
	}
}

func TestReadRefusesGarbage(t *testing.T) {
	for name, content := range map[string]string{"no JSON": "{", "no issuer": "{}"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, world.FileName), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := world.Read(dir); err == nil {
				t.Error("accepted")
			}
		})
	}
}
