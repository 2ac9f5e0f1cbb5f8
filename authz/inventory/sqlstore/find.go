package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// mostAudited is how many entries of the audit log a page that is narrowed looks at,
// at most: no page costs more than another, however long the log is.
const mostAudited = 20_000

// FindAudit lists the entries of the audit log that a filter lets through, newest
// first; of one organization, or of all. A page may be short and still have a next
// one.
func (s *Store) FindAudit(ctx context.Context, organization string, f inventory.AuditFilter, p inventory.Page) (rows []inventory.AuditRow, next string, err error) {
	if f == (inventory.AuditFilter{}) {
		return s.Audit(ctx, organization, p)
	}
	if err := checkAuditFilter(f); err != nil {
		return nil, "", err
	}
	before := int64(0)
	if p.Cursor != "" {
		if before, err = strconv.ParseInt(p.Cursor, 10, 64); err != nil {
			return nil, "", badCursor
		}
	}
	err = s.reading(ctx, func(st *state) error {
		q := &question{from: "audit a LEFT JOIN organizations o ON o.id = a.organization_id"}
		if organization != "" {
			o, err := named(st, organization)
			if err != nil {
				return err
			}
			q.where("a.organization_id = ?", o.ID)
		}
		if before == 0 {
			end, err := st.Counter(ctx)
			if err != nil {
				return err
			}
			before = end.AuditSeq + 1
		}
		narrowAudit(q, f)
		q.where("a.seq < ?", before)
		floor := int64(0)
		if f.Token == "" { // a token's entries have an index
			floor = before - s.mostAudited
			q.where("a.seq >= ?", floor)
		}
		size := limit(p)
		query := "SELECT a.seq, a.time, a.actor_kind, a.actor_name, a.action, a.organization_id, a.token_id, a.details, a.hash, coalesce(o.name, '') AS organization " +
			q.String() + " ORDER BY a.seq DESC LIMIT " + strconv.Itoa(size+1)
		if err := db.Each(ctx, st.session, query, q.args, func(a *db.AuditPageRow) error {
			if len(rows) == size {
				next = strconv.FormatInt(rows[size-1].Seq, 10)
				return nil
			}
			row, err := auditRow(a)
			if err == nil {
				rows = append(rows, *row)
			}
			return err
		}); err != nil {
			return err
		}
		if next == "" && floor > 1 {
			next = strconv.FormatInt(floor, 10)
		}
		return nil
	})
	return rows, next, err
}

func checkAuditFilter(f inventory.AuditFilter) error {
	for _, part := range [][2]string{{"actor", f.Actor}, {"action", f.Action}, {"token", f.Token}, {"user", f.User}} {
		if !storable(part[1]) {
			return &inventory.Invalid{Field: part[0], Problem: "is not UTF-8, or holds a NUL character"}
		}
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return &inventory.Invalid{Field: "until", Problem: "must be later than since"}
	}
	return nil
}

func narrowAudit(q *question, f inventory.AuditFilter) {
	if f.Actor != "" {
		q.where("a.actor_name = ?", f.Actor)
	}
	if f.Action != "" { // the action, or all of a kind: token for token.revoke
		// LIKE would fold ASCII case on SQLite, and not on PostgreSQL.
		kind := f.Action + "."
		q.where("substr(a.action || '.', 1, "+strconv.Itoa(utf8.RuneCountInString(kind))+") = ?", kind)
	}
	if f.Token != "" {
		q.where("a.token_id = ?", f.Token)
	}
	if f.User != "" {
		q.where(`a.details LIKE ? ESCAPE '\'`, fmt.Sprintf(`%%"user":%s%%`, likeEscaper.Replace(strconv.Quote(inventory.Fold(f.User)))))
	}
	if !f.Since.IsZero() {
		q.where("a.time >= ?", millis(f.Since))
	}
	if !f.Until.IsZero() {
		q.where("a.time < ?", millis(f.Until.Add(time.Millisecond-1)))
	}
}

// memberFound is a row of the members that are found.
type memberFound struct {
	ID               string
	Name             string
	Type             string
	Email            string
	EmailConfirmedAt int64
	Role             string
	Since            int64
}

// FindMembers lists the present members of an organization that a filter lets
// through, by name.
func (s *Store) FindMembers(ctx context.Context, organization string, f inventory.MemberFilter, p inventory.Page) (rows []inventory.MemberRow, next string, err error) {
	if !storable(f.Query) || !storable(p.Cursor) {
		return nil, "", &inventory.Invalid{Field: "q", Problem: "is not UTF-8, or holds a NUL character"}
	}
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, organization)
		if err != nil {
			return err
		}
		// CROSS keeps SQLite to the order of names: a filter would lead it to sort all members.
		q := &question{from: "users u CROSS JOIN periods p"}
		q.where("p.user_id = u.id")
		q.where("p.organization_id = ?", o.ID)
		q.where("p.until = 0")
		q.where("u.name > ?", p.Cursor)
		if err := narrowMembers(q, f); err != nil {
			return err
		}
		query := "SELECT u.id, u.name, u.type, u.email, u.email_confirmed_at, p.role, p.since " + q.String() + " ORDER BY u.name LIMIT " + strconv.Itoa(limit(p)+1)
		var found []memberFound
		if err := db.Each(ctx, st.session, query, q.args, func(m *memberFound) error {
			if len(found) == limit(p) {
				next = found[len(found)-1].Name
				return nil
			}
			found = append(found, *m)
			return nil
		}); err != nil {
			return err
		}
		for i := range found {
			m := &found[i]
			u := &inventory.User{ID: m.ID, Name: m.Name, Type: m.Type, Email: m.Email, Address: inventory.Address{ConfirmedAt: fromMillis(m.EmailConfirmedAt)}}
			row, err := st.member(o, u, &inventory.Period{Role: m.Role, Since: fromMillis(m.Since)})
			if err != nil {
				return err
			}
			rows = append(rows, *row)
		}
		return nil
	})
	return rows, next, err
}

// Members lists the present members of an organization by name.
func (s *Store) Members(ctx context.Context, organization string, p inventory.Page) (rows []inventory.MemberRow, next string, err error) {
	return s.FindMembers(ctx, organization, inventory.MemberFilter{}, p)
}

// Member reads a present member.
func (s *Store) Member(ctx context.Context, organization, user string) (row *inventory.MemberRow, err error) {
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, organization)
		if err != nil {
			return err
		}
		u, err := st.UserByName(inventory.Fold(user))
		if err != nil {
			return err
		}
		if u != nil {
			if row, err = memberRow(st, o, u.ID); err != nil {
				return err
			}
		}
		if row == nil || row.Role == "" {
			row, err = nil, &inventory.NotFound{What: "member", Name: user}
		}
		return err
	})
	return row, err
}

func narrowMembers(q *question, f inventory.MemberFilter) error {
	if f.Role != "" {
		q.where("p.role = ?", f.Role)
	}
	if f.Type != "" {
		q.where("u.type = ?", f.Type)
	}
	switch f.Address {
	case "":
	case inventory.AddressNone:
		q.where("u.email = ''")
	case inventory.AddressConfirmed:
		q.where("u.email <> '' AND u.email_confirmed_at > 0")
	case inventory.AddressUnconfirmed:
		q.where("u.email <> '' AND u.email_confirmed_at = 0")
	default:
		return &inventory.Invalid{Field: "address", Problem: "must be confirmed, unconfirmed or none"}
	}
	if f.Query != "" {
		q.where(`u.name || ' ' || lower(u.email) LIKE ? ESCAPE '\'`, "%"+likeEscaper.Replace(lower(f.Query))+"%")
	}
	return nil
}
