package jose

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// es256Half is the width of r and of s in an ES256 signature (RFC 7518 §3.4).
const es256Half = 32

// Signer makes JWS with one key. SignBytes is the seam for keys that live
// elsewhere: it returns the raw JWS signature of alg over data.
type Signer struct {
	KID, Alg  string
	SignBytes func(data []byte) ([]byte, error)
}

// NewSigner makes a Signer of a private key. It refuses a key whose type, curve
// or size is not that of alg. PS256 salts have the length of the hash (RFC 7518
// §3.5), ES256 signatures are r and s of fixed width (§3.4).
func NewSigner(kid, alg string, key crypto.Signer) (Signer, error) {
	if kid == "" || key == nil {
		return Signer{}, fmt.Errorf("signer without kid or key: %w", ErrKey)
	}
	pub := key.Public()
	if err := acceptKey(pub); err != nil || !keyServes(alg, pub) {
		return Signer{}, fmt.Errorf("key does not serve %s: %w", alg, ErrKey)
	}
	switch alg {
	case ES256:
		return Signer{KID: kid, Alg: alg, SignBytes: func(data []byte) ([]byte, error) { return signES256(key, data) }}, nil
	case PS256:
		return Signer{KID: kid, Alg: alg, SignBytes: func(data []byte) ([]byte, error) { return signPS256(key, data) }}, nil
	}
	return Signer{}, fmt.Errorf("signing with %s: %w", alg, ErrAlgorithm)
}

func signES256(key crypto.Signer, data []byte) ([]byte, error) {
	digest := sha256.Sum256(data)
	der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	var sig struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &sig)
	if err != nil || len(rest) != 0 || !isScalar(sig.R) || !isScalar(sig.S) {
		return nil, fmt.Errorf("reading the key's signature: %w", ErrSignature)
	}
	out := make([]byte, 2*es256Half)
	sig.R.FillBytes(out[:es256Half])
	sig.S.FillBytes(out[es256Half:])
	return out, nil
}

func isScalar(n *big.Int) bool { return n.Sign() > 0 && n.BitLen() <= 8*es256Half }

func signPS256(key crypto.Signer, data []byte) ([]byte, error) {
	digest := sha256.Sum256(data)
	sig, err := key.Sign(rand.Reader, digest[:], pssOptions())
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return sig, nil
}

func pssOptions() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
}

// Sign makes a compact JWS whose header holds alg, kid and typ and nothing else.
func (s Signer) Sign(typ string, payload []byte) (string, error) {
	if s.SignBytes == nil {
		return "", fmt.Errorf("signing: %w", ErrKey)
	}
	header, err := json.Marshal(struct {
		Alg string `json:"alg"`
		KID string `json:"kid"`
		Typ string `json:"typ,omitempty"`
	}{s.Alg, s.KID, typ})
	if err != nil {
		return "", fmt.Errorf("writing header: %w", err)
	}
	enc := base64.RawURLEncoding
	size := enc.EncodedLen(len(header)) + enc.EncodedLen(len(payload)) + enc.EncodedLen(maxRSA/8) + 2
	out := enc.AppendEncode(make([]byte, 0, size), header)
	out = enc.AppendEncode(append(out, '.'), payload)
	sig, err := s.SignBytes(out)
	if err != nil {
		return "", err
	}
	return string(enc.AppendEncode(append(out, '.'), sig)), nil
}
