package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/patrol-authz/patrol/authz/inventory/auditlog"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

//go:embed migrations
var migrations embed.FS

// NewerDatabase says that the database was made by a newer patrol.
type NewerDatabase struct {
	Database   string
	Has, Knows int64
}

func (e *NewerDatabase) Error() string {
	return fmt.Sprintf("the database %s has schema version %d, and this patrol knows versions up to %d: use the newer patrol that made it", e.Database, e.Has, e.Knows)
}

// provider are the migrations of the store's dialect.
func (s *Store) provider() (*goose.Provider, error) {
	sub, err := fs.Sub(migrations, "migrations/"+s.dialect.migrations)
	if err != nil {
		return nil, err
	}
	chain := goose.NewGoMigration(3, &goose.GoFunc{RunTx: s.chainAudit}, nil)
	p, err := goose.NewProvider(s.dialect.goose, s.writeDB, sub, append([]goose.ProviderOption{goose.WithGoMigrations(chain)}, s.dialect.options...)...)
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return p, nil
}

func (s *Store) migrate(ctx context.Context) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	has, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the database %s: %w", s.name, err)
	}
	sources := p.ListSources()
	if knows := sources[len(sources)-1].Version; has > knows {
		return &NewerDatabase{s.name, has, knows}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the database %s up to date: %w", s.name, err)
	}
	return nil
}

// current says whether the database has this version's schema.
func (s *Store) current(ctx context.Context) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	var has int64
	if err := s.readDB.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&has); err != nil {
		return fmt.Errorf("read the database %s: %w", s.name, err)
	}
	sources := p.ListSources()
	switch knows := sources[len(sources)-1].Version; {
	case has > knows:
		return &NewerDatabase{s.name, has, knows}
	case has < knows:
		return fmt.Errorf("the database %s has schema version %d, and this patrol's is %d: start patrol serve once", s.name, has, knows)
	}
	return nil
}

// MigrateTo takes the schema to a version, up or down; 0 is an empty database.
// Going down drops what the older version does not know.
func (s *Store) MigrateTo(ctx context.Context, version int64) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	has, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the database %s: %w", s.name, err)
	}
	if version < has {
		_, err = p.DownTo(ctx, version)
	} else {
		_, err = p.UpTo(ctx, version)
	}
	if err != nil {
		return fmt.Errorf("take the database %s to version %d: %w", s.name, version, err)
	}
	return nil
}

// chainAudit makes a chain of the entries that were written before there was one.
func (s *Store) chainAudit(ctx context.Context, tx *sql.Tx) error {
	st := s.newState(ctx, tx)
	defer st.close()
	var after int64
	head := ""
	for {
		rows, err := st.AuditFrom(ctx, db.AuditFromParams{After: after, Size: 1000})
		if err != nil {
			return err
		}
		for _, r := range rows {
			e := entryOf(&r)
			head, after = e.Sum(head), r.Seq
			if err := st.ChainAudit(ctx, db.ChainAuditParams{Hash: head, Seq: r.Seq}); err != nil {
				return err
			}
		}
		if len(rows) == 0 {
			break
		}
	}
	_, err := st.SetHead(ctx, db.SetHeadParams{AuditSeq: after, AuditHead: head})
	return err
}

func entryOf(r *db.AuditFromRow) *auditlog.Entry {
	return &auditlog.Entry{
		Seq: r.Seq, Time: fromMillis(r.Time), Actor: auditlog.Actor{Kind: r.ActorKind, Name: r.ActorName}, Action: r.Action,
		OrganizationID: r.OrganizationID, TokenID: r.TokenID, Details: []byte(r.Details), Hash: r.Hash,
	}
}
