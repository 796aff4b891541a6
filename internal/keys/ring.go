package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// secretSize is the length of the issuer secret in bytes; kekSize that of the
// key encryption key.
const (
	secretSize = 32
	kekSize    = 32
)

// Store is where sealed keys and the sealed issuer secret live.
type Store interface {
	ReadKeys(ctx context.Context, issuer string) ([]fapi.SigningKey, error)
	// InsertKeys answers fapi.ErrConflict when another process made them first.
	InsertKeys(ctx context.Context, issuer string, keys []fapi.SigningKey, actor string, now time.Time) error
	// RotateKeys retires what is current, makes current what is next, and then
	// inserts keys as they are.
	RotateKeys(ctx context.Context, issuer string, keys []fapi.SigningKey, retireAt, now time.Time, actor string) error
	// EnsureIssuer stores the secret unless there is one, and returns the stored one.
	EnsureIssuer(ctx context.Context, issuer string, sealedSecret []byte, now time.Time) ([]byte, error)
}

// Config is what a ring is made of; all of it is needed.
type Config struct {
	Issuer string
	// KEK is the key encryption key, 32 bytes. It is never printed.
	KEK []byte
	// RetireAfter is how long a retired key stays published: the life of the
	// longest-lived token it signed, and of the copies of the JWKS out there.
	RetireAfter time.Duration
}

// Format implements fmt.Formatter, so that no verb prints the key encryption key.
func (c Config) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "{Issuer:%s KEK:[redacted] RetireAfter:%s}", c.Issuer, c.RetireAfter)
}

// Deps are the ring's surroundings.
type Deps struct {
	Store Store
	Now   func() time.Time
	Rand  io.Reader
}

// Ring holds the keys of one issuer. It is safe for concurrent use; it is empty
// until Open.
type Ring struct {
	issuer      string
	retireAfter time.Duration
	store       Store
	now         func() time.Time
	random      io.Reader
	sealer      *sealer

	loading sync.Mutex // one load at a time: an older read never replaces a newer one
	loaded  atomic.Pointer[snapshot]
}

// New makes an empty ring; it refuses missing parts and a key encryption key
// that is not 32 bytes or all zero.
func New(cfg Config, deps Deps) (*Ring, error) {
	switch {
	case cfg.Issuer == "":
		return nil, errors.New("keys: no issuer")
	case len(cfg.KEK) != kekSize || allZero(cfg.KEK):
		return nil, fmt.Errorf("keys: the key encryption key must be %d random bytes", kekSize)
	case cfg.RetireAfter <= 0:
		return nil, errors.New("keys: no time after which a retired key leaves")
	case deps.Store == nil || deps.Now == nil || deps.Rand == nil:
		return nil, errors.New("keys: store, clock or randomness missing")
	}
	sealer, err := newSealer(cfg.KEK, deps.Rand)
	if err != nil {
		return nil, err
	}
	return &Ring{issuer: cfg.Issuer, retireAfter: cfg.RetireAfter, store: deps.Store,
		now: deps.Now, random: deps.Rand, sealer: sealer}, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// Format implements fmt.Formatter: a ring prints as its issuer and nothing else.
func (r *Ring) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "keys.Ring(%s)", r.issuer) }

// Open makes what is missing, keys and issuer secret, and loads the ring. Several
// processes may open the same issuer at once: one makes a key, all use it.
func (r *Ring) Open(ctx context.Context, actor string) error {
	if err := r.ensureKeys(ctx, actor); err != nil {
		return err
	}
	return r.Reload(ctx)
}

// maxAttempts bounds how often Open starts again after another process was first.
const maxAttempts = 5

func (r *Ring) ensureKeys(ctx context.Context, actor string) error {
	for range maxAttempts {
		stored, err := r.store.ReadKeys(ctx, r.issuer)
		if err != nil {
			return fmt.Errorf("reading keys: %w", err)
		}
		wanted := missing(stored)
		if len(wanted) == 0 {
			return nil
		}
		fresh, err := r.generate(wanted)
		if err != nil {
			return err
		}
		err = r.store.InsertKeys(ctx, r.issuer, fresh, actor, r.now())
		if err != nil && !errors.Is(err, fapi.ErrConflict) {
			return fmt.Errorf("storing keys: %w", err)
		}
	}
	return fmt.Errorf("making keys: %w", fapi.ErrConflict)
}

// Reload reads the keys anew. On failure the ring keeps what it has.
func (r *Ring) Reload(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	stored, err := r.store.ReadKeys(ctx, r.issuer)
	if err != nil {
		return fmt.Errorf("reading keys: %w", err)
	}
	secret, err := r.issuerSecret(ctx)
	if err != nil {
		return err
	}
	next, err := r.open(stored, secret)
	if err != nil {
		return err
	}
	r.loaded.Store(next)
	return nil
}

// issuerSecret returns the secret of the first process that ever asked; rotation
// does not touch it, because pairwise subjects hang from it.
func (r *Ring) issuerSecret(ctx context.Context) ([]byte, error) {
	if s := r.loaded.Load(); s != nil {
		return s.secret, nil
	}
	fresh := make([]byte, secretSize)
	if _, err := io.ReadFull(r.random, fresh); err != nil {
		return nil, fmt.Errorf("drawing the issuer secret: %w", err)
	}
	sealed, err := r.sealer.seal(fresh, secretLabel(r.issuer))
	if err != nil {
		return nil, err
	}
	stored, err := r.store.EnsureIssuer(ctx, r.issuer, sealed, r.now())
	if err != nil {
		return nil, fmt.Errorf("storing the issuer secret: %w", err)
	}
	secret, err := r.sealer.open(stored, secretLabel(r.issuer))
	if err != nil || len(secret) != secretSize {
		return nil, fmt.Errorf("opening the issuer secret: %w", errUnsealed)
	}
	return secret, nil
}

// Rotate retires the current keys, puts the published next ones in their place,
// stores new ones and loads the ring. Encryption keys have no next: nobody needs
// to know one before it is used.
func (r *Ring) Rotate(ctx context.Context, actor string) error {
	fresh, err := r.generate(afterRotation())
	if err != nil {
		return err
	}
	now := r.now()
	if err := r.store.RotateKeys(ctx, r.issuer, fresh, now.Add(r.retireAfter), now, actor); err != nil {
		return fmt.Errorf("rotating keys: %w", err)
	}
	return r.Reload(ctx)
}

// List returns the stored keys without their sealed halves.
func (r *Ring) List(ctx context.Context) ([]fapi.SigningKey, error) {
	stored, err := r.store.ReadKeys(ctx, r.issuer)
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	out := make([]fapi.SigningKey, len(stored))
	for i, k := range stored {
		k.Sealed = nil
		out[i] = k
	}
	return out, nil
}

// Signer returns the current signer for alg; it refuses when there is none.
func (r *Ring) Signer(alg string) (jose.Signer, error) {
	if s := r.loaded.Load(); s != nil {
		if signer, ok := s.signers[alg]; ok {
			return signer, nil
		}
	}
	return jose.Signer{}, fmt.Errorf("finding a signer for %s: %w", alg, fapi.ErrNotFound)
}

// Public returns what stands in the JWKS now: next and current keys, and retired
// signing keys that are not yet due. Retired encryption keys still open what
// comes, but are no longer offered.
func (r *Ring) Public() *jose.KeySet {
	if s := r.loaded.Load(); s != nil {
		return s.at(r.now()).public
	}
	return nil
}

// Decrypters returns the keys that open what is encrypted to us, those of the
// current state first.
func (r *Ring) Decrypters() []jose.Decrypter {
	if s := r.loaded.Load(); s != nil {
		return s.at(r.now()).decrypters
	}
	return nil
}
