package sqlstore

import (
	"fmt"
	"math"
	"slices"

	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// stage is a part of a listing whose keys lie in a table beside the tokens:
// each has an index that gives it in order, so that no page reads more than it
// shows. Those without a row there are a stage of their own.
type stage struct {
	// from and to bound the keys of the stage.
	from, to int64
	// table is what gives the tokens, as x, with organization_id and token_id,
	// and key the key; "" for what has no row: then absent says so of t and an
	// organization.
	table, key string
	where      string
	absent     string
}

// joined gives the key of the tokens of a filter by a look at the other table.
func (o *order) joined(q *question, l *listing) string {
	q.args = append(q.args, l.organization.ID)
	n, id := db.Placeholders(len(q.args), 1), q.at.id
	if o.stages[0].absent == neverUsed {
		return fmt.Sprintf("(SELECT coalesce(max(k.used_at), 0) FROM token_uses k WHERE k.token_id = %s AND k.organization_id = %s)", id, n)
	}
	// Of the grade itself SQLite would look for the greatest in the index of grades,
	// which is that of all tokens.
	return fmt.Sprintf("(SELECT coalesce(max(k.grade + 0), -1) FROM findings k WHERE k.organization_id = %s AND k.token_id = %s)", n, id)
}

const (
	neverUsed  = "NOT EXISTS (SELECT 1 FROM token_uses k WHERE k.token_id = t.id AND k.organization_id = ? AND k.used_at > 0)"
	notFound   = "NOT EXISTS (SELECT 1 FROM findings k WHERE k.organization_id = ? AND k.token_id = t.id)"
	notGraver  = "NOT EXISTS (SELECT 1 FROM findings k WHERE k.organization_id = x.organization_id AND k.token_id = x.token_id AND k.grade > x.grade)"
	ofOneGrade = "x.grade = %d AND x.token_id <> ''"
)

var lastUsedStages = []stage{
	{from: 0, to: 0, absent: neverUsed},
	{from: 1, to: math.MaxInt64, table: "token_uses x", key: "x.used_at", where: "x.used_at > 0"},
}

var severityStages = func() []stage {
	out := []stage{{from: -1, to: -1, absent: notFound}}
	for grade := range gravest + 1 {
		out = append(out, stage{from: grade, to: grade, table: "findings x", key: "x.grade", where: fmt.Sprintf(ofOneGrade, grade) + " AND " + notGraver})
	}
	return out
}()

// staged looks at the next tokens, stage by stage.
func (o *order) staged(k *look, p *place) error {
	stages := slices.Clone(o.stages)
	if o.down {
		slices.Reverse(stages)
	}
	for i := range stages {
		s := &stages[i]
		if p != nil && (o.down && p.Number < s.from || !o.down && p.Number > s.to) {
			continue // it lies behind
		}
		inside := p
		if p != nil && (p.Number < s.from || p.Number > s.to) {
			inside = nil // all of it comes yet
		}
		if err := o.stage(k, s, inside); err != nil || k.done {
			return err
		}
	}
	return nil
}

func (o *order) stage(k *look, s *stage, p *place) error {
	direction, beyond := o.way()
	if s.absent != "" {
		return o.lacking(k, s, p)
	}
	q := &question{from: s.table}
	q.where("x.organization_id = ?", k.listing.organization.ID)
	q.conditions = append(q.conditions, s.where)
	q.where("EXISTS (SELECT 1 FROM token_namespaces n WHERE n.organization = ? AND n.token = "+numberOf("x.token_id")+")", k.listing.here)
	by := "x.token_id " + direction
	if s.from != s.to { // the key orders too
		by = s.key + " " + direction + ", " + by
		if p != nil {
			n := len(q.args) + 1
			q.args = append(q.args, p.Number, p.ID)
			q.conditions = append(q.conditions, fmt.Sprintf("(%s, x.token_id) %s (%s)", s.key, beyond, db.Placeholders(n, 2)))
		}
	} else if p != nil {
		q.where("x.token_id "+beyond+" ?", p.ID)
	}
	// A token may have several findings of a grade: each is looked at once. What
	// is asked of each is asked outside, where it does not keep from the index.
	inner := fmt.Sprintf("SELECT DISTINCT %s AS k, x.token_id AS id %s ORDER BY %s LIMIT %d", s.key, q, by, maxLooked-k.looked)
	passes := k.listing.passing(q, byID("s.id"))
	return k.read(fmt.Sprintf("SELECT s.k, s.id, %s FROM (%s) s", passes, inner), q.args, false)
}

// lacking looks at the next tokens of which the other table has no row.
func (o *order) lacking(k *look, s *stage, p *place) error {
	direction, beyond := o.way()
	q := &question{from: "token_namespaces x CROSS JOIN tokens t", at: pointer{inReach.column, true, "t.id"}}
	q.where("x.organization = ?", k.listing.here)
	q.conditions = append(q.conditions, "t.number = x.token")
	q.where(s.absent, k.listing.organization.ID)
	if p != nil {
		number, err := k.listing.state.place(p.ID)
		if err != nil {
			return err
		}
		q.where("x.token "+beyond+" ?", number)
	}
	return k.at(q, fmt.Sprint(s.from), "x.token "+direction, false)
}
