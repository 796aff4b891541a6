package keys

import (
	"bytes"
	"crypto"
	"fmt"
	"slices"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// snapshot is the ring as one load found it. It is never changed.
type snapshot struct {
	secret  []byte
	signers map[string]jose.Signer
	views   []view // by time; the last one has no end
}

// view is what holds until a retired key falls due.
type view struct {
	until      time.Time // zero: for good
	public     *jose.KeySet
	decrypters []jose.Decrypter
}

func (s *snapshot) at(now time.Time) *view {
	last := len(s.views) - 1
	for i := range s.views[:last] {
		if now.Before(s.views[i].until) {
			return &s.views[i]
		}
	}
	return &s.views[last]
}

// opened is a stored key after its seal was opened.
type opened struct {
	fapi.SigningKey
	private crypto.Signer
	jwk     []byte // public, derived from private
}

// aliveAt reports whether the key is of any use at t: a retired one is until it
// falls due.
func (o *opened) aliveAt(t time.Time) bool {
	return o.State != fapi.KeyRetired || t.Before(o.RetireAt)
}

// open turns stored rows into a snapshot. One row that does not open fails it
// all: somebody touched the table.
func (r *Ring) open(stored []fapi.SigningKey, secret []byte) (*snapshot, error) {
	now := r.now()
	s := &snapshot{secret: secret, signers: make(map[string]jose.Signer)}
	var ring []opened
	for _, row := range stored {
		if o := (opened{SigningKey: row}); !o.aliveAt(now) {
			continue
		}
		key, err := r.openKey(row)
		if err != nil {
			return nil, fmt.Errorf("opening key %q: %w", row.KID, err)
		}
		ring = append(ring, key)
	}
	slices.SortStableFunc(ring, func(a, b opened) int { return rank(a.State) - rank(b.State) })
	if err := s.addSigners(ring); err != nil {
		return nil, err
	}
	return s, s.addViews(ring, now)
}

// rank puts the keys in use first: readers that take the first match take those.
func rank(state string) int {
	switch state {
	case fapi.KeyCurrent:
		return 0
	case fapi.KeyNext:
		return 1
	default:
		return 2
	}
}

// openKey unseals one row and holds what it finds against the row's labels.
func (r *Ring) openKey(row fapi.SigningKey) (opened, error) {
	raw, err := r.sealer.open(row.Sealed, keyLabel(r.issuer, row.KID))
	if err != nil {
		return opened{}, err
	}
	defer clear(raw)
	kid, use, alg, key, err := jose.ParsePrivateJWK(raw)
	if err != nil {
		return opened{}, err
	}
	private, ok := key.(crypto.Signer)
	if !ok || kid != row.KID || use != row.Use || alg != row.Alg || row.Issuer != r.issuer {
		return opened{}, errUnsealed
	}
	jwk, err := jose.PublicJWK(kid, use, alg, private.Public())
	if err != nil {
		return opened{}, err
	}
	row.Sealed = nil
	return opened{SigningKey: row, private: private, jwk: jwk}, nil
}

// addSigners takes the current signing keys; there must be one per algorithm.
func (s *snapshot) addSigners(ring []opened) error {
	for i := range ring {
		k := &ring[i]
		if k.Use != jose.UseSig || k.State != fapi.KeyCurrent {
			continue
		}
		signer, err := jose.NewSigner(k.KID, k.Alg, k.private)
		if err != nil {
			return fmt.Errorf("using key %q: %w", k.KID, err)
		}
		if _, taken := s.signers[k.Alg]; taken {
			return fmt.Errorf("two current keys for %s: %w", k.Alg, fapi.ErrConflict)
		}
		s.signers[k.Alg] = signer
	}
	for _, alg := range []string{jose.ES256, jose.PS256} {
		if _, ok := s.signers[alg]; !ok {
			return fmt.Errorf("no current key for %s: %w", alg, fapi.ErrNotFound)
		}
	}
	return nil
}

// addViews works out now what the ring will look like as each retired key falls
// due, so that nothing can fail when the time comes.
func (s *snapshot) addViews(ring []opened, now time.Time) error {
	var ends []time.Time
	for i := range ring {
		if ring[i].State == fapi.KeyRetired {
			ends = append(ends, ring[i].RetireAt)
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	ends = slices.CompactFunc(ends, time.Time.Equal)
	from := now
	for _, end := range append(ends, time.Time{}) {
		v, err := viewAt(ring, from)
		if err != nil {
			return err
		}
		v.until, from = end, end
		s.views = append(s.views, v)
	}
	return nil
}

func viewAt(ring []opened, t time.Time) (view, error) {
	var v view
	var published [][]byte
	for i := range ring {
		k := &ring[i]
		if !k.aliveAt(t) {
			continue
		}
		if k.Use == jose.UseSig || k.State != fapi.KeyRetired {
			published = append(published, k.jwk)
		}
		if k.Use == jose.UseEnc {
			d, err := jose.NewDecrypter(k.KID, k.Alg, k.private)
			if err != nil {
				return view{}, fmt.Errorf("using key %q: %w", k.KID, err)
			}
			v.decrypters = append(v.decrypters, d)
		}
	}
	var err error
	v.public, err = jose.ParseKeySet(slices.Concat([]byte(`{"keys":[`), bytes.Join(published, []byte(",")), []byte(`]}`)))
	if err != nil {
		return view{}, fmt.Errorf("publishing keys: %w", err)
	}
	return v, nil
}
