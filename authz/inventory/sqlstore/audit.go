package sqlstore

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"

	"github.com/patrol-authz/patrol/authz/inventory/auditlog"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// AuditEntries reads at most limit entries of the audit log after a number,
// oldest first.
func (s *Store) AuditEntries(ctx context.Context, after int64, limit int) (list []auditlog.Entry, err error) {
	err = s.reading(ctx, func(st *state) error {
		list, err = st.entries(after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return list, nil
}

func (s *state) entries(after int64, limit int) ([]auditlog.Entry, error) {
	rows, err := s.AuditFrom(s.ctx, db.AuditFromParams{After: after, Size: int32(min(limit, 10_000))}) //nolint:gosec // bounded
	list := make([]auditlog.Entry, len(rows))
	for i := range rows {
		list[i] = *entryOf(&rows[i])
	}
	return list, err
}

// AuditState reads how far the audit log goes, and the heads that were signed.
func (s *Store) AuditState(ctx context.Context) (*auditlog.State, error) {
	out := &auditlog.State{}
	err := s.reading(ctx, func(st *state) error { return st.auditState(out) })
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return out, nil
}

func (s *state) auditState(out *auditlog.State) error {
	counter, err := s.Counter(s.ctx)
	if err != nil {
		return err
	}
	out.Seq, out.Hash = counter.AuditSeq, counter.AuditHead
	heads, err := s.Heads(s.ctx)
	for _, h := range heads {
		out.Heads = append(out.Heads, headOf(&h))
	}
	return err
}

func headOf(h *db.AuditHead) auditlog.Head {
	return auditlog.Head{Seq: h.Seq, Hash: h.Head, Time: fromMillis(h.SignedAt), PublicKey: h.PublicKey, Signature: h.Signature}
}

// SignHead signs how far the audit log goes, and keeps the head. Where the key
// has signed so far already, that head is returned; an empty log has none.
func (s *Store) SignHead(ctx context.Context, key ed25519.PrivateKey) (head *auditlog.Head, fresh bool, err error) {
	q := db.New(s.writeDB)
	counter, err := q.Counter(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("read the audit log: %w", err)
	}
	if counter.AuditSeq == 0 {
		return nil, false, nil
	}
	last, err := q.LastHead(ctx, auditlog.PublicKey(key))
	if err == nil && last.Seq == counter.AuditSeq && last.Head == counter.AuditHead {
		h := headOf(&last)
		return &h, false, nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, false, fmt.Errorf("read the signed heads: %w", err)
	}
	h := auditlog.Sign(key, counter.AuditSeq, counter.AuditHead, s.Clock())
	err = q.InsertHead(ctx, db.InsertHeadParams{Seq: h.Seq, Head: h.Hash, SignedAt: millis(h.Time), PublicKey: h.PublicKey, Signature: h.Signature})
	if err != nil {
		return nil, false, fmt.Errorf("keep the signed head: %w", err)
	}
	return &h, true, nil
}

// VerifyAudit holds the whole audit log, in one state, against its own chain and
// the heads that were signed: those of the database and more that the caller
// has kept. Heads of the trusted public keys prove what they cover.
func (s *Store) VerifyAudit(ctx context.Context, kept []auditlog.Head, trusted ...string) (r auditlog.Report, err error) {
	err = s.reading(ctx, func(st *state) error {
		var end auditlog.State
		if err := st.auditState(&end); err != nil {
			return err
		}
		v := auditlog.NewVerifier(append(end.Heads, kept...), trusted...)
		for after := int64(-1 << 62); ; {
			list, err := st.entries(after, 1000)
			if err != nil {
				return err
			}
			for _, e := range list {
				v.Add(e)
			}
			if len(list) == 0 {
				r = v.Finish(end, true)
				return nil
			}
			after = list[len(list)-1].Seq
		}
	})
	if err != nil {
		return auditlog.Report{}, fmt.Errorf("read the audit log: %w", err)
	}
	return r, nil
}
