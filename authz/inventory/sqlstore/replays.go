package sqlstore

import (
	"context"
	"fmt"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// ClaimReplay takes an id for a request, once: it returns nil for whom claimed
// it, and what is kept for whoever comes later. The id is a hash.
func (s *Store) ClaimReplay(ctx context.Context, id, fingerprint string) (found *inventory.Replay, err error) {
	err = s.replays(ctx, func(st *state) error {
		now := s.Clock()
		if err := st.ForgetReplays(ctx, millis(now.Add(-inventory.ReplayFor))); err != nil {
			return err
		}
		claimed, err := st.ClaimReplay(ctx, db.ClaimReplayParams{ID: id, Fingerprint: fingerprint, CreatedAt: millis(now)})
		if err != nil || claimed == 1 {
			return err
		}
		r, err := st.Replay(ctx, id)
		if err == nil {
			found = &inventory.Replay{Fingerprint: r.Fingerprint, Done: r.Done, Status: int(r.Status), ETag: r.Etag, ContentType: r.ContentType, Body: r.Body}
		}
		return err
	})
	return found, err
}

// FinishReplay keeps the answer of a claimed request.
func (s *Store) FinishReplay(ctx context.Context, id string, r inventory.Replay) error {
	return s.replays(ctx, func(st *state) error {
		return st.FinishReplay(ctx, db.FinishReplayParams{ID: id, Status: int64(r.Status), Etag: r.ETag, ContentType: r.ContentType, Body: r.Body})
	})
}

// ForgetReplay gives a claimed id back: nothing was done.
func (s *Store) ForgetReplay(ctx context.Context, id string) error {
	return s.replays(ctx, func(st *state) error { return st.ForgetReplay(ctx, id) })
}

func (s *Store) replays(ctx context.Context, f func(*state) error) (err error) {
	defer func() { err = s.room(err) }()
	tx, err := s.begin(ctx)
	if err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	defer tx.Rollback()
	st := s.newState(ctx, tx)
	defer st.close()
	if err := f(st); err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	st.close()
	return tx.Commit()
}
