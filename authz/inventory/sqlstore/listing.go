package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// maxLooked is how many tokens one look of a page is at, at most. A filter that few
// tokens pass may so give a short page, or an empty one, that has a next: no
// page costs more than another, however many tokens there are.
const maxLooked = 500

// Tokens lists the tokens that reach an organization (by grants, by a decision
// on them, or as a member's unscoped ones), or all tokens where organization is
// empty, newest first. A page may hold fewer rows than its limit and still have
// a next one.
func (s *Store) Tokens(ctx context.Context, organization string, f inventory.TokenFilter, p inventory.Page) (rows []inventory.TokenRow, next string, err error) {
	if err := checkFindings(organization, f); err != nil {
		return nil, "", err
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
			if l.here, err = st.numbered(l.organization.ID, st.OrganizationNumber); err != nil {
				return err
			}
		}
		if f.Owner != "" {
			u, err := st.UserByName(inventory.Fold(f.Owner))
			if err != nil || u == nil {
				return err
			}
			if l.ownerNumber, err = st.numbered(u.ID, st.UserNumber); err != nil {
				return err
			}
			l.owner, l.ownerName = u.ID, u.Name
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

func checkFindings(organization string, f inventory.TokenFilter) error {
	switch {
	case f.Finding != "" && organization == "":
		return &inventory.Invalid{Field: "finding", Problem: "is what was found at an organization: name one"}
	case f.Severity != "" && organization == "":
		return &inventory.Invalid{Field: "severity", Problem: "is of what was found at an organization: name one"}
	case f.Severity != "" && hygiene.Rank(f.Severity) < 0:
		return &inventory.Invalid{Field: "severity", Problem: "must be low, medium or high"}
	}
	return nil
}

// listing is a listing of tokens under way.
type listing struct {
	store        *Store
	state        *state
	organization *inventory.Organization // nil: all tokens
	here         int64                   // its number
	owner        string                  // id; empty: anybody's
	ownerNumber  int64
	ownerName    string
	filter       inventory.TokenFilter
	order        *order // nil: the newest first
	most         int    // how many tokens the look at hand is at, at most
	isFew        *bool  // see few; nil: not asked yet
}

// page reads on until a page is full, since the status of a token is known only
// once it is read, or until it has looked at enough.
func (l *listing) page(p inventory.Page) (rows []inventory.TokenRow, next string, err error) {
	size, last := limit(p), ""
	cursor := p.Cursor
	for looked := 0; ; {
		wanted := min(max(size+1-len(rows), 50), 500)
		// What most pass is enough at once: PostgreSQL finds all that it is asked for,
		// also what is not read any more.
		l.most = maxLooked - looked
		if looked == 0 {
			l.most = min(2*wanted, maxLooked)
		}
		part, err := l.part(cursor, wanted)
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
			if row == nil || !matches(l.filter.Status, row) {
				continue
			}
			if len(rows) == size {
				return rows, last, nil
			}
			rows, last = append(rows, *row), part.places[i]
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
	places []string // the cursors behind the tokens
}

// part reads the next tokens that may be listed, by the index that says most.
func (l *listing) part(cursor string, size int) (*part, error) {
	by, err := l.ordering(cursor)
	if err != nil {
		return nil, err
	}
	if by != nil {
		return by.part(l, cursor, size)
	}
	q := l.question()
	if cursor != "" {
		value, err := q.at.value(l.state, cursor)
		if err != nil {
			return nil, err
		}
		q.where(q.at.column+" < ?", value)
	}
	k := &look{listing: l, size: size}
	if err := k.at(q, "''", q.at.column+" DESC", true); err != nil {
		return nil, err
	}
	return k.part()
}

// newestFirst is the order of a listing that names none.
var newestFirst = func() *order {
	o := orders[inventory.SortCreated]
	o.name, o.down = "-"+inventory.SortCreated, true
	return &o
}()

// ordering is the order of a listing, nil for that of ids, the latest first: of what
// has an index of its own and is too much to be sorted, the index gives that
// order for nothing. A listing goes on in the order in which it began.
func (l *listing) ordering(cursor string) (*order, error) {
	if l.order != nil {
		return l.order, nil
	}
	if cursor != "" {
		if newestFirst.gave(cursor) {
			return newestFirst, nil
		}
		return nil, nil
	}
	if l.chosen() && !l.bySeverity() {
		if few, err := l.few(); err != nil || !few {
			return nil, err
		}
	}
	return newestFirst, nil
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

// bySeverity: by the severity of whatever was found.
func (l *listing) bySeverity() bool {
	return l.organization != nil && l.filter.Finding == "" && l.filter.Severity != ""
}

// question asks for the tokens that may be listed. Those of an organization may
// be deleted: they are dropped when they are read.
func (l *listing) question() *question {
	q := &question{from: "tokens t", at: theToken}
	switch {
	case l.byFinding():
		q.at = byID("x.token_id")
		q.from = "findings x" + l.store.index("findings_name")
		q.where("x.organization_id = ?", l.organization.ID)
		q.where("x.finding = ?", l.filter.Finding)
	case l.owner != "" && l.organization != nil:
		q.at = inReach
		q.from, q.ofOwner = "token_namespaces x"+l.store.index("token_namespaces_owner"), true
		q.where("x.organization = ?", l.here)
		q.where("x.owner = ?", l.ownerName)
	case l.bySeverity():
		q.at = byID("x.token_id")
		q.args = []any{l.organization.ID, hygiene.Rank(l.filter.Severity)}
		q.from = fmt.Sprintf("(SELECT DISTINCT g.organization_id, g.token_id FROM findings g WHERE g.organization_id = %s AND g.grade >= %s AND g.token_id <> '') x",
			db.Placeholders(1, 1), db.Placeholders(2, 1))
		q.where("x.organization_id = ?", l.organization.ID)
	case l.owner != "":
		q.ofOwner = true
		q.where("t.owner = ?", l.ownerNumber)
		q.where("NOT t.deleted")
	case l.organization != nil:
		l.byStatus(q)
	default:
		q.where("NOT t.deleted")
	}
	return q
}

// index names an index, where the database needs to be told.
func (s *Store) index(index string) string {
	if s.dialect.by == nil {
		return ""
	}
	return s.dialect.by(index)
}

// byStatus reads what was decided, and the open requests, by their own index.
// Which status a token has is decided when it is read: see matches.
func (l *listing) byStatus(q *question) {
	q.at = byID("x.token_id")
	switch status := l.filter.Status; status {
	case "approved", "approval_ended":
		q.from = "authorizations x"
		q.where("x.organization_id = ?", l.organization.ID)
		q.where("x.state = ?", authz.StateApproved)
	case authz.StateDenied, authz.StateRevoked:
		q.from = "authorizations x"
		q.where("x.organization_id = ?", l.organization.ID)
		q.where("x.state = ?", status)
	case "suspended":
		q.from = "authorizations x"
		q.where("x.organization_id = ?", l.organization.ID)
		q.where("x.suspended")
	case "pending", "pending_frozen":
		q.from = "requests x"
		q.where("x.organization_id = ?", l.organization.ID)
		q.where("x.state = ?", authz.RequestOpen)
	default:
		q.at = inReach
		q.from = "token_namespaces x"
		q.where("x.organization = ?", l.here)
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

// question is a query that is put together from fixed parts.
type question struct {
	from       string
	conditions []string
	args       []any
	at         pointer // at the token of a row
	ofOwner    bool    // it asks for one owner's
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
