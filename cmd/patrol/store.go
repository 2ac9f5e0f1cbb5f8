package main

import (
	"context"
	"path/filepath"

	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// databaseFile is SQLite's file in the data directory.
const databaseFile = "patrol.db"

// openStore opens the inventory's database.
func (a *App) openStore(ctx context.Context, dir string) (err error) {
	c := a.Config.Inventory
	a.Store, err = sqlstore.Open(ctx, sqlstore.Options{
		Path: filepath.Join(dir, databaseFile), Postgres: c.postgres(), PasswordFile: c.DatabasePasswordFile,
		KeyCheck: a.digester.Check(), Policies: a.Bundles, Clock: a.Clock,
		// Another replica wrote: look at once. Without it the change is found at
		// the next look all the same.
		Changed: func() {
			if f := a.hinted.Load(); f != nil {
				f.Hint()
			}
		},
	})
	return err
}
