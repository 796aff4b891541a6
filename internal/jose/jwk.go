package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"

	gojose "github.com/go-jose/go-jose/v4"
)

// rawKey is a JWK as it comes (RFC 7517 §4, RFC 7518 §6). Certificates in it are
// not read.
type rawKey struct {
	Kty string `json:"kty"`
	KID string `json:"kid"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`
	N   string `json:"n"`
	E   string `json:"e"`

	D    present `json:"d"`
	P    present `json:"p"`
	Q    present `json:"q"`
	DP   present `json:"dp"`
	DQ   present `json:"dq"`
	QI   present `json:"qi"`
	Oth  present `json:"oth"`
	K    present `json:"k"`
	Priv present `json:"priv"`
}

func (r *rawKey) private() bool {
	return bool(r.D || r.P || r.Q || r.DP || r.DQ || r.QI || r.Oth || r.K || r.Priv)
}

// public returns the public key, or one without key when its type is not ours.
func (r *rawKey) public() (publicKey, error) {
	switch {
	case r.private() || r.Kty == "oct":
		return publicKey{}, fmt.Errorf("private or symmetric key: %w", ErrMalformed)
	case !plausibleKID(r.KID):
		return publicKey{}, fmt.Errorf("kid too long or not printable: %w", ErrMalformed)
	case r.Kty == "":
		return publicKey{}, fmt.Errorf("key without kty: %w", ErrMalformed)
	case r.Kty != "EC" && r.Kty != "RSA":
		return publicKey{}, nil
	}
	members := map[string]string{"kty": r.Kty, "n": r.N, "e": r.E}
	if r.Kty == "EC" {
		members = map[string]string{"kty": r.Kty, "crv": r.Crv, "x": r.X, "y": r.Y}
	}
	raw, err := json.Marshal(members)
	if err != nil {
		return publicKey{}, fmt.Errorf("copying key: %w", err)
	}
	var jwk gojose.JSONWebKey
	if err := jwk.UnmarshalJSON(raw); err != nil {
		return publicKey{}, fmt.Errorf("parsing key: %w", ErrMalformed)
	}
	if err := acceptKey(jwk.Key); err != nil {
		return publicKey{}, err
	}
	return publicKey{kid: r.KID, kty: r.Kty, use: r.Use, alg: r.Alg, key: jwk.Key}, nil
}

// acceptKey refuses key types and sizes that we never use (FAPI 1 Baseline
// §5.2.2-5, FAPI 2 §5.4.1-3); an even or huge exponent is nobody's honest choice.
func acceptKey(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		if bits >= minRSA && bits <= maxRSA && k.E >= 3 && k.E < 1<<31 && k.E%2 == 1 {
			return nil
		}
	}
	return fmt.Errorf("key type or size not allowed: %w", ErrMalformed)
}

// keyServes reports whether kty and curve of the key are those of alg (RFC 7518
// §3.4, §3.5, §4.3, §4.6).
func keyServes(alg string, pub crypto.PublicKey) bool {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return alg == ECDHES || alg == ES256 && k.Curve == elliptic.P256()
	case *rsa.PublicKey:
		return alg == PS256 || alg == RSAOAEP256
	}
	return false
}

// GenerateKey makes a key pair for alg: P-256, or RSA with 2048 bits.
func GenerateKey(alg string) (crypto.Signer, error) {
	switch alg {
	case ES256, ECDHES:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case PS256, RSAOAEP256:
		return rsa.GenerateKey(rand.Reader, minRSA)
	}
	return nil, fmt.Errorf("generating key for %s: %w", alg, ErrAlgorithm)
}

// PublicJWK writes a public key as JWK; it refuses private and symmetric ones.
func PublicJWK(kid, use, alg string, pub crypto.PublicKey) ([]byte, error) {
	if err := acceptKey(pub); err != nil {
		return nil, fmt.Errorf("writing public key: %w", err)
	}
	return gojose.JSONWebKey{Key: pub, KeyID: kid, Use: use, Algorithm: alg}.MarshalJSON()
}

// PrivateJWK writes a private key as JWK, for sealing and for test clients.
func PrivateJWK(kid, use, alg string, priv crypto.PrivateKey) ([]byte, error) {
	if _, err := publicOf(priv); err != nil {
		return nil, fmt.Errorf("writing private key: %w", err)
	}
	return gojose.JSONWebKey{Key: priv, KeyID: kid, Use: use, Algorithm: alg}.MarshalJSON()
}

// ParsePrivateJWK reads what PrivateJWK wrote. It refuses public keys and the
// types and sizes that ParseKeySet refuses.
func ParsePrivateJWK(raw []byte) (kid, use, alg string, key crypto.PrivateKey, err error) {
	var strict rawKey
	if err := Decode(raw, &strict); err != nil {
		return "", "", "", nil, fmt.Errorf("reading private key: %w", err)
	}
	var jwk gojose.JSONWebKey
	if err := jwk.UnmarshalJSON(raw); err != nil {
		return "", "", "", nil, fmt.Errorf("parsing private key: %w", ErrMalformed)
	}
	if _, err := publicOf(jwk.Key); err != nil {
		return "", "", "", nil, fmt.Errorf("reading private key: %w", err)
	}
	return jwk.KeyID, jwk.Use, jwk.Algorithm, jwk.Key, nil
}

// publicOf returns the public half of an EC or RSA private key of allowed size.
func publicOf(priv crypto.PrivateKey) (crypto.PublicKey, error) {
	var pub crypto.PublicKey
	switch k := priv.(type) {
	case *ecdsa.PrivateKey:
		pub = &k.PublicKey
	case *rsa.PrivateKey:
		pub = &k.PublicKey
	default:
		return nil, fmt.Errorf("not an EC or RSA private key: %w", ErrMalformed)
	}
	return pub, acceptKey(pub)
}

// Thumbprint is the SHA-256 thumbprint of a public key (RFC 7638), our kid.
func Thumbprint(pub crypto.PublicKey) (string, error) {
	if err := acceptKey(pub); err != nil {
		return "", fmt.Errorf("taking thumbprint: %w", err)
	}
	jwk := gojose.JSONWebKey{Key: pub}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("taking thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
