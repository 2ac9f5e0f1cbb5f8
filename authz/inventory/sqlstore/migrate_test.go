package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
	"github.com/patrol-authz/patrol/authz/usage"
	postgrestest "github.com/patrol-authz/patrol/test/postgres"
)

// database is one to look into beside the store.
type database struct {
	sqlstore.Options
	raw *sql.DB
}

func (d *database) open() (*sqlstore.Store, error) {
	d.KeyCheck, d.Policies = "check", policies{}
	return sqlstore.Open(context.Background(), d.Options)
}

// onBoth runs a test on each database.
func onBoth(t *testing.T, test func(*testing.T, *database)) {
	t.Helper()
	onSQLite(t, test)
	onPostgreSQL(t, test)
}

// onSQLite runs a test of what PostgreSQL has not.
func onSQLite(t *testing.T, test func(*testing.T, *database)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	on(t, "SQLite", sqlstore.Options{Path: path}, "sqlite", "file:"+path, test)
}

// onPostgreSQL runs a test of what SQLite has not.
func onPostgreSQL(t *testing.T, test func(*testing.T, *database)) {
	t.Helper()
	url := postgrestest.Start(t).Database(t)
	on(t, "PostgreSQL", sqlstore.Options{Postgres: url}, "pgx", url, test)
}

func on(t *testing.T, name string, o sqlstore.Options, driver, source string, test func(*testing.T, *database)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		raw, err := sql.Open(driver, source)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		test(t, &database{o, raw})
	})
}

func (d *database) version(t *testing.T) (n int) {
	t.Helper()
	if err := d.raw.QueryRow(`SELECT max(version_id) FROM goose_db_version`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMigrationsGoUpAndDown(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		token := acme(t, s)
		do(t, s, inventory.RevokeToken{Organization: "acme", Token: token.ID})
		before, _, err := s.Audit(context.Background(), "", inventory.Page{})
		if err != nil {
			t.Fatal(err)
		}
		newest := d.version(t)
		for down := newest - 1; down >= 0; down-- {
			if err := s.MigrateTo(context.Background(), int64(down)); err != nil {
				t.Fatalf("down to %d: %v", down, err)
			}
			if err := s.MigrateTo(context.Background(), int64(newest)); err != nil {
				t.Fatalf("from %d up: %v", down, err)
			}
			if down == 0 {
				continue // nothing is left
			}
			row, err := s.Token(context.Background(), "acme", token.ID)
			if err != nil || row.Authorization.Status != "revoked" {
				t.Fatalf("after going to %d and back: %v, %v", down, row, err)
			}
			for _, sort := range []string{"", "name", "owner", "-created", "last_used"} {
				listed, _, err := s.Tokens(context.Background(), "acme", inventory.TokenFilter{Status: "all", Sort: sort}, inventory.Page{})
				if err != nil || len(listed) != 1 || listed[0].ID != token.ID {
					t.Fatalf("listed by %q after going to %d and back: %v, %v", sort, down, listed, err)
				}
			}
			after, _, err := s.Audit(context.Background(), "", inventory.Page{})
			if err != nil || len(after) != len(before) {
				t.Fatalf("the audit after going to %d and back: %v, %v", down, after, err)
			}
			do(t, s, inventory.SetPolicy{Organization: "acme", Enforcement: []string{"observe", "enforce"}[down%2]})
			before, _, _ = s.Audit(context.Background(), "", inventory.Page{})
		}
		s.Close()
		if s, err = d.open(); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		acme(t, s)
	})
}

// TestTokensAreFoundByTheirSecretsAfterAMigration: those that are there when tokens
// come to be found by the start of a digest, and unknown ones that are imported after.
func TestTokensAreFoundByTheirSecretsAfterAMigration(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		ctx := t.Context()
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		acme(t, s)
		o, err := s.Organization(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		list := inventory.ImportTokens{}
		for i := range 50 {
			in := sample(2 * i)
			in.Owner = "bob"
			list.Tokens = append(list.Tokens, in)
		}
		do(t, s, list)
		unknown := sample(100)
		unknown.Owner = "bob"
		seen := usage.Unknown{Organization: o.ID, Digest: unknown.Digest, Count: 1, First: time.Now(), Last: time.Now()}
		if _, err := s.WriteUsage(ctx, &usage.Batch{Unknown: []usage.Unknown{seen}}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.MigrateTo(ctx, 67), s.MigrateTo(ctx, 68)); err != nil {
			t.Fatal(err)
		}
		for i := range list.Tokens {
			if row, _, err := s.FindToken(ctx, list.Tokens[i].Digest); err != nil || row.DisplayName != list.Tokens[i].DisplayName {
				t.Fatalf("%v, %v", row, err)
			}
		}
		if rows, _, err := s.Discovered(ctx, "acme", inventory.Page{}); err != nil || len(rows) != 1 {
			t.Errorf("%+v, %v", rows, err)
		}
		do(t, s, inventory.ImportTokens{Tokens: []inventory.ImportToken{unknown}})
		if rows, _, err := s.Discovered(ctx, "acme", inventory.Page{}); err != nil || len(rows) != 0 {
			t.Errorf("one that was imported is discovered still: %+v, %v", rows, err)
		}
		var twice int
		if err := d.raw.QueryRow("SELECT count(*) - count(DISTINCT digest_start) FROM tokens").Scan(&twice); err != nil || twice != 0 {
			t.Errorf("%d digests begin like others, %v", twice, err)
		}
		// An older patrol that goes on beside does not know where digests begin: what
		// it writes would not be found.
		const columns = "id, digest, display_name, last4, kind, owner_id, source, grants, global, purpose, contact, created_at, expires_at, disabled, deleted, version, former, owner, name"
		older := "'older', x'6f6c646572'"
		if d.Postgres != "" {
			older = "'older', 'older'::bytea"
		}
		of := strings.Replace(columns, "id, digest", older, 1)
		if _, err := d.raw.Exec("INSERT INTO tokens (" + columns + ") SELECT " + of + " FROM tokens LIMIT 1"); err == nil || !strings.Contains(err.Error(), "digest_start") {
			t.Errorf("a token without the start of its digest: %v", err)
		}
	})
}

func TestTheSchemaIsToldAndBroughtUpToDate(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		ctx := context.Background()
		if d.Postgres == "" {
			if _, err := sqlstore.ReadSchema(ctx, d.Options); err == nil {
				t.Error("a database that is not there has a schema")
			}
			if _, _, err := sqlstore.Migrate(ctx, d.Options); err == nil {
				t.Error("a database that is not there was migrated")
			}
			if _, err := os.Stat(d.Path); err == nil {
				t.Fatal("a database was made")
			}
		}
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		acme(t, s)
		newest := int64(d.version(t))
		if err := s.MigrateTo(ctx, 61); err != nil {
			t.Fatal(err)
		}
		s.Close()
		was, err := sqlstore.ReadSchema(ctx, d.Options)
		if err != nil || was.Version != 61 || was.Knows != newest || len(was.Pending) < 2 || was.Pending[0].Version != 62 || was.Pending[0].Name != "00062_members.sql" {
			t.Fatalf("%+v, %v", was, err)
		}
		if d.version(t) != 61 {
			t.Error("reading changed it")
		}
		from, to, err := sqlstore.Migrate(ctx, d.Options)
		if err != nil || from.Version != 61 || to.Version != newest || len(to.Pending) != 0 {
			t.Fatalf("from %+v to %+v, %v", from, to, err)
		}
		if from, to, err = sqlstore.Migrate(ctx, d.Options); err != nil || from.Version != newest || to.Version != newest {
			t.Errorf("again: from %+v to %+v, %v", from, to, err)
		}
		if s, err = d.open(); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if o, err := s.Organization(ctx, "acme"); err != nil || o.Name != "acme" {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

func TestANewerDatabaseIsRefusedAndLeftAsItIs(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		acme(t, s)
		s.Close()
		if _, err := d.raw.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, ` + map[bool]string{true: "true", false: "1"}[d.Postgres != ""] + `)`); err != nil {
			t.Fatal(err)
		}
		_, err = d.open()
		var newer *sqlstore.NewerDatabase
		if !errors.As(err, &newer) || newer.Has != 999 {
			t.Fatalf("opened: %v", err)
		}
		var tokens int
		if err := d.raw.QueryRow(`SELECT count(*) FROM tokens`).Scan(&tokens); err != nil || tokens != 1 || d.version(t) != 999 {
			t.Errorf("%d tokens at version %d, %v", tokens, d.version(t), err)
		}
	})
}

func TestBothDatabasesHaveTheSameColumns(t *testing.T) {
	columns := map[string]string{}
	onBoth(t, func(t *testing.T, d *database) {
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		query := `SELECT m.name || '.' || c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid`
		if d.Postgres != "" {
			query = `SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name COLLATE "C", ordinal_position`
		}
		rows, err := d.raw.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var names []string
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(name, "goose_") {
				names = append(names, name)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		columns[t.Name()] = strings.Join(names, "\n")
	})
	var first string
	for _, list := range columns {
		if first == "" {
			first = list
		}
		if len(list) < 100 || list != first {
			t.Errorf("the columns differ:\n%s\n\n%s", first, list)
		}
	}
}

func TestGeneratedCodeIsUpToDate(t *testing.T) {
	cmd := exec.Command("go", "tool", "-modfile=../../../tools/sqlc/go.mod", "sqlc", "diff")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0") // the parser as WebAssembly: no C to compile
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("run make generate: %v\n%s", err, out)
	}
}
