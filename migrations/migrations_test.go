package migrations_test

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/procura/procura/internal/pgtest"
	"github.com/procura/procura/migrations"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func query(t *testing.T, dsn, sql string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// catalog describes all that makes the schema: columns, constraints, indexes and
// the version rows, a line each.
func catalog(t *testing.T, dsn string) []string {
	t.Helper()
	return query(t, dsn, `
SELECT concat_ws(' ', 'column', c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
	CASE WHEN a.attnotnull THEN 'not null' END, a.attidentity, pg_get_expr(d.adbin, d.adrelid))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT concat_ws(' ', 'index', indexdef) FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT concat_ws(' ', 'relation', relkind, relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT concat_ws(' ', 'routine', proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT concat_ws(' ', 'trigger', tgname) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT concat_ws(' ', 'version', id, version_id, is_applied) FROM goose_db_version
ORDER BY 1`)
}

// What a DBA applies by hand is what Up makes, and Up then has nothing to do.
func TestPrintIsUp(t *testing.T) {
	script, err := migrations.Print()
	if err != nil {
		t.Fatal(err)
	}
	wanted := catalog(t, pgtest.NewDSN(t))
	if len(wanted) < 150 {
		t.Fatalf("the catalog has only %d lines", len(wanted))
	}
	for name, apply := range map[string]func(t *testing.T, dsn string){
		"psql": func(t *testing.T, dsn string) {
			psql, err := exec.LookPath("psql")
			if err != nil {
				t.Skip("psql is not on this machine; the driver applies the same script")
			}
			cmd := exec.Command(psql, "-X", "-q", dsn)
			cmd.Stdin = strings.NewReader(script)
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Fatalf("%v: %s", err, out)
			}
		},
		"driver": func(t *testing.T, dsn string) {
			var sql strings.Builder
			for line := range strings.Lines(script) {
				if !strings.HasPrefix(line, `\`) { // psql's own commands
					sql.WriteString(line)
				}
			}
			conn, err := pgx.Connect(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.WithoutCancel(t.Context()))
			if _, err := conn.Exec(t.Context(), sql.String(), pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := pgtest.NewEmptyDSN(t)
			apply(t, dsn)
			if diff := cmp.Diff(wanted, catalog(t, dsn)); diff != "" {
				t.Errorf("Up (-) and print (+) differ:\n%s", diff)
			}
			if applied, err := migrations.Up(t.Context(), dsn); err != nil || len(applied) != 0 {
				t.Errorf("Up applied %v, %v", applied, err)
			}
		})
	}
}

// Servers that start together migrate once.
func TestUpTogether(t *testing.T) {
	dsn := pgtest.NewEmptyDSN(t)
	var mu sync.Mutex
	var applied []string
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			names, err := migrations.Up(t.Context(), dsn)
			mu.Lock()
			defer mu.Unlock()
			applied = append(applied, names...)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if int64(len(applied)) != migrations.Latest {
		t.Errorf("applied %v", applied)
	}
	if diff := cmp.Diff(catalog(t, pgtest.NewDSN(t)), catalog(t, dsn)); diff != "" {
		t.Errorf("template (-) and this (+) differ:\n%s", diff)
	}
}

func TestStatus(t *testing.T) {
	dsn := pgtest.NewEmptyDSN(t)
	check := func(done bool) {
		t.Helper()
		steps, err := migrations.Status(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range steps {
			if s.Version != int64(i+1) || s.Name == "" || s.AppliedAt.IsZero() == done {
				t.Errorf("step %+v", s)
			}
		}
		if int64(len(steps)) != migrations.Latest {
			t.Errorf("%d steps", len(steps))
		}
	}
	check(false)
	if _, err := migrations.Up(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	check(true)
}

// No error repeats a DSN.
func TestDSNStaysSecret(t *testing.T) {
	const dsn = "postgres://u:s3cret@h:port/db"
	_, up := migrations.Up(t.Context(), dsn)
	_, status := migrations.Status(t.Context(), dsn)
	for _, err := range []error{up, status} {
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("error %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := migrations.Up(ctx, "postgres://u:s3cret@127.0.0.1:1/db"); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error %v", err)
	}
}

// Every foreign key has an index that begins with its columns: without one, a
// deletion from the other table reads the whole of this one.
func TestForeignKeysIndexed(t *testing.T) {
	dsn := pgtest.NewDSN(t)
	const bare = `
SELECT k.conname FROM pg_constraint k WHERE k.contype = 'f' AND NOT EXISTS (
	SELECT FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indpred IS NULL
	AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] = k.conkey)`
	if keys := query(t, dsn, bare); len(keys) > 0 {
		t.Errorf("foreign keys without an index: %v", keys)
	}
	query(t, dsn, `DROP INDEX codes_grant`)
	if keys := query(t, dsn, bare); !slices.Equal(keys, []string{"codes_grant_fkey"}) {
		t.Errorf("the check does not see a missing index: %v", keys)
	}
}

// What one brand of the bank issued is unknown to the other: every row says whose
// it is. What expires can be found by its expiry.
func TestSchemaRules(t *testing.T) {
	dsn := pgtest.NewDSN(t)
	without := query(t, dsn, `
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
	AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'issuer' AND a.attnotnull)
ORDER BY 1`)
	if diff := cmp.Diff([]string{"goose_db_version", "goose_lock", "leases"}, without); diff != "" {
		t.Errorf("tables without an issuer:\n%s", diff)
	}
	slow := query(t, dsn, `
SELECT DISTINCT ON (c.relname) c.relname::text FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('expires_at', 'keep_until')
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname NOT IN ('leases', 'consents')
	AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute e ON e.attrelid = c.oid AND e.attnum = i.indkey[0]
		WHERE i.indrelid = c.oid AND e.attname IN ('expires_at', 'keep_until'))`)
	if len(slow) > 0 {
		t.Errorf("tables without an expiry index: %v", slow)
	}
}

// The serving role has rights on every table that it needs and on no other.
func TestGrantsAreComplete(t *testing.T) {
	sql := migrations.Grants(`we"ird`)
	if !strings.Contains(sql, `"we""ird"`) {
		t.Errorf("the role is not quoted:\n%s", sql)
	}
	words := strings.FieldsFunc(sql, func(r rune) bool { return strings.ContainsRune(" ,;\n", r) })
	for _, table := range query(t, pgtest.NewDSN(t), `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`) {
		if slices.Contains(words, table) == (table == "goose_lock") {
			t.Errorf("table %s: granted %v", table, table == "goose_lock")
		}
	}
}

// A row whose state and columns disagree cannot be stored, whoever writes it.
func TestChecksHold(t *testing.T) {
	dsn := pgtest.NewDSN(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	const t0, t1 = `'2026-01-01'`, `'2026-01-02'`
	const d = `decode(repeat('00', 32), 'hex')`
	if _, err := conn.Exec(t.Context(), `INSERT INTO clients VALUES ('i', 'c', 'p', '{"client_id": "c", "profile": "p"}', `+t0+`, `+t0+`)`); err != nil {
		t.Fatal(err)
	}
	for name, sql := range map[string]string{
		"clients_metadata_agrees":       `INSERT INTO clients VALUES ('i', 'd', 'p', '{"client_id": "c", "profile": "p"}', ` + t0 + `, ` + t0 + `)`,
		"signing_keys_retired_has_date": `INSERT INTO signing_keys VALUES ('i', 'k', 'sig', 'ES256', 'retired', '{}', '\x01', ` + t0 + `)`,
		"pushed_requests_digest":        `INSERT INTO pushed_requests VALUES ('\x01', 'i', 'c', '{}', ` + t0 + `, ` + t1 + `, ` + t1 + `)`,
		"pushed_requests_life":          `INSERT INTO pushed_requests VALUES (` + d + `, 'i', 'c', '{}', ` + t1 + `, ` + t0 + `, ` + t1 + `)`,
		"interactions_login":            `INSERT INTO interactions VALUES (gen_random_uuid(), 'i', 'c', '{}', NULL, ` + d + `, 'logged_in', NULL, ` + t0 + `, ` + t1 + `)`,
		"interactions_decided":          `INSERT INTO interactions VALUES (gen_random_uuid(), 'i', 'c', '{}', NULL, ` + d + `, 'refused', NULL, ` + t0 + `, ` + t1 + `)`,
		"consents_customer":             `INSERT INTO consents VALUES ('i', 'x', 'c', 'k', '{}', 'authorised', NULL, ` + t0 + `, ` + t0 + `)`,
		"consents_status":               `INSERT INTO consents VALUES ('i', 'x', 'c', 'k', '{}', 'pending', NULL, ` + t0 + `, ` + t0 + `)`,
		"consents_client_fkey":          `INSERT INTO consents VALUES ('i', 'x', 'nobody', 'k', '{}', 'awaiting', NULL, ` + t0 + `, ` + t0 + `)`,
		"grants_revoked_has_reason": `INSERT INTO grants VALUES (gen_random_uuid(), 'i', 'c', NULL, 'u', 's', '{}', '{}', '', '{}', NULL, '{}', '{}',
			` + t0 + `, NULL, ` + t1 + `, NULL, ` + t1 + `)`,
		"grants_ended_has_end": `INSERT INTO grants VALUES (gen_random_uuid(), 'i', 'c', NULL, 'u', 's', '{}', '{}', '', '{}', NULL, '{}', '{}',
			` + t0 + `, ` + t1 + `, NULL, NULL, NULL)`,
		"codes_challenge":     `INSERT INTO codes VALUES (` + d + `, gen_random_uuid(), 'i', 'c', 'r', '', 'plain', '{}', ` + t0 + `, ` + t1 + `, ` + t1 + `)`,
		"codes_spent_in_time": `INSERT INTO codes VALUES (` + d + `, gen_random_uuid(), 'i', 'c', 'r', '', '', '{}', ` + t0 + `, ` + t1 + `, ` + t1 + `, ` + t1 + `)`,
		"codes_grant_fkey":    `INSERT INTO codes VALUES (` + d + `, gen_random_uuid(), 'i', 'c', 'r', '', '', '{}', ` + t0 + `, ` + t1 + `, ` + t1 + `)`,
		"changes_revoked":     `INSERT INTO changes VALUES (gen_random_uuid(), 'i', 'grant', 'g', false, ` + t0 + `, ` + t1 + `)`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
