// Package consent keeps the intents that TPPs lodge and customers decide on: one
// state machine, that of fapi.ConsentMayMove, and its words in each version of the
// UK Open Banking API. It serves account-access-consents to the gateway, which has
// checked the TPP's token, scope and role; what the TPP's own request must say is
// checked here.
//
// It refuses every caller but a registered resource server, permissions that are
// unknown or make no sense together, dates that are past or no dates, members that
// the API does not define, and consents of another client or of nobody, which look
// the same. The customer's decision is package authz's.
package consent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
)

// kindAccountAccess is the Kind of what this package lodges.
const kindAccountAccess = "account-access"

// Store keeps consents. DeleteConsent is one conditional statement that also
// revokes what hangs from the consent.
type Store interface {
	InsertConsent(ctx context.Context, c fapi.Consent) error
	ReadConsent(ctx context.Context, issuer, id string) (*fapi.Consent, error)
	DeleteConsent(ctx context.Context, issuer, clientID, id string, now, feedUntil time.Time) error
}

// Authenticator finds out which resource server calls.
type Authenticator interface {
	Authenticate(ctx context.Context, req clientauth.Request) (clientauth.Result, error)
}

// Directory finds the client that a resource server speaks for.
type Directory interface {
	Find(ctx context.Context, id string) (*clients.Registered, error)
}

// Config says whose consents are kept.
type Config struct {
	Issuer fapi.Issuer
}

// Deps are what the room needs of others. Revoked is called when a consent has
// ended, so that the feed need not wait for its next look.
type Deps struct {
	Store   Store
	Callers Authenticator
	Clients Directory
	Revoked func()
	Now     func() time.Time
	Rand    io.Reader
}

// Service keeps the consents of one issuer.
type Service struct {
	issuer fapi.Issuer
	deps   Deps
}

// New refuses missing parts.
func New(cfg Config, deps Deps) (*Service, error) {
	if cfg.Issuer.URL == "" || cfg.Issuer.Audience == "" {
		return nil, errors.New("consent: an Issuer with its Audience is needed")
	}
	if deps.Store == nil || deps.Callers == nil || deps.Clients == nil || deps.Revoked == nil ||
		deps.Now == nil || deps.Rand == nil {
		return nil, errors.New("consent: Store, Callers, Clients, Revoked, Now and Rand are all needed")
	}
	return &Service{issuer: cfg.Issuer, deps: deps}, nil
}

// Lodge stores what a TPP asks for; the customer has not seen it yet.
func (s *Service) Lodge(ctx context.Context, client *clients.Registered, asked Request) (*fapi.Consent, error) {
	now := s.deps.Now()
	if err := asked.check(now); err != nil {
		return nil, err
	}
	id, err := uuid.NewRandomFromReader(s.deps.Rand)
	if err != nil {
		return nil, fmt.Errorf("drawing a consent id: %w", err)
	}
	c := fapi.Consent{ID: id.String(), Issuer: s.issuer.URL, ClientID: client.ID, Kind: kindAccountAccess,
		Permissions: asked.Permissions, Status: fapi.ConsentAwaiting, CreatedAt: now, UpdatedAt: now,
		ExpiresAt: asked.ExpiresAt, TransactionFrom: asked.TransactionFrom, TransactionTo: asked.TransactionTo}
	if err := s.deps.Store.InsertConsent(ctx, c); err != nil {
		return nil, fmt.Errorf("storing a consent: %w", err)
	}
	return &c, nil
}

// Read returns a consent to the client that lodged it. One that was deleted is
// gone (UK Open Banking 3.1 and 4.0: 400), as is another client's.
func (s *Service) Read(ctx context.Context, client *clients.Registered, id string) (*fapi.Consent, error) {
	if !isID(id) {
		return nil, unknownConsent(nil)
	}
	c, err := s.deps.Store.ReadConsent(ctx, s.issuer.URL, id)
	switch {
	case errors.Is(err, fapi.ErrNotFound):
		return nil, unknownConsent(err)
	case err != nil:
		return nil, fmt.Errorf("reading a consent: %w", err)
	case c.ClientID != client.ID || c.Kind != kindAccountAccess || c.Status == fapi.ConsentDeleted:
		return nil, unknownConsent(errors.New("the consent is deleted, or another client's"))
	}
	return c, nil
}

// Delete ends a consent at the wish of the client that lodged it; its grants end
// in the same statement, and their tokens are dead within a second. A consent in
// a final state stays as it is.
func (s *Service) Delete(ctx context.Context, client *clients.Registered, id string) error {
	if !isID(id) {
		return unknownConsent(nil)
	}
	now := s.deps.Now()
	err := s.deps.Store.DeleteConsent(ctx, s.issuer.URL, client.ID, id, now, feedUntil(client, now))
	switch {
	case errors.Is(err, fapi.ErrNotFound):
		return unknownConsent(err)
	case errors.Is(err, fapi.ErrConflict):
		return refused(invalidStatus, "the consent is in a final state", "").because(err)
	case err != nil:
		return fmt.Errorf("deleting a consent: %w", err)
	}
	s.deps.Revoked()
	return nil
}

// feedUntil is when the last access token of the client is dead everywhere: one
// may be minted while the consent ends, and resource servers allow for clocks
// that differ.
func feedUntil(client *clients.Registered, now time.Time) time.Time {
	return now.Add(client.Rules.AccessLife + fapi.ClockSkew)
}

// isID accepts the plain text form of a UUID alone: nothing else was ever given out.
func isID(id string) bool { return len(id) == 36 && uuid.Validate(id) == nil }
