package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// Do carries out a command: when it returns without an error, the change is on
// the disk. Errors are those of [inventory.Apply], or the database's.
func (s *Store) Do(ctx context.Context, actor inventory.Actor, c inventory.Command) (inventory.Result, error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return inventory.Result{}, fmt.Errorf("begin %s: %w", c.Action(), err)
	}
	defer tx.Rollback()
	st := newState(ctx, tx)
	defer st.close()
	now := s.Clock()
	change, err := inventory.Apply(st, s.Policies, actor, c, now)
	if err != nil {
		return inventory.Result{}, s.explain(st, c, err)
	}
	written := change.Audit != nil
	if written {
		if err := s.store(ctx, tx, change, now); err != nil {
			return inventory.Result{}, fmt.Errorf("write %s: %w", c.Action(), err)
		}
	}
	result, err := s.result(st, change.Subject)
	if err != nil {
		return inventory.Result{}, fmt.Errorf("read the result of %s: %w", c.Action(), err)
	}
	result.Changed = written
	if !written {
		return result, nil
	}
	st.close()
	if err := tx.Commit(); err != nil {
		return inventory.Result{}, fmt.Errorf("commit %s: %w", c.Action(), err)
	}
	if s.Committed != nil {
		s.Committed()
	}
	return result, nil
}

// explain adds the present state to a conflict.
func (s *Store) explain(st *state, c inventory.Command, err error) error {
	conflict, ok := err.(*inventory.Conflict) //nolint:errorlint // made by the rules, never wrapped
	if !ok {
		return err
	}
	var org, token string
	switch c := c.(type) {
	case inventory.Approve:
		org, token = c.Organization, c.Token
	case inventory.Deny:
		org, token = c.Organization, c.Token
	default:
		return err
	}
	o, _ := st.OrganizationByName(inventory.Fold(org))
	if o != nil {
		conflict.Token, _ = s.tokenRow(st, o, token)
	}
	return conflict
}

func (s *Store) store(ctx context.Context, tx *sql.Tx, c *inventory.Change, now time.Time) error {
	w := &writer{ctx: ctx, tx: tx, prepared: map[string]*sql.Stmt{}}
	defer w.close()
	w.records(&c.Records)
	details, err := json.Marshal(c.Audit.Details)
	if err != nil {
		return err
	}
	w.exec(`INSERT INTO audit (time, actor_kind, actor_name, action, organization_id, token_id, details) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		millis(now), c.Audit.Actor.Kind, c.Audit.Actor.Name, c.Audit.Action, c.Audit.OrganizationID, c.Audit.TokenID, string(details))
	for _, e := range c.Events {
		w.exec(`INSERT INTO outbox (dedupe_key, kind, organization_id, token_id, request_id, state, attempts, next_at, last_error, created_at)
			VALUES (?, ?, ?, ?, ?, 'waiting', 0, ?, '', ?) ON CONFLICT (dedupe_key) DO NOTHING`,
			e.Key, e.Kind, e.Organization, e.Token, e.Request, millis(now), millis(now))
	}
	w.exec(`DELETE FROM changes WHERE change IN (SELECT change FROM changes WHERE time < ? ORDER BY change LIMIT 1000)`, millis(now.Add(-s.Retention)))
	for i, k := range w.touched {
		w.exec(`INSERT INTO changes (change, part, kind, key1, key2, time) SELECT change + 1, ?, ?, ?, ?, ? FROM counter`, i, k.kind, k.key1, k.key2, millis(now))
	}
	// The last statement: see the schema.
	w.exec(`UPDATE counter SET change = change + 1`)
	return w.err
}

// touched is a row that a transaction wrote.
type touched struct{ kind, key1, key2 string }

// writer writes rows with prepared statements and keeps the first error.
type writer struct {
	ctx      context.Context
	tx       *sql.Tx
	prepared map[string]*sql.Stmt
	touched  []touched
	err      error
}

func (w *writer) close() {
	for _, p := range w.prepared {
		p.Close()
	}
}

func (w *writer) exec(query string, args ...any) {
	if w.err != nil {
		return
	}
	p := w.prepared[query]
	if p == nil {
		if p, w.err = w.tx.PrepareContext(w.ctx, query); w.err != nil {
			return
		}
		w.prepared[query] = p
	}
	_, w.err = p.ExecContext(w.ctx, args...)
}

func (w *writer) touch(kind, key1, key2 string) {
	w.touched = append(w.touched, touched{kind, key1, key2})
}

func (w *writer) json(v any) string {
	b, err := json.Marshal(v)
	if err != nil && w.err == nil {
		w.err = err
	}
	return string(b)
}

func (w *writer) records(r *inventory.Records) {
	for _, o := range r.Organizations {
		w.exec(`INSERT INTO organizations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name,
			token_policy = excluded.token_policy, next_token_policy = excluded.next_token_policy, enforce_at = excluded.enforce_at,
			enforcement = excluded.enforcement, managed_by = excluded.managed_by, settings = excluded.settings, version = excluded.version, deleted = excluded.deleted`,
			o.ID, o.Name, o.Type, o.OwnerID, o.TokenPolicy, o.NextTokenPolicy, millis(o.EnforceAt), o.Enforcement, o.ManagedBy,
			w.json(o.Settings), millis(o.CreatedAt), o.Version, o.Deleted)
		w.touch("organization", o.ID, "")
	}
	for _, u := range r.Users {
		w.exec(`INSERT INTO users VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET email = excluded.email`, u.ID, u.Name, u.Type, u.Email, millis(u.CreatedAt))
		w.touch("user", u.ID, "")
	}
	for _, p := range r.Periods {
		w.exec(`INSERT INTO periods VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until`,
			p.OrganizationID, p.UserID, millis(p.Since), millis(p.Until), p.Role)
		w.touch("member", p.OrganizationID, p.UserID)
	}
	for _, t := range r.Tokens {
		w.token(t)
	}
	for _, a := range r.Authorizations {
		w.exec(`INSERT INTO authorizations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state, grants = excluded.grants,
			expires_at = excluded.expires_at, suspended = excluded.suspended, changed_at = excluded.changed_at, changed_by = excluded.changed_by, comment = excluded.comment`,
			a.TokenID, a.OrganizationID, a.State, w.json(a.Grants), millis(a.ExpiresAt), a.Suspended, millis(a.ChangedAt), a.ChangedBy, a.Comment)
		w.touch("authorization", a.TokenID, a.OrganizationID)
	}
	for _, q := range r.Requests {
		w.exec(`INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state,
			decided_at = excluded.decided_at, decided_by = excluded.decided_by, decision = excluded.decision, comment = excluded.comment`,
			q.ID, q.TokenID, q.OrganizationID, q.Round, q.State, w.json(q.Grants), millis(q.OpenedAt), q.OpenedBy, millis(q.DecidedAt), q.DecidedBy, q.Decision, q.Comment)
		w.touch("request", q.TokenID, q.OrganizationID)
	}
}

func (w *writer) token(t *inventory.Token) {
	w.exec(`INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET digest = excluded.digest,
		display_name = excluded.display_name, last4 = excluded.last4, kind = excluded.kind, grants = excluded.grants, global = excluded.global,
		purpose = excluded.purpose, contact = excluded.contact, expires_at = excluded.expires_at, disabled = excluded.disabled,
		deleted = excluded.deleted, version = excluded.version`,
		t.ID, t.Digest[:], t.DisplayName, t.Last4, t.Kind, t.OwnerID, t.Source, w.json(t.Grants), w.json(t.Global), t.Purpose, t.Contact,
		millis(t.CreatedAt), millis(t.ExpiresAt), t.Disabled, t.Deleted, t.Version)
	if t.Version > 1 {
		w.exec(`DELETE FROM token_namespaces WHERE token_id = ?`, t.ID)
	}
	for _, g := range t.Grants {
		w.exec(`INSERT INTO token_namespaces VALUES (?, ?) ON CONFLICT DO NOTHING`, g.Entity.Namespace, t.ID)
	}
	w.touch("token", t.ID, "")
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
