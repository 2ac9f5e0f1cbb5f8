package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
)

// Schema says how far a database is.
type Schema struct {
	Database string `json:"database"`
	// Version is the database's, Knows the newest that this patrol knows.
	Version int64 `json:"version"`
	Knows   int64 `json:"knows"`
	// Pending are the migrations that are yet to be made, in order.
	Pending []Migration `json:"pending"`
}

// Migration is a step from one schema to the next.
type Migration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
}

// ReadSchema says how far a database is. It changes nothing, and makes none.
func ReadSchema(ctx context.Context, o Options) (*Schema, error) {
	s, err := connected(ctx, o)
	if err != nil {
		return nil, err
	}
	out, err := s.schema(ctx)
	return out, errors.Join(err, s.Close())
}

// Migrate brings a database that is there up to this version's schema, as the
// start of a server does, and says from where it came.
func Migrate(ctx context.Context, o Options) (from, to *Schema, err error) {
	s, err := connected(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	if from, err = s.schema(ctx); err != nil {
		return nil, nil, err
	}
	if err := s.migrate(ctx); err != nil {
		return nil, nil, err
	}
	to, err = s.schema(ctx)
	return from, to, err
}

// connected opens a database as it is, whatever its schema.
func connected(ctx context.Context, o Options) (*Store, error) {
	if o.Postgres == "" {
		if _, err := os.Stat(o.Path); err != nil {
			return nil, fmt.Errorf("open the database: %w; patrol serve makes it", err)
		}
	}
	s := &Store{Options: o}
	if err := s.connect(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) schema(ctx context.Context) (*Schema, error) {
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	out := &Schema{Database: s.name, Pending: []Migration{}}
	if err := s.readDB.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&out.Version); err != nil {
		return nil, fmt.Errorf("read the database %s: %w", s.name, err)
	}
	for _, source := range p.ListSources() {
		out.Knows = source.Version
		if source.Version > out.Version {
			name := path.Base(source.Path)
			if source.Path == "" {
				name = "in Go" // the audit's chain
			}
			out.Pending = append(out.Pending, Migration{source.Version, name})
		}
	}
	return out, nil
}
