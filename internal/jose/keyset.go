package jose

import (
	"bytes"
	"crypto"
	"encoding/json"
	"fmt"
)

// KeySet is a set of public keys. It is never changed and safe to share.
type KeySet struct {
	keys  []publicKey
	byKID map[string][]publicKey
	raw   []byte
}

// publicKey is one key with what its owner says of it.
type publicKey struct {
	kid, kty, use, alg string
	key                crypto.PublicKey
}

// fits reports whether the key may serve alg in the given use: kty and curve
// must be those of alg, and use and alg of the key must agree where they are set
// (RFC 8725 §3.1: one key, one algorithm).
func (k *publicKey) fits(alg, use string) bool {
	return (k.use == "" || k.use == use) && (k.alg == "" || k.alg == alg) && keyServes(alg, k.key)
}

// ParseKeySet reads a JWK Set (RFC 7517 §5). It refuses the whole set for a
// private or symmetric member, an RSA key below 2048 bits, a point that is not on
// its curve, a curve that is not P-256, P-384 or P-521, more than 50 keys, more
// than 64 KiB, and a kid that stands twice for the same kty, use and alg. Keys of
// a type that we never use are left out, as RFC 7517 §5 asks.
func ParseKeySet(raw []byte) (*KeySet, error) {
	if len(raw) > maxKeySet {
		return nil, fmt.Errorf("key set too large: %w", ErrMalformed)
	}
	var doc struct {
		Keys []rawKey `json:"keys"`
	}
	if err := Decode(raw, &doc); err != nil {
		return nil, fmt.Errorf("reading key set: %w", err)
	}
	if doc.Keys == nil || len(doc.Keys) > maxKeys {
		return nil, fmt.Errorf("key set without keys or with too many: %w", ErrMalformed)
	}
	set := &KeySet{byKID: make(map[string][]publicKey, len(doc.Keys))}
	for i := range doc.Keys {
		if err := set.add(&doc.Keys[i]); err != nil {
			return nil, fmt.Errorf("reading key %d of the set: %w", i, err)
		}
	}
	return set, set.render()
}

func (s *KeySet) add(raw *rawKey) error {
	key, err := raw.public()
	if err != nil || key.key == nil {
		return err
	}
	for _, other := range s.byKID[key.kid] {
		if key.kid != "" && other.kty == key.kty && other.use == key.use && other.alg == key.alg {
			return fmt.Errorf("kid repeated: %w", ErrMalformed)
		}
	}
	s.keys = append(s.keys, key)
	s.byKID[key.kid] = append(s.byKID[key.kid], key)
	return nil
}

// render writes the set anew from the parsed keys, so that nothing else that
// stood in the source can leave by JSON.
func (s *KeySet) render() error {
	doc := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, k := range s.keys {
		jwk, err := PublicJWK(k.kid, k.use, k.alg, k.key)
		if err != nil {
			return err
		}
		doc.Keys = append(doc.Keys, jwk)
	}
	var err error
	s.raw, err = json.Marshal(doc)
	return err
}

// HasKID reports whether a key of that kid is in the set.
func (s *KeySet) HasKID(kid string) bool { return s != nil && kid != "" && len(s.byKID[kid]) > 0 }

// JSON returns the set as a JWK Set of public members only.
func (s *KeySet) JSON() []byte {
	if s == nil {
		return []byte(`{"keys":[]}`)
	}
	return bytes.Clone(s.raw)
}

// candidates returns the keys that may serve: those of the kid when one is
// named, otherwise every fitting one up to a bound.
func (s *KeySet) candidates(kid, alg, use string) []publicKey {
	if s == nil {
		return nil
	}
	pool := s.keys
	if kid != "" {
		pool = s.byKID[kid]
	}
	var out []publicKey
	for _, k := range pool {
		if k.fits(alg, use) && len(out) < maxTries {
			out = append(out, k)
		}
	}
	return out
}
