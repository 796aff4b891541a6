package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Verify checks a compact JWS and returns its header and payload. The order is
// that of RFC 8725 §3.1: shape, header, algorithm against the caller's list, key,
// and only then the signature. A kid names the only keys that are tried; without
// one every fitting key is, up to a bound. jwk, jku, x5u and x5c are not looked
// at (§3.10). Claims, typ among them, are the caller's to check.
func Verify(compact string, keys *KeySet, algs []string) (Header, []byte, error) {
	h, parts, err := parseJWS(compact)
	if err != nil {
		return Header{}, nil, err
	}
	if !slices.Contains(algs, h.Alg) || !isSignature(h.Alg) {
		return Header{}, nil, fmt.Errorf("reading header: %w", ErrAlgorithm)
	}
	candidates := keys.candidates(h.KID, h.Alg, UseSig)
	if len(candidates) == 0 {
		return Header{}, nil, ErrKey
	}
	payload, err := decodePart(parts[1])
	if err != nil {
		return Header{}, nil, err
	}
	sig, err := decodePart(parts[2])
	if err != nil {
		return Header{}, nil, err
	}
	digest := sha256.Sum256([]byte(compact[:strings.LastIndexByte(compact, '.')]))
	for _, k := range candidates {
		if checkSignature(h.Alg, k.key, digest[:], sig) {
			return h, payload, nil
		}
	}
	return Header{}, nil, ErrSignature
}

func isSignature(alg string) bool { return alg == ES256 || alg == PS256 }

// checkSignature is strict about form: ES256 is 64 raw bytes, never DER, and a
// PS256 salt is as long as the hash (RFC 7518 §3.4, §3.5).
func checkSignature(alg string, key crypto.PublicKey, digest, sig []byte) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if alg != ES256 || len(sig) != 2*es256Half {
			return false
		}
		r, s := new(big.Int).SetBytes(sig[:es256Half]), new(big.Int).SetBytes(sig[es256Half:])
		return r.Sign() > 0 && s.Sign() > 0 && ecdsa.Verify(k, digest, r, s)
	case *rsa.PublicKey:
		return alg == PS256 && len(sig) == k.Size() &&
			rsa.VerifyPSS(k, crypto.SHA256, digest, sig, pssOptions()) == nil
	}
	return false
}
