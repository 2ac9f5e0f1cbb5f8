package sqlstore

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// order is the order of a listing of tokens: by a key, and by id where keys are
// equal. A cursor holds the key and the id of the last one, so that a listing
// goes on where it was, whatever happened meanwhile.
type order struct {
	name string
	down bool
	// text says that the key is a text; otherwise it is a number.
	text bool
	// key is the key's expression on t (tokens) and o (users), and owners that o
	// is needed; here is the column of token_namespaces that holds it for an
	// organization.
	key    string
	owners bool
	here   string
	// stages are the parts that follow one another, the least key first, where
	// the keys are in a table of their own; see stages.go.
	stages []stage
}

var orders = map[string]order{
	inventory.SortName:     {text: true, key: "t.name", here: "name"},
	inventory.SortOwner:    {text: true, key: "o.name", owners: true, here: "owner"},
	inventory.SortCreated:  {key: "t.created_at", here: "created_at"},
	inventory.SortLastUsed: {stages: lastUsedStages},
	inventory.SortSeverity: {stages: severityStages},
}

func orderOf(sort string, here bool) (*order, error) {
	if sort == "" {
		return nil, nil
	}
	name, down := strings.CutPrefix(sort, "-")
	o, ok := orders[name]
	switch {
	case !ok:
		return nil, &inventory.Invalid{Field: "sort", Problem: "must be name, owner, created, last_used or severity, with a - before it for the other way round"}
	case o.stages != nil && !here:
		return nil, &inventory.Invalid{Field: "sort", Problem: "by " + name + " is an organization's: name one"}
	}
	o.name, o.down = sort, down
	return &o, nil
}

// place is where a token stands: in a cursor, as JSON in base64.
type place struct {
	Sort   string `json:"s"`
	Text   string `json:"t,omitempty"`
	Number int64  `json:"n,omitempty"`
	ID     string `json:"i"`
}

func (p *place) String() string {
	text, _ := json.Marshal(p) // texts and numbers
	return base64.RawURLEncoding.EncodeToString(text)
}

func (o *order) place(cursor string) (*place, error) {
	if cursor == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	p := &place{}
	if err != nil || json.Unmarshal(text, p) != nil || p.Sort != o.name || !storable(p.Text) || !storable(p.ID) {
		return nil, badCursor
	}
	return p, nil
}

// gave says whether a cursor is of this order.
func (o *order) gave(cursor string) bool {
	_, err := o.place(cursor)
	return err == nil
}

// way is how SQL says it.
func (o *order) way() (direction, beyond string) {
	if o.down {
		return "DESC", "<"
	}
	return "ASC", ">"
}

// after adds the condition that a token stands behind a place.
func (o *order) after(s *state, q *question, key string, p *place) error {
	if p == nil {
		return nil
	}
	at, err := q.at.value(s, p.ID)
	if err != nil {
		return err
	}
	_, beyond := o.way()
	var value any = p.Number
	if o.text {
		value = p.Text
	}
	n := len(q.args) + 1
	q.args = append(q.args, value, at)
	if strings.HasPrefix(key, "o.") {
		// It says what follows from the next one, so that an index of the key
		// alone is entered where the page begins.
		q.conditions = append(q.conditions, fmt.Sprintf("%s %s= %s", key, beyond, db.Placeholders(n, 1)))
	}
	q.conditions = append(q.conditions, fmt.Sprintf("(%s, %s) %s (%s)", key, q.at.column, beyond, db.Placeholders(n, 2)))
	return nil
}

// part reads the next tokens of a listing in this order.
func (o *order) part(l *listing, cursor string, size int) (*part, error) {
	p, err := o.place(cursor)
	if err != nil {
		return nil, err
	}
	k := &look{listing: l, order: o, size: size}
	sorts := false
	if l.chosen() {
		sorts, err = l.few()
	}
	switch {
	case err != nil:
	case sorts:
		err = o.sorted(k, p)
	case o.stages != nil:
		err = o.staged(k, p)
	default:
		err = o.walked(k, p)
	}
	if err != nil {
		return nil, fmt.Errorf("list tokens by %s: %w", o.name, err)
	}
	return k.part()
}

// chosen says whether a filter has an index of its own: what it finds is
// sorted, if it is not much.
func (l *listing) chosen() bool {
	switch l.filter.Status {
	case "", "all", "none":
		return l.owner != "" || l.byFinding() || l.bySeverity()
	}
	return l.organization != nil
}

// defaultMostSorted is up to how many tokens are read to be sorted; those of more
// are walked in the order of the key, and looked at until there are enough.
// What either costs at most is about the same at a million tokens.
const defaultMostSorted = 1000

// sorted reads what a filter chooses, and sorts it by a key.
func (o *order) sorted(k *look, p *place) error {
	q := k.listing.question()
	key := o.key
	switch {
	case o.stages != nil:
		key = o.joined(q, k.listing)
	case k.listing.organization == nil:
		o.withOwner(q)
	case strings.HasPrefix(q.from, "token_namespaces"):
		key = "x." + o.here
	default: // SQLite keeps to this order of the two
		q.from += " CROSS JOIN token_namespaces y"
		q.where("y.organization = ?", k.listing.here)
		q.conditions = append(q.conditions, "y.token = "+numberOf(q.at.id))
		key = "y." + o.here
	}
	return o.looks(k, q, key, p)
}

func (o *order) withOwner(q *question) {
	if o.owners {
		q.from += " CROSS JOIN users o"
		q.conditions = append(q.conditions, "o.number = t.owner")
	}
}

func (o *order) looks(k *look, q *question, key string, p *place) error {
	if err := o.after(k.listing.state, q, key, p); err != nil {
		return err
	}
	direction, _ := o.way()
	return k.at(q, key, key+" "+direction+", "+q.at.column+" "+direction, o.text)
}

// walked looks at the tokens in the order of the key: those of an organization,
// or all.
func (o *order) walked(k *look, p *place) error {
	q := &question{from: "tokens t", at: theToken}
	if k.listing.organization != nil {
		q.from, q.at = "token_namespaces x", inReach
		q.where("x.organization = ?", k.listing.here)
		return o.looks(k, q, "x."+o.here, p)
	}
	if o.owners {
		q.from = "users o CROSS JOIN tokens t" // SQLite keeps to this order of the two
		q.conditions = append(q.conditions, "t.owner = o.number")
	}
	q.where("NOT t.deleted")
	return o.looks(k, q, o.key, p)
}

// few says whether so few tokens are what the filter's index gives that they are
// read and sorted.
func (l *listing) few() (few bool, err error) {
	if l.isFew != nil {
		return *l.isFew, nil
	}
	q := l.question()
	n := 0
	query := fmt.Sprintf("SELECT count(*) FROM (SELECT %s %s LIMIT %d) c", q.at.column, q, l.store.mostSorted+1)
	err = l.state.session.QueryRowContext(l.state.ctx, query, q.args...).Scan(&n)
	few = n <= l.store.mostSorted
	l.isFew = &few
	return few, err
}

// tokensByID reads tokens that are not deleted.
func (s *state) tokensByID(ids []string) (map[string]*inventory.Token, error) {
	out := make(map[string]*inventory.Token, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), most)
		where, args := in("t.id", ids[:n], nil)
		found, err := selectRows(s, "t", "FROM tokens t WHERE NOT t.deleted AND "+where, args, tokenOf)
		if err != nil {
			return nil, err
		}
		for _, t := range found {
			out[t.ID] = t
		}
		ids = ids[n:]
	}
	return out, nil
}

// riskOf is a recommendation as a number: the greater, the riskier.
func riskOf(r *inventory.Recommendation) int64 {
	switch {
	case r == nil:
		return 1 // somebody has to look
	case r.Action == inventory.RecommendDeny:
		return 2
	case r.Action == inventory.RecommendApprove:
		return 0
	}
	return 1
}

// gravest is the greatest grade of a finding.
var gravest = int64(hygiene.Rank(hygiene.SeverityHigh))
