package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// Lease takes a named lease until a time where it has run out or is the holder's
// own, or says that another has it.
func (s *Store) Lease(ctx context.Context, name, holder string, until time.Time) (bool, error) {
	n, err := db.New(s.writeDB).TakeLease(ctx, db.TakeLeaseParams{Name: name, Holder: holder, Until: millis(until), Now: millis(s.Clock())})
	return n == 1, err
}

// SaveFindings replaces the findings of pairs, in one transaction. When a finding
// was first found is kept.
func (s *Store) SaveFindings(ctx context.Context, results []hygiene.Result) error {
	o := s.dialect.writing
	tx, err := s.writeDB.BeginTx(ctx, &o)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	st := s.newState(ctx, tx)
	defer st.close()
	written := false
	for i := range results {
		changed, err := st.saveFindings(&results[i], s.Clock())
		if err != nil {
			return err
		}
		written = written || changed
	}
	if !written {
		return nil
	}
	st.close()
	return tx.Commit()
}

// saveFindings writes what differs from what is there.
func (s *state) saveFindings(r *hygiene.Result, now time.Time) (changed bool, err error) {
	have, err := s.FindingsOf(s.ctx, db.FindingsOfParams{OrganizationID: r.Organization, TokenID: r.Token})
	if err != nil {
		return false, err
	}
	before := make(map[string]*db.Finding, len(have))
	for i := range have {
		before[have[i].Finding] = &have[i]
	}
	for _, f := range r.Findings {
		details, err := encode(f.Details)
		if err != nil {
			return false, err
		}
		was := before[f.Name]
		delete(before, f.Name)
		if was != nil && was.Severity == f.Severity && was.Title == f.Title && was.Message == f.Message && was.Todo == f.Do && was.Details == details {
			continue
		}
		changed = true
		if err := s.UpsertFinding(s.ctx, db.UpsertFindingParams{
			OrganizationID: r.Organization, TokenID: r.Token, Finding: f.Name, Severity: f.Severity, Grade: int64(hygiene.Rank(f.Severity)), Title: f.Title,
			Message: f.Message, Todo: f.Do, Details: details, FirstAt: millis(now), LastAt: millis(now),
		}); err != nil {
			return false, err
		}
	}
	for name := range before {
		changed = true
		if err := s.ForgetFinding(s.ctx, db.ForgetFindingParams{OrganizationID: r.Organization, TokenID: r.Token, Finding: name}); err != nil {
			return false, err
		}
	}
	return changed, nil
}

// PruneFindings drops the findings of tokens and organizations that are no more.
func (s *Store) PruneFindings(ctx context.Context) error {
	return db.New(s.writeDB).PruneFindings(ctx)
}

// Findings lists what was found at an organization, by token: what is about the
// organization itself comes first.
func (s *Store) Findings(ctx context.Context, organization string, f hygiene.Filter, p inventory.Page) (rows []hygiene.Row, next string, err error) {
	token, name, ok := strings.Cut(p.Cursor, "/")
	switch {
	case p.Cursor != "" && !ok:
		return nil, "", &inventory.Invalid{Field: "cursor", Problem: "is none of ours"}
	case !storable(p.Cursor) || !storable(f.Finding):
		return nil, "", &inventory.Invalid{Field: "finding", Problem: "is not UTF-8, or holds a NUL character"}
	}
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, organization)
		if err != nil {
			return err
		}
		list, err := s.findingsAfter(st, o, f, token, name, limit(p)+1)
		for i := range list {
			r := &list[i]
			if i == limit(p) {
				next = list[i-1].Token + "/" + list[i-1].Finding
				break
			}
			row, problem := findingOf(&db.Finding{
				TokenID: r.Token, Finding: r.Finding, Severity: r.Severity, Title: r.Title, Message: r.Message, Todo: r.Todo, Details: r.Details, FirstAt: r.FirstAt,
			})
			row.DisplayName, row.Last4, row.Owner = r.DisplayName, r.Last4, r.Owner
			err = errors.Join(err, problem)
			rows = append(rows, row)
		}
		return err
	})
	return rows, next, err
}

// found is a finding with the names of its token.
type found struct {
	Token, Finding, Severity, Title, Message, Todo, Details string
	FirstAt                                                 int64
	DisplayName, Last4, Owner                               string
}

// findingsAfter reads the next findings: those of one name, of each grade that is
// asked for, or all, each by its index.
func (s *Store) findingsAfter(st *state, o *inventory.Organization, f hygiene.Filter, token, name string, size int) (list []found, err error) {
	const anyGrade = -1
	from, grades := "findings f", []int64{anyGrade}
	least := int64(max(0, hygiene.Rank(f.Severity)))
	switch {
	case f.Finding != "":
		from += s.index("findings_name")
	case least > 0:
		from += s.index("findings_grade")
		grades = nil
		for grade := least; grade <= gravest; grade++ {
			grades = append(grades, grade)
		}
	}
	for _, grade := range grades {
		q := &question{from: from + " LEFT JOIN tokens t ON t.id = f.token_id LEFT JOIN users u ON u.id = t.owner_id"}
		q.where("f.organization_id = ?", o.ID)
		if f.Finding != "" {
			q.where("f.finding = ?", f.Finding)
			q.where("f.grade >= ?", least)
		}
		if grade != anyGrade {
			q.where("f.grade = ?", grade)
		}
		n := len(q.args) + 1
		q.args = append(q.args, token, name)
		q.conditions = append(q.conditions, fmt.Sprintf("f.token_id >= $%d AND (f.token_id, f.finding) > (%s)", n, db.Placeholders(n, 2)))
		query := fmt.Sprintf(`SELECT f.token_id, f.finding, f.severity, f.title, f.message, f.todo, f.details, f.first_at, coalesce(t.display_name, ''), coalesce(t.last4, ''), coalesce(u.name, '')
			%s ORDER BY f.token_id, f.finding LIMIT %d`, q, size)
		if err := db.Each(st.ctx, st.session, query, q.args, func(r *found) error {
			list = append(list, *r)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b found) int {
		return cmp.Or(strings.Compare(a.Token, b.Token), strings.Compare(a.Finding, b.Finding))
	})
	return list[:min(len(list), size)], nil
}

// CountFindings counts findings by their name and severity.
func (s *Store) CountFindings(ctx context.Context) ([]hygiene.Count, error) {
	rows, err := db.New(s.readDB).CountFindings(ctx)
	if err != nil {
		return nil, fmt.Errorf("count findings: %w", err)
	}
	out := make([]hygiene.Count, len(rows))
	for i, r := range rows {
		out[i] = hygiene.Count{Finding: r.Finding, Severity: r.Severity, Tokens: r.Tokens}
	}
	return out, nil
}

// findingOf reads a finding as it is stored.
func findingOf(r *db.Finding) (hygiene.Row, error) {
	row := hygiene.Row{
		Finding: hygiene.Finding{Name: r.Finding, Severity: r.Severity, Title: r.Title, Message: r.Message, Do: r.Todo},
		Token:   r.TokenID, FirstAt: fromMillis(r.FirstAt),
	}
	return row, decode("details", r.Details, &row.Details)
}

// TokenFindings are the findings of a token at an organization, the gravest
// first.
func (s *Store) TokenFindings(ctx context.Context, organization, id string) (out []hygiene.Row, err error) {
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, organization)
		if err != nil {
			return err
		}
		rows, err := st.FindingsOfToken(ctx, db.FindingsOfTokenParams{OrganizationID: o.ID, TokenID: id})
		for i := range rows {
			row, problem := findingOf(&rows[i])
			err = errors.Join(err, problem)
			out = append(out, row)
		}
		return err
	})
	return out, err
}

// CountFindingsOf counts the findings of an organization by their name, the
// gravest first.
func (s *Store) CountFindingsOf(ctx context.Context, organization string) (out []hygiene.Count, err error) {
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, organization)
		if err != nil {
			return err
		}
		rows, err := st.CountFindingsOf(ctx, o.ID)
		for _, r := range rows {
			n := hygiene.Count{Finding: r.Finding, Severity: r.Severity, Title: r.Title, Tokens: r.Tokens, Organization: r.Organization}
			if n.Organization {
				n.Tokens--
			}
			out = append(out, n)
		}
		return err
	})
	return out, err
}
