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
	// from and to bound the keys of the stage. Where they are one, its tokens are
	// in the order of their ids, and are looked at in windows: see windowed.
	from, to int64
	// table is what gives the tokens, as x, and at how it refers to them; key is the
	// key, and where what the index is asked for.
	table      string
	at         pointer
	key, where string
	// only says of a token of the window, as w, that it is of this stage.
	only string
}

// joined gives the key of the tokens of a filter by a look at the other table.
func (o *order) joined(q *question, l *listing) string {
	q.args = append(q.args, l.organization.ID)
	n, id := db.Placeholders(len(q.args), 1), q.at.id
	if o.stages[0].only == neverUsed {
		return fmt.Sprintf("(SELECT coalesce(max(k.used_at), 0) FROM token_uses k WHERE k.token_id = %s AND k.organization_id = %s)", id, n)
	}
	// Of the grade itself SQLite would look for the greatest in the index of grades,
	// which is that of all tokens.
	return fmt.Sprintf("(SELECT coalesce(max(k.grade + 0), -1) FROM findings k WHERE k.organization_id = %s AND k.token_id = %s)", n, id)
}

// What is asked of tokens, and of their tables; $1 is the organization's id.
const (
	neverUsed  = "(SELECT 1 FROM token_uses k WHERE k.token_id = w.token_id AND k.organization_id = $1 AND k.used_at > 0 LIMIT 1) IS NULL"
	notFound   = "(SELECT 1 FROM findings k WHERE k.organization_id = $1 AND k.token_id = w.token_id LIMIT 1) IS NULL"
	notGraver  = "(SELECT 1 FROM findings k WHERE k.organization_id = $1 AND k.token_id = w.token_id AND k.grade + 0 > %d LIMIT 1) IS NULL"
	ofOneGrade = "x.organization_id = $1 AND x.grade = %d AND x.token_id <> ''"
	used       = "x.organization_id = $1 AND x.used_at > 0"
	listed     = "x.organization = " + numberHere
	numberHere = "(SELECT o.number FROM organizations o WHERE o.id = $1)"
)

// reaching says that the token of an id is one of the organization's.
func reaching(id string) string {
	return "(SELECT 1 FROM token_namespaces n WHERE n.organization = " + numberHere + " AND n.token = " + numberOf(id) + " LIMIT 1) IS NOT NULL"
}

// lacking is the stage of those tokens of which the other table has no row.
func lacking(key int64, only string) stage {
	return stage{from: key, to: key, table: "token_namespaces x", at: inReach, where: listed, only: only}
}

var lastUsedStages = []stage{
	lacking(0, neverUsed),
	{from: 1, to: math.MaxInt64, table: "token_uses x", at: byID("x.token_id"), key: "x.used_at", where: used + " AND " + reaching("x.token_id")},
}

var severityStages = func() []stage {
	out := []stage{lacking(-1, notFound)}
	for grade := range gravest + 1 {
		out = append(out, stage{
			from: grade, to: grade, table: "findings x", at: byID("x.token_id"), where: fmt.Sprintf(ofOneGrade, grade),
			only: fmt.Sprintf(notGraver, grade) + " AND " + reaching("w.token_id"),
		})
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
	q := &question{from: s.table, at: s.at, conditions: []string{s.where}, args: []any{k.listing.organization.ID}}
	if s.from == s.to {
		return o.windowed(k, s, p, q)
	}
	if p != nil {
		n := len(q.args) + 1
		q.args = append(q.args, p.Number, p.ID)
		q.conditions = append(q.conditions, fmt.Sprintf("(%s, x.token_id) %s (%s)", s.key, beyond, db.Placeholders(n, 2)))
	}
	inner := fmt.Sprintf("SELECT %s AS k, x.token_id AS id %s ORDER BY %s %s, x.token_id %s LIMIT %d", s.key, q, s.key, direction, direction, k.listing.most-k.looked)
	return k.stage(q, inner)
}

// defaultWindow is how many tokens are looked at for those of a stage, at most:
// where nearly all were used, those that never were are few among many.
const defaultWindow = 1500

// windowed looks at the next tokens of a stage that is in the order of ids. Where
// the window ends before there are enough, so does the look: the listing goes on
// behind it.
func (o *order) windowed(k *look, s *stage, p *place, q *question) error {
	direction, beyond := o.way()
	if p != nil {
		at, err := q.at.value(k.listing.state, p.ID)
		if err != nil {
			return err
		}
		q.where(q.at.column+" "+beyond+" ?", at)
	}
	// A token may have several findings of a grade: each is looked at once.
	tokens := fmt.Sprintf("SELECT DISTINCT %s AS at %s ORDER BY %s %s LIMIT %d", q.at.column, q, q.at.column, direction, k.listing.store.window)
	args := slices.Clone(q.args)
	named := fmt.Sprintf("SELECT %s AS token_id FROM (%s) v", q.at.idOf("v.at"), tokens)
	if err := k.stage(q, fmt.Sprintf("SELECT %d AS k, w.token_id AS id FROM (%s) w WHERE %s LIMIT %d", s.from, named, s.only, k.listing.most-k.looked)); err != nil || k.done {
		return err
	}
	var n int
	var last string
	end := map[bool]string{false: "max", true: "min"}[o.down]
	query := fmt.Sprintf("SELECT c.n, coalesce(%s, '') FROM (SELECT count(*) AS n, %s(v.at) AS last FROM (%s) v) c", q.at.idOf("c.last"), end, tokens)
	if err := k.listing.state.session.QueryRowContext(k.listing.state.ctx, query, args...).Scan(&n, &last); err != nil || n < k.listing.store.window {
		return err
	}
	k.last, k.done, k.looked = place{Sort: o.name, Number: s.from, ID: last}, true, maxLooked
	return nil
}

// stage looks at what inner finds. What is asked of each is asked outside, where it
// does not keep from the index.
func (k *look) stage(q *question, inner string) error {
	passes := k.listing.passing(q, byID("s.id"))
	return k.read(fmt.Sprintf("SELECT s.k, s.id, %s FROM (%s) s", passes, inner), q.args, false)
}
