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
		with.KeyCheck, with.Policies, with.Retention, with.Clock, with.Changed = o.KeyCheck, o.Policies, o.Retention, o.Clock, o.Changed
		s, err := sqlstore.Open(context.Background(), with)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}

func TestSQLiteConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		return opener(sqlstore.Options{Path: filepath.Join(t.TempDir(), "db")})
	})
}

func TestPostgreSQLConforms(t *testing.T) {
	versions := []string{"18"}
	if os.Getenv("PATROL_SOAK") != "" {
		versions = append(versions, "16")
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			server := postgrestest.StartVersion(t, version)
			t.Run("suite", func(t *testing.T) {
				storetest.Run(t, func(t *testing.T) storetest.Open { return opener(sqlstore.Options{Postgres: server.Database(t)}) })
			})
		})
	}
}
