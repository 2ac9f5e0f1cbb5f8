package db

import "context"

// This file is written by hand; see rows.go.

func (q *Queries) AddUsages(ctx context.Context, rows []AddUsageParams) error {
	return write(ctx, q.db, addUsage, rows)
}

func (q *Queries) AddTokenUses(ctx context.Context, rows []AddTokenUseParams) error {
	return write(ctx, q.db, addTokenUse, rows)
}

func (q *Queries) AddDiscoveries(ctx context.Context, rows []AddDiscoveredParams) error {
	return write(ctx, q.db, addDiscovered, rows)
}

func (q *Queries) UpsertFindings(ctx context.Context, rows []UpsertFindingParams) error {
	return write(ctx, q.db, upsertFinding, rows)
}
