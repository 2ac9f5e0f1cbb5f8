package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// Files of the data directory.
const (
	databaseFile = "patrol.db"
	headsFile    = "audit-heads.jsonl"
	replicaFile  = "replica" // which one serves from here
)

// openStore opens the inventory's database, and the key that signs its audit.
func (a *App) openStore(ctx context.Context, dir string) (err error) {
	if a.lock, err = lockData(dir, syscall.LOCK_SH); err != nil {
		return err
	}
	o := a.Config.database()
	o.KeyCheck, o.Policies, o.Clock, o.Log = a.digester.Check(), reviewing{a.Bundles, a.Config.Answer.PublicURL != ""}, a.Clock, a.Log
	// Another replica wrote: look at once. Without it the change is found at the
	// next look all the same.
	o.Changed = func() {
		if f := a.hinted.Load(); f != nil {
			f.Hint()
		}
	}
	o.Imported = func(first, last int64, r *inventory.Records) {
		if f := a.hinted.Load(); f != nil {
			f.Take(first, last, r)
		}
	}
	if a.Store, err = sqlstore.Open(ctx, o); err != nil {
		return err
	}
	// Only now: a start that is refused leaves nothing behind.
	a.auditKey, err = credential.LoadOrCreateSigningKey(a.Config.auditKeyFile())
	return err
}

// database is where the inventory is.
func (c *Config) database() sqlstore.Options {
	return sqlstore.Options{
		Path: filepath.Join(c.DataDir, databaseFile), Postgres: c.Inventory.postgres(), PasswordFile: c.Inventory.DatabasePasswordFile,
	}
}

func (c *Config) digestKeyFile() string {
	if c.Inventory.DigestKeyFile != "" {
		return c.Inventory.DigestKeyFile
	}
	return filepath.Join(c.DataDir, "digest.key")
}

func (c *Config) auditKeyFile() string {
	if c.Inventory.AuditKeyFile != "" {
		return c.Inventory.AuditKeyFile
	}
	return filepath.Join(c.DataDir, "audit.key")
}

// lockData says that the data directory is in use: servers share it (one may
// follow another); a restore, and who changes SQLite's schema by hand, have it
// alone.
func lockData(dir string, how int) (*os.File, error) {
	f, err := os.Open(dir) // the folder itself is locked: no file is left behind
	if err != nil {
		return nil, fmt.Errorf("use the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("use the data directory %s: %w", dir, err)
		}
		if how == syscall.LOCK_SH {
			return nil, fmt.Errorf("the data directory %s is being restored, or its schema brought up to date: try again once that is done", dir)
		}
		return nil, fmt.Errorf("a patrol server uses the data directory %s: stop it first", dir)
	}
	return f, nil
}

// configured reads the configuration that a server would serve with.
func (c *CLI) configured(file string) (*Config, error) {
	config, err := loadConfig(file)
	if err != nil {
		return nil, usage{err}
	}
	if c.DataDir != "" || config.DataDir == "" {
		if config.DataDir, err = c.dataDir(); err != nil {
			return nil, err
		}
	}
	return config, nil
}
