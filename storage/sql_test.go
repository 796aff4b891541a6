package storage_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/procura/procura/internal/pgtest"
	"github.com/procura/procura/migrations"
	"github.com/procura/procura/storage"
)

// Every statement is one that the migrated schema knows.
func TestQueriesPrepare(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), pgtest.NewDSN(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for name, sql := range storage.Queries {
		if _, err := conn.Prepare(t.Context(), name, sql); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The list that the other tests go by has every statement of the package.
func TestQueriesComplete(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, name := range constants(t, file) {
			if !strings.HasSuffix(name, "SQL") || name == "onceSQL" {
				continue
			}
			seen++
			if _, ok := storage.Queries[name]; !ok {
				t.Errorf("%s of %s is missing in export_test.go", name, file)
			}
		}
	}
	if seen != len(storage.Queries) {
		t.Errorf("%d statements in the source, %d in the list", seen, len(storage.Queries))
	}
}

func constants(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, decl := range parsed.Decls {
		if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.CONST {
			for _, spec := range d.Specs {
				for _, id := range spec.(*ast.ValueSpec).Names {
					names = append(names, id.Name)
				}
			}
		}
	}
	return names
}

// banned are constructs that some Postgres-compatible engine lacks or treats
// differently, and the database's own clock: time is a parameter.
var banned = []struct{ name, pattern string }{
	{"the database's clock", `\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(|\bcurrent_(timestamp|date|time)\b|\blocaltime`},
	{"sequences", `\b(big|small)?serial\b|\bidentity\b|\bsequence\b|\bnextval\b`},
	{"LISTEN/NOTIFY", `\b(un)?listen\b|\bnotify\b|\bpg_notify\b`},
	{"advisory locks", `\badvisory\b|\bpg_(try_)?advisory`},
	{"triggers and stored code", `\btrigger\b|\bcreate\s+(or\s+replace\s+)?(function|procedure)\b|\$\$|\blanguage\b`},
	{"extensions", `\bextension\b`},
	{"partitions", `\bpartition\b|\binherits\b`},
	{"unlogged tables", `\bunlogged\b`},
	{"skipped locks", `\bskip\s+locked\b`},
}

// Portable SQL only, in migrations and statements alike.
func TestSQLLint(t *testing.T) {
	texts := map[string]string{}
	for name, sql := range storage.Queries {
		texts[name] = sql
	}
	names, err := fs.Glob(migrations.Files(), "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("migrations: %v, %v", names, err)
	}
	for _, name := range names {
		raw, err := fs.ReadFile(migrations.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(raw)
	}
	for name, text := range texts {
		for _, what := range lint(text) {
			t.Errorf("%s uses %s", name, what)
		}
	}
}

// The lint finds what it is there for.
func TestSQLLintFinds(t *testing.T) {
	for _, bad := range []string{
		"SELECT now()", "DEFAULT CURRENT_TIMESTAMP", "id BIGSERIAL", "id int GENERATED ALWAYS AS IDENTITY",
		"LISTEN changes", "SELECT pg_try_advisory_lock(1)", "CREATE TRIGGER x", "CREATE EXTENSION citext",
		"CREATE FUNCTION f()", "PARTITION BY RANGE (x)", "FOR UPDATE SKIP LOCKED", "CREATE UNLOGGED TABLE x",
		"WITH a AS (UPDATE x SET y = 1), b AS (DELETE FROM x) SELECT 1",
	} {
		if len(lint(bad)) == 0 {
			t.Errorf("%q passes", bad)
		}
	}
}

var comment = regexp.MustCompile(`--[^\n]*`)

// lint returns the names of what text must not use. A statement that changes a
// table twice is refused by some engines and undefined in Postgres.
func lint(text string) []string {
	text = strings.ToLower(comment.ReplaceAllString(text, ""))
	var found []string
	for _, b := range banned {
		if regexp.MustCompile(b.pattern).MatchString(text) {
			found = append(found, b.name)
		}
	}
	changed := map[string]bool{}
	for _, m := range regexp.MustCompile(`\b(?:insert into|update|delete from)\s+(\w+)`).FindAllStringSubmatch(text, -1) {
		if m[1] != "set" && changed[m[1]] {
			found = append(found, "a second change of "+m[1])
		}
		changed[m[1]] = true
	}
	return found
}

// This build's statements are written for the latest schema, and migrations
// accepts what storage accepts.
func TestSchemaVersion(t *testing.T) {
	if storage.SchemaVersion != migrations.Latest {
		t.Errorf("storage is written for schema %d, migrations end at %d", storage.SchemaVersion, migrations.Latest)
	}
	for v, want := range map[int64]bool{migrations.Latest - 1: false, migrations.Latest: true, migrations.Latest + 1: true, migrations.Latest + 2: false} {
		if migrations.Accepts(v) != want {
			t.Errorf("Accepts(%d) = %v", v, !want)
		}
	}
}

// No package but this one and its neighbours speaks to the driver in SQL that the
// lint does not see.
func TestNoInlineSQL(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile("(Query|QueryRow|Exec|Queue)\\([^)]*[\"`]")
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if m := call.Find(raw); m != nil {
			t.Errorf("%s has SQL in a call: %s", file, m)
		}
	}
}
