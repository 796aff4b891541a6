package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// sealVersion starts every sealed value, so that a later form can be told apart.
const sealVersion = 1

// errUnsealed says all that is known when a sealed value does not open.
var errUnsealed = errors.New("the key encryption key is another one, or the row was changed")

// sealer wraps small secrets under the key encryption key. The label is bound as
// associated data: a value opens only where it was put.
type sealer struct {
	aead   cipher.AEAD
	random io.Reader
}

func newSealer(kek []byte, random io.Reader) (*sealer, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, fmt.Errorf("preparing key encryption key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("preparing key encryption key: %w", err)
	}
	return &sealer{aead: aead, random: random}, nil
}

func (s *sealer) seal(plain []byte, label string) ([]byte, error) {
	head := make([]byte, 1+s.aead.NonceSize())
	head[0] = sealVersion
	if _, err := io.ReadFull(s.random, head[1:]); err != nil {
		return nil, fmt.Errorf("drawing a nonce: %w", err)
	}
	return s.aead.Seal(head, head[1:], plain, []byte(label)), nil
}

func (s *sealer) open(sealed []byte, label string) ([]byte, error) {
	head := 1 + s.aead.NonceSize()
	if len(sealed) < head || sealed[0] != sealVersion {
		return nil, errUnsealed
	}
	plain, err := s.aead.Open(nil, sealed[1:head], sealed[head:], []byte(label))
	if err != nil {
		return nil, errUnsealed
	}
	return plain, nil
}

func keyLabel(issuer, kid string) string { return "procura signing key\x00" + issuer + "\x00" + kid }

func secretLabel(issuer string) string { return "procura issuer secret\x00" + issuer }
