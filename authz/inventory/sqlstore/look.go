package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// look is a look at tokens in an order, of which those are taken that may pass
// the filter: the database says so of each by its indices, so that nothing of
// those is read that are not shown.
type look struct {
	listing *listing
	order   *order // nil: by id
	size    int    // how many are taken
	found   []place
	looked  int
	last    place
	done    bool // as many were taken or looked at as may be
}

// seen is a row of a look: its key, its id, and 1 where it passes.
type (
	textSeen struct {
		Key, ID string
		Passes  int64
	}
	numberSeen struct {
		Key    int64
		ID     string
		Passes int64
	}
)

var errDone = errors.New("enough was looked at")

// at looks at what a question finds; text says that the key is one.
func (k *look) at(q *question, key, by string, text bool) error {
	from := q.String()
	passes := k.listing.passing(q, q.at)
	query := fmt.Sprintf("SELECT %s, %s, %s %s ORDER BY %s LIMIT %d", key, q.at.id, passes, from, by, k.listing.most-k.looked)
	return k.read(query, q.args, text)
}

func (k *look) read(query string, args []any, text bool) (err error) {
	ctx, session := k.listing.state.ctx, k.listing.state.session
	if text {
		err = db.Each(ctx, session, query, args, func(r *textSeen) error { return k.see(place{Text: r.Key, ID: r.ID}, r.Passes) })
	} else {
		err = db.Each(ctx, session, query, args, func(r *numberSeen) error { return k.see(place{Number: r.Key, ID: r.ID}, r.Passes) })
	}
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

func (k *look) see(p place, passes int64) error {
	if k.order != nil {
		p.Sort = k.order.name
	}
	k.looked++
	k.last = p
	if passes != 0 {
		k.found = append(k.found, p)
	}
	if k.done = len(k.found) == k.size || k.looked == k.listing.most; k.done {
		return errDone // what follows is not asked for
	}
	return nil
}

// part reads the tokens that were found.
func (k *look) part() (*part, error) {
	out := &part{looked: k.looked}
	cursor := func(p *place) string {
		if k.order == nil {
			return p.ID
		}
		return p.String()
	}
	if k.done {
		out.end = cursor(&k.last)
	}
	ids := make([]string, len(k.found))
	for i := range k.found {
		ids[i] = k.found[i].ID
	}
	byID, err := k.listing.state.tokensByID(ids)
	for i := range k.found {
		if t := byID[k.found[i].ID]; t != nil {
			out.tokens, out.places = append(out.tokens, t), append(out.places, cursor(&k.found[i]))
		}
	}
	return out, err
}

// passing adds to a question what it asks of each row: 1 where the token that it
// points at may pass the filter. What a token's status is, is decided when it is
// read (see matches): no token that has the status fails here.
func (l *listing) passing(q *question, at pointer) string {
	p := &question{args: slices.Clone(q.args)}
	f := l.filter
	of := func(column string) string { return "(SELECT m." + column + " FROM tokens m WHERE " + at.of("m") + ")" }
	if f.Kind != "" {
		p.where(of("kind")+" = ?", f.Kind)
	}
	if l.owner != "" && !q.ofOwner {
		p.where(of("owner_id")+" = ?", l.owner)
	}
	if f.Query != "" {
		p.where(of("name")+` LIKE ? ESCAPE '\'`, "%"+likeEscaper.Replace(lower(f.Query))+"%")
	}
	if l.organization != nil {
		l.passingHere(p, at.id)
	}
	q.args = p.args
	if len(p.conditions) == 0 {
		return "1"
	}
	return "CASE WHEN " + strings.Join(p.conditions, " AND ") + " THEN 1 ELSE 0 END"
}

// Whether a row is there, asked of one token at a time: an EXISTS PostgreSQL may
// answer by reading first all tokens that have one, however few are looked at.
const (
	isThere  = "(SELECT 1 FROM %s LIMIT 1) IS NOT NULL"
	notThere = "(SELECT 1 FROM %s LIMIT 1) IS NULL"
)

// passingFindings: what is asked of findings holds of one of them.
func (l *listing) passingFindings(p *question, id string) {
	condition := "findings g WHERE g.token_id = " + id
	and := func(what string, value any) {
		p.args = append(p.args, value)
		condition += " AND " + what + db.Placeholders(len(p.args), 1)
	}
	and("g.organization_id = ", l.organization.ID)
	if l.filter.Finding != "" {
		and("g.finding = ", l.filter.Finding)
	}
	if l.filter.Severity != "" {
		// Of the grade itself SQLite would look in the index of grades.
		and("g.grade + 0 >= ", hygiene.Rank(l.filter.Severity))
	}
	p.conditions = append(p.conditions, fmt.Sprintf(isThere, condition))
}

// passingHere are the conditions that are an organization's.
func (l *listing) passingHere(p *question, id string) {
	decided := func(there, condition string) {
		p.where(fmt.Sprintf(there, "authorizations a WHERE a.token_id = "+id+" AND a.organization_id = ? AND "+condition), l.organization.ID)
	}
	open := func(there string) {
		p.where(fmt.Sprintf(there, "requests r WHERE r.organization_id = ? AND r.state = 'open' AND r.token_id = "+id), l.organization.ID)
	}
	if l.filter.Finding != "" || l.filter.Severity != "" {
		l.passingFindings(p, id)
	}
	switch l.filter.Status {
	case "all":
	case "":
		decided(notThere, "a.state = 'revoked'")
	case "approved", "approval_ended":
		decided(isThere, "a.state = 'approved'")
	case authz.StateDenied:
		decided(isThere, "a.state = 'denied'")
	case authz.StateRevoked:
		decided(isThere, "a.state = 'revoked'")
	case "suspended":
		decided(isThere, "a.suspended")
	case "pending", "pending_frozen":
		open(isThere)
	case "none":
		decided(notThere, "(a.state <> 'none' OR a.suspended)")
		open(notThere)
	}
}
