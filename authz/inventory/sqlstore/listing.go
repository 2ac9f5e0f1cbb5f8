package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// maxLooked is how many tokens one page looks at, at most. A filter that few
// tokens pass may so give a short page, or an empty one, that has a next: no
// page costs more than another, however many tokens there are.
const maxLooked = 1000

// window is how many tokens are looked at, at most, for a kind or a name.
const window = 1000

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
		if l.order, err = orderOf(f.Sort, l.organization != nil); err != nil {
			return err
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
	order        *order // nil: by id, the newest first
}

// page reads on until a page is full, since the status of a token is known only
// once it is read, or until it has looked at enough.
func (l *listing) page(p inventory.Page) (rows []inventory.TokenRow, next string, err error) {
	size, last := limit(p), ""
	cursor := p.Cursor
	for looked := 0; ; {
		part, err := l.part(cursor, min(max(size+1-len(rows), 50), 500))
		if err != nil {
			return nil, "", err
		}
		if err := l.state.readTokens(l.organization, part.tokens); err != nil {
			return nil, "", err
		}
		for i, t := range part.tokens {
			row, err := l.store.row(l.state, l.organization, t)
			if err != nil {
				return nil, "", err
			}
			if row == nil || !matches(l.filter.Status, row) || !l.passes(t) {
				continue
			}
			if len(rows) == size {
				return rows, last, nil
			}
			rows, last = append(rows, *row), part.place(i)
		}
		if part.end == "" {
			return rows, "", nil
		}
		cursor = part.end
		if looked += part.looked; looked >= maxLooked {
			return rows, cursor, nil
		}
	}
}

// part is a part of a listing.
type part struct {
	tokens []*inventory.Token
	looked int      // how many tokens were looked at for it
	end    string   // the place of the last one that was looked at; empty: there are no more
	places []string // of the tokens, in an order of its own
}

// place is the cursor behind a token.
func (p *part) place(i int) string {
	if p.places != nil {
		return p.places[i]
	}
	return p.tokens[i].ID
}

// part reads the next tokens that may be listed, by the index that says most.
func (l *listing) part(cursor string, size int) (*part, error) {
	if l.order != nil {
		return l.order.part(l, cursor, size)
	}
	q, id := l.question()
	if cursor != "" {
		q.where(id+" < ?", cursor)
	}
	out := &part{}
	narrowed := q.narrowed(l)
	if narrowed != nil {
		// Where does the window end in which kinds and names are looked at?
		query := fmt.Sprintf("SELECT coalesce(min(w.id), ''), count(*) FROM (SELECT %s AS id %s ORDER BY %s DESC LIMIT %d) w", id, q, id, window)
		if err := l.state.session.QueryRowContext(l.state.ctx, query, q.args...).Scan(&out.end, &out.looked); err != nil {
			return nil, err
		}
		narrowed.where(id+" >= ?", out.end)
		q = narrowed
	}
	var err error
	if out.tokens, err = selectRows(l.state, "t", fmt.Sprintf("%s ORDER BY %s DESC LIMIT %d", q, id, size), q.args, tokenOf); err != nil {
		return nil, err
	}
	full := len(out.tokens) == size
	switch {
	case full:
		out.end = out.tokens[size-1].ID
	case narrowed == nil || out.looked < window:
		out.end = ""
	}
	if narrowed == nil {
		out.looked = len(out.tokens)
	}
	return out, nil
}

// narrowed adds the conditions that are not worth an index; nil: there are none.
func (q *question) narrowed(l *listing) *question {
	if l.filter.Kind == "" && l.filter.Query == "" && (l.owner == "" || !l.byFinding()) {
		return nil
	}
	n := &question{from: q.from, conditions: slices.Clone(q.conditions), args: slices.Clone(q.args)}
	if l.filter.Kind != "" {
		n.where("t.kind = ?", l.filter.Kind)
	}
	if l.owner != "" && l.byFinding() {
		n.where("t.owner_id = ?", l.owner)
	}
	if l.filter.Query != "" {
		n.where(`lower(t.display_name) LIKE ? ESCAPE '\'`, "%"+likeEscaper.Replace(lower(l.filter.Query))+"%")
	}
	return n
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// lower is what both databases' lower does: to ASCII only.
func lower(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, text)
}

func (l *listing) byFinding() bool { return l.organization != nil && l.filter.Finding != "" }

// question asks for the tokens that may be listed; id is what orders them.
func (l *listing) question() (q *question, id string) {
	q, id = &question{from: "tokens t"}, "t.id"
	switch {
	case l.byFinding():
		id = "x.token_id"
		q.from = "findings x JOIN tokens t ON t.id = x.token_id"
		q.where("x.organization_id = ?", l.organization.ID)
		q.where("x.finding = ?", l.filter.Finding)
	case l.owner != "":
		q.where("t.owner_id = ?", l.owner)
		if l.organization != nil {
			q.where("EXISTS (SELECT 1 FROM token_namespaces n WHERE n.token_id = t.id AND n.organization_id = ?)", l.organization.ID)
		}
	case l.organization != nil:
		id = l.byStatus(q)
	}
	q.where("NOT t.deleted")
	return q, id
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
