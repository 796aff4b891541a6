package keys

import (
	"fmt"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// slot is a place in the ring that holds exactly one key.
type slot struct{ use, alg, state string }

// slots lists every key that an issuer needs.
func slots() []slot {
	return []slot{
		{jose.UseSig, jose.ES256, fapi.KeyCurrent},
		{jose.UseSig, jose.ES256, fapi.KeyNext},
		{jose.UseSig, jose.PS256, fapi.KeyCurrent},
		{jose.UseSig, jose.PS256, fapi.KeyNext},
		{jose.UseEnc, jose.RSAOAEP256, fapi.KeyCurrent},
		{jose.UseEnc, jose.ECDHES, fapi.KeyCurrent},
	}
}

// afterRotation lists the slots that a rotation leaves empty.
func afterRotation() []slot {
	var out []slot
	for _, s := range slots() {
		if s.state == fapi.KeyNext || s.use == jose.UseEnc {
			out = append(out, s)
		}
	}
	return out
}

// missing lists the slots that no stored key fills.
func missing(stored []fapi.SigningKey) []slot {
	filled := make(map[slot]bool, len(stored))
	for _, k := range stored {
		filled[slot{k.Use, k.Alg, k.State}] = true
	}
	var out []slot
	for _, s := range slots() {
		if !filled[s] {
			out = append(out, s)
		}
	}
	return out
}

func (r *Ring) generate(wanted []slot) ([]fapi.SigningKey, error) {
	out := make([]fapi.SigningKey, 0, len(wanted))
	for _, s := range wanted {
		key, err := r.generateOne(s)
		if err != nil {
			return nil, fmt.Errorf("making a key for %s: %w", s.alg, err)
		}
		out = append(out, key)
	}
	return out, nil
}

// generateOne makes and seals a key; its kid is its thumbprint, so that no two
// keys ever share one.
func (r *Ring) generateOne(s slot) (fapi.SigningKey, error) {
	priv, err := jose.GenerateKey(s.alg)
	if err != nil {
		return fapi.SigningKey{}, err
	}
	kid, err := jose.Thumbprint(priv.Public())
	if err != nil {
		return fapi.SigningKey{}, err
	}
	public, err := jose.PublicJWK(kid, s.use, s.alg, priv.Public())
	if err != nil {
		return fapi.SigningKey{}, err
	}
	private, err := jose.PrivateJWK(kid, s.use, s.alg, priv)
	if err != nil {
		return fapi.SigningKey{}, err
	}
	sealed, err := r.sealer.seal(private, keyLabel(r.issuer, kid))
	clear(private)
	if err != nil {
		return fapi.SigningKey{}, err
	}
	return fapi.SigningKey{KID: kid, Issuer: r.issuer, Use: s.use, Alg: s.alg, State: s.state,
		Public: public, Sealed: sealed, CreatedAt: r.now()}, nil
}
