package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
)

// reading runs f on a consistent state.
func (s *Store) reading(ctx context.Context, f func(*state) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("read the inventory: %w", err)
	}
	defer tx.Rollback()
	st := newState(ctx, tx)
	defer st.close()
	return f(st)
}

func limit(p inventory.Page) int {
	if p.Limit <= 0 {
		return defaultLimit
	}
	return min(p.Limit, maxLimit)
}

func named(st *state, name string) (*inventory.Organization, error) {
	o, err := st.OrganizationByName(inventory.Fold(name))
	if err == nil && o == nil {
		err = &inventory.NotFound{What: "organization", Name: name}
	}
	return o, err
}

// Organizations lists organizations by name; user namespaces are left out.
func (s *Store) Organizations(ctx context.Context, p inventory.Page) (rows []inventory.OrganizationRow, next string, err error) {
	err = s.reading(ctx, func(st *state) error {
		list, err := findAll(st, scanOrganization, `SELECT `+organizationColumns+` FROM organizations WHERE deleted = 0 AND type = 'organization' AND name > ? ORDER BY name LIMIT ?`, p.Cursor, limit(p)+1)
		for i, o := range list {
			if i == limit(p) {
				next = rows[i-1].Name
				break
			}
			rows = append(rows, *s.organizationRow(o))
		}
		return err
	})
	return rows, next, err
}

// Organization reads one organization.
func (s *Store) Organization(ctx context.Context, name string) (row *inventory.OrganizationRow, err error) {
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, name)
		if err == nil {
			row = s.organizationRow(o)
		}
		return err
	})
	return row, err
}

// Members lists the present members of an organization by name.
func (s *Store) Members(ctx context.Context, organization string, p inventory.Page) (rows []inventory.MemberRow, next string, err error) {
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, organization)
		if err != nil {
			return err
		}
		users, err := findAll(st, scanUser, `SELECT u.id, u.name, u.type, u.email, u.created_at FROM users u JOIN periods p ON p.user_id = u.id
			WHERE p.organization_id = ? AND p.until = 0 AND u.name > ? ORDER BY u.name LIMIT ?`, o.ID, p.Cursor, limit(p)+1)
		if err != nil {
			return err
		}
		for i, u := range users {
			if i == limit(p) {
				next = rows[i-1].User
				break
			}
			row, err := memberRow(st, o, u.ID)
			if err != nil {
				return err
			}
			rows = append(rows, *row)
		}
		return nil
	})
	return rows, next, err
}

// Tokens lists the tokens that reach an organization (by grants, by a decision
// on them, or as a member's unscoped ones), or all tokens where organization is
// empty, newest first.
func (s *Store) Tokens(ctx context.Context, organization string, f inventory.TokenFilter, p inventory.Page) (rows []inventory.TokenRow, next string, err error) {
	err = s.reading(ctx, func(st *state) error {
		var o *inventory.Organization
		where, args := []string{"t.deleted = 0"}, []any{}
		if organization != "" {
			if o, err = named(st, organization); err != nil {
				return err
			}
			where = append(where, `(t.id IN (SELECT token_id FROM token_namespaces WHERE organization_id = ?) OR t.id IN (SELECT token_id FROM authorizations WHERE organization_id = ?)
				OR (t.kind <> 'fine-grained' AND t.owner_id IN (SELECT user_id FROM periods WHERE organization_id = ? AND until = 0)))`)
			args = append(args, o.ID, o.ID, o.ID)
		}
		if f.Kind != "" {
			where, args = append(where, "t.kind = ?"), append(args, f.Kind)
		}
		if f.Owner != "" {
			where, args = append(where, "t.owner_id = (SELECT id FROM users WHERE name = ?)"), append(args, inventory.Fold(f.Owner))
		}
		if f.Query != "" {
			where, args = append(where, `t.display_name LIKE ? ESCAPE '\'`), append(args, "%"+likeEscaper.Replace(f.Query)+"%")
		}
		rows, next, err = s.tokenPage(st, o, f, p, where, args)
		return err
	})
	return rows, next, err
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// tokenPage reads on until a page is full, since the status of a token is
// known only once it is read.
func (s *Store) tokenPage(st *state, o *inventory.Organization, f inventory.TokenFilter, p inventory.Page, where []string, args []any) (rows []inventory.TokenRow, next string, err error) {
	cursor := p.Cursor
	for {
		conditions, values := where, args
		if cursor != "" {
			conditions, values = append(conditions[:len(conditions):len(conditions)], "t.id < ?"), append(values[:len(values):len(values)], cursor)
		}
		batch := limit(p) + 1
		list, err := findAll(st, scanToken, `SELECT `+tokenColumns+` FROM tokens t WHERE `+strings.Join(conditions, " AND ")+` ORDER BY t.id DESC LIMIT `+strconv.Itoa(batch), values...)
		if err != nil {
			return nil, "", err
		}
		for _, t := range list {
			row, err := s.row(st, o, t)
			if err != nil {
				return nil, "", err
			}
			cursor = t.ID
			if row == nil || !matches(f.Status, row) {
				continue
			}
			if len(rows) == limit(p) {
				return rows, rows[len(rows)-1].ID, nil
			}
			rows = append(rows, *row)
		}
		if len(list) < batch {
			return rows, "", nil
		}
	}
}

func matches(status string, t *inventory.TokenRow) bool {
	if t.Authorization == nil || status == "all" {
		return true
	}
	if status == "" {
		return t.Authorization.Status != "revoked"
	}
	return t.Authorization.Status == status
}

// Token reads one token, as an organization sees it or whole.
func (s *Store) Token(ctx context.Context, organization, id string) (row *inventory.TokenRow, err error) {
	err = s.reading(ctx, func(st *state) error {
		var o *inventory.Organization
		if organization != "" {
			if o, err = named(st, organization); err != nil {
				return err
			}
		}
		row, err = s.tokenRow(st, o, id)
		if err == nil && row == nil {
			err = &inventory.NotFound{What: "token", Name: id}
		}
		return err
	})
	return row, err
}

// Approvals lists approval requests, oldest first: those in a state (open,
// decided, withdrawn), or all.
func (s *Store) Approvals(ctx context.Context, organization, status string, p inventory.Page) (rows []inventory.ApprovalRow, next string, err error) {
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, organization)
		if err != nil {
			return err
		}
		after, afterID, err := approvalCursor(p.Cursor)
		if err != nil {
			return err
		}
		list, err := findAll(st, scanRequest, `SELECT `+requestColumns+` FROM requests WHERE organization_id = ? AND (? IN ('', 'all') OR state = ?) AND (opened_at, id) > (?, ?) ORDER BY opened_at, id LIMIT ?`,
			o.ID, status, status, after, afterID, limit(p)+1)
		if err != nil {
			return err
		}
		for i, q := range list {
			if i == limit(p) {
				last := list[i-1]
				next = strconv.FormatInt(millis(last.OpenedAt), 10) + "." + last.ID
				break
			}
			t, err := s.tokenRow(st, o, q.TokenID)
			if err != nil {
				return err
			}
			if t == nil {
				t = &inventory.TokenRow{ID: q.TokenID}
			}
			rows = append(rows, *s.approvalRow(o, q, t))
		}
		return nil
	})
	return rows, next, err
}

// approvalCursor reads a cursor of Approvals: the place of its last row, which
// stays where it is when requests before it are decided.
func approvalCursor(cursor string) (after int64, id string, err error) {
	if cursor == "" {
		return 0, "", nil
	}
	at, id, ok := strings.Cut(cursor, ".")
	if after, err = strconv.ParseInt(at, 10, 64); !ok || err != nil {
		return 0, "", &inventory.Invalid{Field: "cursor", Problem: "is none of ours"}
	}
	return after, id, nil
}

// Audit lists the audit log, newest first; of one organization, or whole.
func (s *Store) Audit(ctx context.Context, organization string, p inventory.Page) (rows []inventory.AuditRow, next string, err error) {
	err = s.reading(ctx, func(st *state) error {
		id, before := "", int64(1<<62)
		if organization != "" {
			o, err := named(st, organization)
			if err != nil {
				return err
			}
			id = o.ID
		}
		if p.Cursor != "" {
			if before, err = strconv.ParseInt(p.Cursor, 10, 64); err != nil {
				return &inventory.Invalid{Field: "cursor", Problem: "is none of ours"}
			}
		}
		list, err := findAll(st, scanAudit, `SELECT a.seq, a.time, a.actor_kind, a.actor_name, a.action, coalesce(o.name, ''), a.token_id, a.details
			FROM audit a LEFT JOIN organizations o ON o.id = a.organization_id WHERE a.seq < ? AND (? = '' OR a.organization_id = ?) ORDER BY a.seq DESC LIMIT ?`, before, id, id, limit(p)+1)
		for i, a := range list {
			if i == limit(p) {
				next = strconv.FormatInt(rows[i-1].Seq, 10)
				break
			}
			rows = append(rows, *a)
		}
		return err
	})
	return rows, next, err
}

func scanAudit(r scanner) (*inventory.AuditRow, error) {
	var a inventory.AuditRow
	var at int64
	var details string
	if err := r.Scan(&a.Seq, &at, &a.Actor.Kind, &a.Actor.Name, &a.Action, &a.Organization, &a.Token, &details); err != nil {
		return nil, err
	}
	a.Time = fromMillis(at)
	return &a, decode("details", details, &a.Details)
}

// PoliciesInUse lists the token policies that organizations have chosen, for
// now or from a date on.
func (s *Store) PoliciesInUse(ctx context.Context) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT token_policy FROM organizations WHERE deleted = 0 AND token_policy <> ''
		UNION SELECT next_token_policy FROM organizations WHERE deleted = 0 AND next_token_policy <> ''`)
	names, err := all(rows, err, func(r scanner) (*string, error) {
		var name string
		return &name, r.Scan(&name)
	})
	if err != nil {
		return nil, fmt.Errorf("list the policies in use: %w", err)
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = *n
	}
	return out, nil
}

// Pending is an organization's review queue.
type Pending struct {
	Organization string
	Count        int
	Oldest       time.Time
}

// PendingApprovals counts the open requests of each organization.
func (s *Store) PendingApprovals(ctx context.Context) ([]Pending, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT o.name, count(*), min(q.opened_at) FROM requests q JOIN organizations o ON o.id = q.organization_id
		WHERE q.state = ? AND o.deleted = 0 GROUP BY o.name`, authz.RequestOpen)
	list, err := all(rows, err, func(r scanner) (*Pending, error) {
		var p Pending
		var oldest int64
		err := r.Scan(&p.Organization, &p.Count, &oldest)
		p.Oldest = fromMillis(oldest)
		return &p, err
	})
	out := make([]Pending, len(list))
	for i, p := range list {
		out[i] = *p
	}
	return out, err
}
