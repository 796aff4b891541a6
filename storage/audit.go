package storage

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// AuditRow is one act on a grant, consent, client or key. There is no method that
// writes one: the act's own statement does.
type AuditRow struct {
	ID        string
	Issuer    string
	At        time.Time
	Actor     string // "client:<id>", "customer:<id>", or the operator's name
	Act       string // "grant.created", "client.disabled", ...
	ClientID  string
	GrantID   string
	ConsentID string
	Detail    string
}

const listAuditSQL = `SELECT id, at, actor, act, client_id, grant_id, consent_id, detail
FROM audit_events WHERE issuer = $1 ORDER BY at DESC, id LIMIT $2`

// ListAudit returns the newest audit rows of the issuer, newest first.
func (db *DB) ListAudit(ctx context.Context, issuer string, limit int) ([]AuditRow, error) {
	return collect(ctx, db, "listing audit", listAuditSQL, []any{issuer, limit},
		func(r pgx.CollectableRow) (AuditRow, error) {
			a := AuditRow{Issuer: issuer}
			err := r.Scan(&a.ID, &a.At, &a.Actor, &a.Act, text(&a.ClientID), text(&a.GrantID), text(&a.ConsentID), &a.Detail)
			return a, err
		})
}
