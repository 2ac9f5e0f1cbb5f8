package sqlstore

import (
	"context"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// PutReplica notes that a patrol serves from this database, and forgets those
// that were not heard of since a time.
func (s *Store) PutReplica(ctx context.Context, r *inventory.ReplicaRow, forget time.Time) error {
	q := db.New(s.writeDB)
	err := q.PutReplica(ctx, db.PutReplicaParams{
		ID: r.ID, Host: r.Host, Version: r.Version, Revision: r.Revision, Evaluator: r.Evaluator, Problem: r.Problem, Change: r.Change,
		StartedAt: millis(r.StartedAt), SeenAt: millis(r.SeenAt),
	})
	if err != nil {
		return err
	}
	return q.ForgetReplicas(ctx, millis(forget))
}

// ForgetReplica notes that a patrol has ended.
func (s *Store) ForgetReplica(ctx context.Context, id string) error {
	return db.New(s.writeDB).ForgetReplica(ctx, id)
}

// Replicas lists the patrols that serve from this database, as they last said.
func (s *Store) Replicas(ctx context.Context) ([]inventory.ReplicaRow, error) {
	rows, err := db.New(s.readDB).Replicas(ctx)
	out := make([]inventory.ReplicaRow, len(rows))
	for i, r := range rows {
		out[i] = inventory.ReplicaRow{
			ID: r.ID, Host: r.Host, Version: r.Version, Revision: r.Revision, Evaluator: r.Evaluator, Problem: r.Problem, Change: r.Change,
			StartedAt: fromMillis(r.StartedAt), SeenAt: fromMillis(r.SeenAt),
		}
	}
	return out, err
}
