package keys

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// derivedSize is the length of a derived secret in bytes.
const derivedSize = 32

// PairwiseSubject is the sub by which one sector knows one customer (OIDC Core
// §8.1): an HMAC under the issuer secret, the same for ever, different in each
// sector and at each issuer, and not to be turned back. It is "" while the ring
// is not open.
func (r *Ring) PairwiseSubject(sector, customer string) string {
	s := r.loaded.Load()
	if s == nil {
		return ""
	}
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(sector))
	mac.Write([]byte{0})
	mac.Write([]byte(customer))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// DerivedSecret returns 32 bytes of the issuer secret for one purpose, such as
// sealing cookies (HKDF, RFC 5869). It is nil while the ring is not open.
func (r *Ring) DerivedSecret(purpose string) []byte {
	s := r.loaded.Load()
	if s == nil {
		return nil
	}
	out, err := hkdf.Key(sha256.New, s.secret, nil, "procura "+purpose, derivedSize)
	if err != nil {
		return nil // the length is a constant far below the bound of HKDF
	}
	return out
}
