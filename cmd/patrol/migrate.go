package main

import (
	"context"
	"fmt"
	"syscall"

	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// MigrateCmd holds the commands on the database's schema, and on what there was before patrol.
type MigrateCmd struct {
	Status MigrateStatusCmd `cmd:"" help:"Say how far the database's schema is, and what is yet to be done."`
	Check  MigrateCheckCmd  `cmd:"" help:"Say what patrol takes over of a configuration of OPA or opa-envoy-plugin."`
	Up     MigrateUpCmd     `cmd:"" help:"Bring the database up to this patrol's schema, as a start does."`
}

// schemaOf says which database.
type schemaOf struct {
	Config string `help:"The server's configuration file, for where its database is." type:"path" env:"PATROL_CONFIG"`
}

// MigrateStatusCmd says how far a database is.
type MigrateStatusCmd struct{ schemaOf }

// Help gives an example.
func (*MigrateStatusCmd) Help() string {
	return "It reads the database itself, also while a server uses it, and changes nothing that is in it. A SQLite file is opened as the server opens it: it must be writable, and while it is read, -wal and -shm stand beside it. Exit 0: it is up to date; 1: it is not, it was made by a newer patrol, or it cannot be read.\n\n" +
		example("patrol migrate status --config patrol.yaml")
}

// Run says it.
func (c *MigrateStatusCmd) Run(ctx context.Context, cli *CLI) error {
	config, err := cli.configured(c.Config)
	if err != nil {
		return err
	}
	s, err := sqlstore.ReadSchema(ctx, config.database())
	if err != nil {
		return err
	}
	err = cli.print(s, func(t *table) {
		t.row("database", s.Database)
		t.row("schema", fmt.Sprintf("version %d; this patrol knows %d", s.Version, s.Knows))
		for _, m := range s.Pending {
			t.row("pending", fmt.Sprintf("%d (%s)", m.Version, m.Name))
		}
	})
	switch {
	case err != nil:
		return err
	case s.Version > s.Knows:
		return fmt.Errorf("the database was made by a newer patrol: use that one")
	case len(s.Pending) > 0:
		return fmt.Errorf("%d migrations are yet to be made: patrol migrate up, or start the server", len(s.Pending))
	}
	return nil
}

// MigrateUpCmd brings a database up to date.
type MigrateUpCmd struct{ schemaOf }

// Help gives an example.
func (*MigrateUpCmd) Help() string {
	return "The server does it by itself when it starts; by hand it is for those who want to see it done before. The server must be stopped where the database is SQLite; where it is PostgreSQL, stop the older servers yourself. Make a backup first: an older patrol refuses a newer schema.\n\n" +
		example("patrol migrate up --config patrol.yaml")
}

// Run brings it up to date.
func (c *MigrateUpCmd) Run(ctx context.Context, cli *CLI) error {
	config, err := cli.configured(c.Config)
	if err != nil {
		return err
	}
	how := syscall.LOCK_SH
	if config.Inventory.postgres() == "" {
		how = syscall.LOCK_EX // an older server would go on writing as its own schema was
	}
	lock, err := lockData(config.DataDir, how)
	if err != nil {
		return err
	}
	defer lock.Close()
	from, to, err := sqlstore.Migrate(ctx, config.database())
	if err != nil {
		return err
	}
	return cli.print(map[string]any{"database": to.Database, "from": from.Version, "to": to.Version, "made": from.Pending}, func(t *table) {
		if from.Version == to.Version {
			t.row(fmt.Sprintf("The schema of %s is up to date: version %d.", to.Database, to.Version))
			return
		}
		t.row(fmt.Sprintf("%d migrations were made: the schema of %s is at version %d, and was at %d.", len(from.Pending), to.Database, to.Version, from.Version))
	})
}
