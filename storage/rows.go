package storage

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/procura/procura/internal/fapi"
)

// Column lists of the records that joins read whole, in the order of their rows'
// dest methods. The aliases g, k and c are fixed.
const (
	grantColumns = `g.id, g.issuer, g.client_id, g.consent_id, g.customer, g.subject, g.scope, g.claims,
		g.acr, g.amr, g.auth_time, g.accounts, g.profile, g.created_at, g.expires_at, g.revoked_at`
	consentColumns = `c.id, c.issuer, c.client_id, c.kind, c.permissions, c.status, c.customer,
		c.created_at, c.updated_at, c.expires_at, c.transaction_from, c.transaction_to`
)

// text, instant and digest make scan targets and parameters in which the zero
// value of the record and NULL are the same.
func text(s *string) *zeronull.Text              { return (*zeronull.Text)(s) }
func instant(t *time.Time) *zeronull.Timestamptz { return (*zeronull.Timestamptz)(t) }

// list makes a text[] parameter that is never NULL.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// grantRow reads a grant that an outer join may have left out.
type grantRow struct {
	grant           fapi.Grant
	claims, profile []byte
}

func (r *grantRow) dest() []any {
	g := &r.grant
	return []any{text(&g.ID), text(&g.Issuer), text(&g.ClientID), text(&g.ConsentID), text(&g.Customer),
		text(&g.Subject), &g.Scope, &r.claims, text(&g.ACR), &g.AMR, instant(&g.AuthTime), &g.Accounts,
		&r.profile, instant(&g.CreatedAt), instant(&g.ExpiresAt), instant(&g.RevokedAt)}
}

// record returns nil when there was no row.
func (r *grantRow) record() (*fapi.Grant, error) {
	if r.grant.ID == "" {
		return nil, nil
	}
	if err := json.Unmarshal(r.claims, &r.grant.Claims); err != nil {
		return nil, fmt.Errorf("decoding claims of grant %s: %w", r.grant.ID, err)
	}
	if err := json.Unmarshal(r.profile, &r.grant.Profile); err != nil {
		return nil, fmt.Errorf("decoding profile of grant %s: %w", r.grant.ID, err)
	}
	return &r.grant, nil
}

// consentRow reads a consent that an outer join may have left out.
type consentRow struct {
	consent fapi.Consent
	status  string
}

func (r *consentRow) dest() []any {
	c := &r.consent
	return []any{text(&c.ID), text(&c.Issuer), text(&c.ClientID), text(&c.Kind), &c.Permissions, text(&r.status),
		text(&c.Customer), instant(&c.CreatedAt), instant(&c.UpdatedAt), instant(&c.ExpiresAt),
		instant(&c.TransactionFrom), instant(&c.TransactionTo)}
}

// record returns nil when there was no row.
func (r *consentRow) record() *fapi.Consent {
	if r.consent.ID == "" {
		return nil
	}
	r.consent.Status = fapi.ConsentStatus(r.status)
	return &r.consent
}

// isUUID reports whether s has the one spelling that is stored; everything else
// names no row.
func isUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// digestOf reads a digest column; the schema holds its length.
func digestOf(b []byte) (d fapi.Digest) {
	copy(d[:], b)
	return d
}

// optional turns a digest that may be missing into a parameter.
func optional(d *fapi.Digest) []byte {
	if d == nil {
		return nil
	}
	return d.Bytes()
}
