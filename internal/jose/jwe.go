package jose

import (
	"crypto"
	"fmt"
	"slices"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/procura/procura/internal/fapi"
)

// sizes are the lengths of iv and tag that a content encryption has (RFC 7518
// §5.2.3, §5.3); what is not in the table is not supported.
type sizes struct{ iv, tag int }

func encSizes(enc string) (sizes, bool) {
	switch enc {
	case A256GCM:
		return sizes{iv: 12, tag: 16}, true
	case A128CBCHS256:
		return sizes{iv: 16, tag: 16}, true
	}
	return sizes{}, false
}

// Decrypter opens JWE with one key. The key itself is out of reach.
type Decrypter struct {
	KID, Alg string
	open     func(*gojose.JSONWebEncryption) ([]byte, error)
}

// NewDecrypter makes a Decrypter of a private key; it refuses a key whose type
// or size is not that of alg.
func NewDecrypter(kid, alg string, key crypto.PrivateKey) (Decrypter, error) {
	pub, err := publicOf(key)
	if err != nil {
		return Decrypter{}, fmt.Errorf("making a decrypter: %w", err)
	}
	if kid == "" || !isKeyManagement(alg) || !keyServes(alg, pub) {
		return Decrypter{}, fmt.Errorf("making a decrypter for %s: %w", alg, ErrKey)
	}
	return Decrypter{KID: kid, Alg: alg, open: func(obj *gojose.JSONWebEncryption) ([]byte, error) {
		return obj.Decrypt(key)
	}}, nil
}

func isKeyManagement(alg string) bool { return alg == RSAOAEP256 || alg == ECDHES }

// Decrypt opens a compact JWE with the keys that its kid and alg allow. Whatever
// is wrong, the answer is ErrDecrypt and nothing else (RFC 8725 §3.4, FAPI 1
// Advanced §8.6.1). zip is refused, so what comes out is no longer than what came
// in; it is bounded all the same.
func Decrypt(compact string, keys []Decrypter, algs, encs []string) ([]byte, error) {
	h, err := parseJWE(compact)
	if err != nil || !slices.Contains(algs, h.Alg) || !isKeyManagement(h.Alg) || !slices.Contains(encs, h.Enc) {
		return nil, ErrDecrypt
	}
	obj, err := gojose.ParseEncryptedCompact(compact,
		[]gojose.KeyAlgorithm{gojose.KeyAlgorithm(h.Alg)}, []gojose.ContentEncryption{gojose.ContentEncryption(h.Enc)})
	if err != nil {
		return nil, ErrDecrypt
	}
	tried := 0
	for _, k := range keys {
		if k.open == nil || k.Alg != h.Alg || h.KID != "" && k.KID != h.KID || tried == maxTries {
			continue
		}
		tried++
		if plain, err := k.open(obj); err == nil && len(plain) <= fapi.MaxJWT {
			return plain, nil
		}
	}
	return nil, ErrDecrypt
}

// parseJWE reads the header and checks the lengths of the other parts before any
// of them is used: encrypted key present exactly when alg has one, iv and tag as
// enc defines them.
func parseJWE(compact string) (Header, error) {
	parts, err := split(compact)
	if err != nil {
		return Header{}, err
	}
	if len(parts) != 5 {
		return Header{}, ErrMalformed
	}
	h, err := readHeader(parts[0], true)
	if err != nil {
		return Header{}, err
	}
	want, known := encSizes(h.Enc)
	if !known || (parts[1] == "") != (h.Alg == ECDHES) || parts[3] == "" ||
		len(parts[2]) != base64url.EncodedLen(want.iv) || len(parts[4]) != base64url.EncodedLen(want.tag) {
		return Header{}, ErrMalformed
	}
	for _, part := range parts[1:] {
		if _, err := decodePart(part); err != nil {
			return Header{}, err
		}
	}
	return h, nil
}

// Encrypt makes a compact JWE for the first key of the set that serves alg with
// use enc or without use. It fails when there is none: what was to be encrypted
// never leaves in the clear.
func Encrypt(payload []byte, keys *KeySet, alg, enc, cty string) (string, error) {
	if _, known := encSizes(enc); !known || !isKeyManagement(alg) {
		return "", fmt.Errorf("encrypting: %w", ErrAlgorithm)
	}
	candidates := keys.candidates("", alg, UseEnc)
	if len(candidates) == 0 {
		return "", fmt.Errorf("encrypting: %w", ErrKey)
	}
	options := &gojose.EncrypterOptions{}
	if cty != "" {
		options.WithContentType(gojose.ContentType(cty))
	}
	recipient := gojose.Recipient{Algorithm: gojose.KeyAlgorithm(alg), Key: candidates[0].key, KeyID: candidates[0].kid}
	encrypter, err := gojose.NewEncrypter(gojose.ContentEncryption(enc), recipient, options)
	if err != nil {
		return "", fmt.Errorf("preparing encryption: %w", err)
	}
	obj, err := encrypter.Encrypt(payload)
	if err != nil {
		return "", fmt.Errorf("encrypting: %w", err)
	}
	return obj.CompactSerialize()
}
