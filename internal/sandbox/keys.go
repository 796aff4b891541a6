package sandbox

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/procura/procura/internal/jose"
)

// Secrets of the sandbox, relative to the data dir.
const (
	fileKEK      = "keys/key-encryption-key"
	fileLoginKey = "login/signing.jwk"
	fileLoginSet = "login/jwks.json"
)

// private is a signing key as it lies in a file.
type private struct {
	kid, alg string
	key      crypto.Signer
}

func readSigner(raw []byte) (private, error) {
	kid, _, alg, key, err := jose.ParsePrivateJWK(raw)
	if err != nil {
		return private{}, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return private{}, errors.New("the key cannot sign")
	}
	return private{kid, alg, signer}, nil
}

// loginKey is the login application's signing key.
type loginKey struct{ private }

// openLoginKey makes or loads the login application's key and publishes its
// public half as a file for the server.
func openLoginKey(dir string) (loginKey, error) {
	public, err := ensureSigningKey(dir, fileLoginKey, "lagoon-login", jose.ES256)
	if err != nil {
		return loginKey{}, err
	}
	if err := writeFile(dir, fileLoginSet, keySet(public)); err != nil {
		return loginKey{}, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, fileLoginKey))
	if err != nil {
		return loginKey{}, fmt.Errorf("reading %s: %w", fileLoginKey, err)
	}
	p, err := readSigner(raw)
	if err != nil {
		return loginKey{}, fmt.Errorf("reading %s: %w", fileLoginKey, err)
	}
	return loginKey{p}, nil
}

func (p private) signer() (jose.Signer, error) { return jose.NewSigner(p.kid, p.alg, p.key) }

// ensureKEK makes the key that seals the server's private keys in the database;
// without it the data dir's database is worthless.
func ensureKEK(dir string, random io.Reader) error {
	if _, err := os.Stat(filepath.Join(dir, fileKEK)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key := make([]byte, 32)
	if _, err := io.ReadFull(random, key); err != nil {
		return fmt.Errorf("drawing the key encryption key: %w", err)
	}
	return writeFile(dir, fileKEK, []byte(base64.StdEncoding.EncodeToString(key)+"\n"))
}
