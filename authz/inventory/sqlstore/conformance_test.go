package sqlstore_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
	"github.com/patrol-authz/patrol/authz/inventory/storetest"
	postgrestest "github.com/patrol-authz/patrol/test/postgres"
)

func opener(where sqlstore.Options) storetest.Open {
	return func(o storetest.Options) (storetest.Store, error) {
		with := where
		with.KeyCheck, with.Policies, with.Retention, with.Clock = o.KeyCheck, o.Policies, o.Retention, o.Clock
		with.Changed, with.Imported = o.Changed, o.Imported
		s, err := sqlstore.Open(context.Background(), with)
		if err != nil {
			return nil, err
		}
		sqlstore.LookAtAudit(s, 3) // pages have to go on over what they did not find
		return s, nil
	}
}

func TestSQLiteConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		return opener(sqlstore.Options{Path: filepath.Join(t.TempDir(), "db")})
	})
}

func TestPostgreSQLConforms(t *testing.T) {
	versions := postgrestest.Versions()
	for i, version := range versions {
		if i > 0 && i < len(versions)-1 && os.Getenv("PATROL_SOAK") == "" {
			continue // the oldest and the newest
		}
		t.Run(version, func(t *testing.T) {
			server := postgrestest.StartVersion(t, version)
			t.Run("suite", func(t *testing.T) {
				storetest.Run(t, func(t *testing.T) storetest.Open { return opener(sqlstore.Options{Postgres: server.Database(t)}) })
			})
		})
	}
}
