package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// BackupCmd copies the database of a running server.
type BackupCmd struct {
	File string `arg:"" help:"The file to write (gzip); it must not be there yet."`
}

// Help gives an example.
func (*BackupCmd) Help() string {
	return "The copy shows the inventory at one moment, while the server goes on. It holds no secret, and is of use only with the digest key " +
		"(digest.key in the data directory): keep both, apart. An inventory in PostgreSQL is backed up by pg_dump.\n\n" + example("patrol backup /backup/patrol.gz")
}

// Run writes it.
func (c *BackupCmd) Run(ctx context.Context, cli *CLI) error {
	if _, err := os.Lstat(c.File); err == nil {
		return fmt.Errorf("%s is there already", c.File)
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.File), ".backup-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = cl.Backup(ctx, f)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), c.File); err != nil { // not a rename: nothing is overwritten
		return err
	}
	return cli.done(nil, "The inventory is in "+c.File+".")
}

// RestoreCmd puts a backup in the place of the database.
type RestoreCmd struct {
	File   string `arg:"" help:"A file that patrol backup wrote." type:"existingfile"`
	Config string `help:"The server's configuration." type:"path" env:"PATROL_CONFIG" placeholder:"FILE"`
}

// Help gives an example.
func (*RestoreCmd) Help() string {
	return "The server must be stopped. A damaged backup, or one of another digest key, changes nothing. The present database is kept beside the new one. " +
		"What was decided after the backup is undone by it, revocations too: look at the audit log of the database that was kept.\n\n" + example("patrol restore /backup/patrol.gz")
}

// Run restores it.
func (c *RestoreCmd) Run(ctx context.Context, cli *CLI) error {
	config, err := cli.configured(c.Config)
	if err != nil {
		return err
	}
	if config.Inventory.postgres() != "" {
		return usagef("the inventory is in PostgreSQL: restore it with pg_restore")
	}
	key, err := credential.LoadKey(config.digestKeyFile())
	if err != nil {
		return fmt.Errorf("%w; a backup is of use only with the digest key it was made with", err)
	}
	digester, err := credential.NewDigester(key)
	if err != nil {
		return err
	}
	lock, err := lockData(config.DataDir, syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	now := time.Now()
	o := config.database()
	kept, err := sqlstore.Restore(ctx, f, o.Path, digester.Check(), now)
	if err != nil {
		return fmt.Errorf("%s: nothing was restored: %w", c.File, err)
	}
	if err := restored(ctx, config, digester, now); err != nil {
		return fmt.Errorf("the backup is restored; %w", err)
	}
	what := "The inventory is as it was in " + c.File + "."
	if kept != "" {
		what += " The one before is " + kept + "."
	}
	return cli.done(nil, what)
}

// restored notes the restore in the audit. Heads that were signed since the
// backup belong to the log that was kept.
func restored(ctx context.Context, config *Config, digester *credential.Digester, now time.Time) error {
	heads := filepath.Join(config.DataDir, headsFile)
	if err := os.Rename(heads, heads+".before-"+now.UTC().Format("20060102T150405Z")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	o := config.database()
	o.KeyCheck = digester.Check()
	s, err := sqlstore.Open(ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	actor := inventory.Actor{Kind: "socket", Name: "uid:" + strconv.Itoa(os.Getuid())}
	return s.Note(ctx, actor, "inventory.restore", nil)
}
