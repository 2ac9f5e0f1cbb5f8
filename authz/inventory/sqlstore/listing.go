package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// maxLooked is how many tokens one page looks at, at most. A filter that few
// tokens pass may so give a short page, or an empty one, that has a next: no
// page costs more than another, however many tokens there are.
const maxLooked = 2000

// Tokens lists the tokens that reach an organization (by grants, by a decision
// on them, or as a member's unscoped ones), or all tokens where organization is
// empty, newest first. A page may hold fewer rows than its limit and still have
// a next one.
func (s *Store) Tokens(ctx context.Context, organization string, f inventory.TokenFilter, p inventory.Page) (rows []inventory.TokenRow, next string, err error) {
	if f.Finding != "" && organization == "" {
		return nil, "", &inventory.Invalid{Field: "finding", Problem: "is what was found at an organization: name one"}
	}
	if !storable(f.Query) || !storable(f.Finding) || !storable(p.Cursor) {
		return nil, "", &inventory.Invalid{Field: "q", Problem: "is not UTF-8, or holds a NUL character"}
	}
	err = s.reading(ctx, func(st *state) error {
		l := &listing{store: s, state: st, filter: f}
		if organization != "" {
			if l.organization, err = named(st, organization); err != nil {
				return err
			}
		}
		if f.Owner != "" {
			u, err := st.UserByName(inventory.Fold(f.Owner))
			if err != nil || u == nil {
				return err
			}
			l.owner = u.ID
		}
		if rows, next, err = l.page(p); err != nil {
			return err
		}
		return st.decorate(l.organization, rows)
	})
	return rows, next, err
}

// listing is a listing of tokens under way.
type listing struct {
	store        *Store
	state        *state
	organization *inventory.Organization // nil: all tokens
	owner        string                  // id; empty: anybody's
	filter       inventory.TokenFilter
}

// page reads on until a page is full, since the status of a token is known only
// once it is read, or until it has looked at enough.
func (l *listing) page(p inventory.Page) (rows []inventory.TokenRow, next string, err error) {
	size := limit(p)
	cursor := p.Cursor
	for looked := 0; ; {
		part := min(max(size+1-len(rows), 50)*2, 500)
		tokens, err := l.tokens(cursor, part)
		if err != nil {
			return nil, "", err
		}
		passing := tokens[:0:0]
		for _, t := range tokens {
			if l.passes(t) {
				passing = append(passing, t)
			}
		}
		if err := l.state.readTokens(l.organization, passing); err != nil {
			return nil, "", err
		}
		for _, t := range passing {
			row, err := l.store.row(l.state, l.organization, t)
			if err != nil {
				return nil, "", err
			}
			if row == nil || !matches(l.filter.Status, row) {
				continue
			}
			if len(rows) == size {
				return rows, rows[len(rows)-1].ID, nil
			}
			rows = append(rows, *row)
		}
		if len(tokens) < part {
			return rows, "", nil
		}
		cursor = tokens[len(tokens)-1].ID
		if looked += len(tokens); looked >= maxLooked {
			return rows, cursor, nil
		}
	}
}

// passes applies what is not worth an index.
func (l *listing) passes(t *inventory.Token) bool {
	return (l.filter.Kind == "" || t.Kind == l.filter.Kind) && (l.owner == "" || t.OwnerID == l.owner) &&
		(l.filter.Query == "" || strings.Contains(strings.ToLower(t.DisplayName), strings.ToLower(l.filter.Query)))
}

// tokens reads the next tokens that may pass, by the index that says most.
func (l *listing) tokens(cursor string, size int) ([]*inventory.Token, error) {
	q := &question{}
	id := "t.id"
	switch {
	case l.organization == nil && l.owner != "":
		q.from = "tokens t"
		q.where("t.owner_id = ?", l.owner)
	case l.organization == nil && l.filter.Kind != "":
		q.from = "tokens t"
		q.where("t.kind = ?", l.filter.Kind)
	case l.organization == nil:
		q.from = "tokens t"
	case l.filter.Finding != "":
		id = "x.token_id"
		q.from = "findings x JOIN tokens t ON t.id = x.token_id"
		q.where("x.organization_id = ?", l.organization.ID)
		q.where("x.finding = ?", l.filter.Finding)
	case l.owner != "":
		q.from = "tokens t"
		q.where("t.owner_id = ?", l.owner)
		q.where("EXISTS (SELECT 1 FROM token_namespaces n WHERE n.token_id = t.id AND n.organization_id = ?)", l.organization.ID)
	default:
		id = l.byStatus(q)
	}
	q.where("NOT t.deleted")
	if cursor != "" {
		q.where(id+" < ?", cursor)
	}
	return selectRows(l.state, "t", fmt.Sprintf("%s ORDER BY %s DESC LIMIT %d", q.String(), id, size), q.args, tokenOf)
}

// byStatus reads what was decided, and the open requests, by their own index.
// Which status a token has is decided when it is read: see matches.
func (l *listing) byStatus(q *question) (id string) {
	switch status := l.filter.Status; status {
	case "approved", "approval_ended":
		q.from = "authorizations x JOIN tokens t ON t.id = x.token_id"
		q.where("x.organization_id = ?", l.organization.ID)
		q.where("x.state = ?", authz.StateApproved)
	case authz.StateDenied, authz.StateRevoked:
		q.from = "authorizations x JOIN tokens t ON t.id = x.token_id"
		q.where("x.organization_id = ?", l.organization.ID)
		q.where("x.state = ?", status)
	case "suspended":
		q.from = "authorizations x JOIN tokens t ON t.id = x.token_id"
		q.where("x.organization_id = ?", l.organization.ID)
		q.where("x.suspended")
	case "pending", "pending_frozen":
		q.from = "requests x JOIN tokens t ON t.id = x.token_id"
		q.where("x.organization_id = ?", l.organization.ID)
		q.where("x.state = ?", authz.RequestOpen)
	default:
		q.from = "token_namespaces x JOIN tokens t ON t.id = x.token_id"
		q.where("x.organization_id = ?", l.organization.ID)
	}
	return "x.token_id"
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

// question is a query that is put together from fixed parts.
type question struct {
	from       string
	conditions []string
	args       []any
}

// where adds a condition; its ? stands for the value.
func (q *question) where(condition string, value ...any) {
	q.args = append(q.args, value...)
	q.conditions = append(q.conditions, strings.Replace(condition, "?", db.Placeholders(len(q.args), 1), 1))
}

func (q *question) String() string {
	return "FROM " + q.from + " WHERE " + strings.Join(q.conditions, " AND ")
}

// tokensOf reads the tokens of some requests, with what belongs to them.
func (s *state) tokensOf(list []*inventory.Request) (map[string]*inventory.Token, error) {
	out := make(map[string]*inventory.Token, len(list))
	if len(list) == 0 {
		return out, nil
	}
	ids := make([]string, len(list))
	for i, q := range list {
		ids[i] = q.TokenID
	}
	var tokens []*inventory.Token
	for len(ids) > 0 {
		n := min(len(ids), most)
		where, args := in("t.id", ids[:n], nil)
		found, err := selectRows(s, "t", "FROM tokens t WHERE NOT t.deleted AND "+where, args, tokenOf)
		if err != nil {
			return nil, err
		}
		tokens, ids = append(tokens, found...), ids[n:]
	}
	for _, t := range tokens {
		out[t.ID] = t
	}
	return out, s.readTokens(&inventory.Organization{ID: list[0].OrganizationID}, tokens)
}
