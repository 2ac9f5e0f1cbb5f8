package postgrestest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	postgrestest "github.com/patrol-authz/patrol/test/postgres"
)

// TestACrashedServerComesBack holds the helper to what the other tests build on.
func TestACrashedServerComesBack(t *testing.T) {
	for _, version := range postgrestest.Versions() {
		t.Run(version, func(t *testing.T) {
			s := postgrestest.StartVersion(t, version)
			url := s.Database(t)
			ctx := context.Background()
			do := func(statement string) (n int) {
				t.Helper()
				c, err := pgx.Connect(ctx, url)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close(ctx)
				if err := c.QueryRow(ctx, statement).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			do("WITH made AS (SELECT 1 AS n) SELECT n FROM made")
			c, err := pgx.Connect(ctx, url)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Exec(ctx, "CREATE TABLE kept AS SELECT 7 AS n"); err != nil {
				t.Fatal(err)
			}
			s.Crash(t)
			if _, err := pgx.Connect(ctx, url); err == nil {
				t.Fatal("the server is still there")
			}
			s.Resume(t)
			if n := do("SELECT n FROM kept"); n != 7 {
				t.Errorf("kept %d", n)
			}
		})
	}
}
