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
	// is needed.
	key    string
	owners bool
	// stages are the parts that follow one another, the least key first, where
	// the keys are in a table of their own; see stages.go.
	stages []stage
}

var orders = map[string]order{
	inventory.SortName:     {text: true, key: "lower(t.display_name)"},
	inventory.SortOwner:    {text: true, key: "o.name", owners: true},
	inventory.SortCreated:  {key: "t.created_at"},
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

// way is how SQL says it.
func (o *order) way() (direction, beyond string) {
	if o.down {
		return "DESC", "<"
	}
	return "ASC", ">"
}

// after adds the condition that a token stands behind a place.
func (o *order) after(q *question, p *place) {
	if p == nil {
		return
	}
	_, beyond := o.way()
	var key any = p.Number
	if o.text {
		key = p.Text
	}
	n := len(q.args) + 1
	q.args = append(q.args, key, p.ID)
	// The first says what follows from the second, so that an index of the key
	// alone is entered where the page begins.
	q.conditions = append(q.conditions, fmt.Sprintf("%s %s= %s", o.key, beyond, db.Placeholders(n, 1)),
		fmt.Sprintf("(%s, t.id) %s (%s)", o.key, beyond, db.Placeholders(n, 2)))
}

// part reads the next tokens of a listing in this order.
func (o *order) part(l *listing, cursor string, size int) (*part, error) {
	p, err := o.place(cursor)
	if err != nil {
		return nil, err
	}
	if l.filter.Kind != "" || l.filter.Query != "" || l.filter.Status != "" {
		size = 500 // few may pass
	}
	var found []place
	few := l.few
	if l.owner != "" || l.byFinding() {
		few = func() (bool, error) { return true, nil } // of one person, or untidy
	}
	if l.organization == nil {
		few = func() (bool, error) { return false, nil }
	}
	sorts, err := few()
	switch {
	case err != nil:
	case sorts && (o.stages == nil || l.chosen()):
		found, err = o.sorted(l, p, size)
	case o.stages != nil:
		found, err = o.staged(l, p, size)
	default:
		found, err = o.walked(l, p, size)
	}
	if err != nil {
		return nil, fmt.Errorf("list tokens by %s: %w", o.name, err)
	}
	out := &part{looked: len(found)}
	if len(found) == size {
		out.end = found[size-1].String()
	}
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].ID
	}
	byID, err := l.state.tokensByID(ids)
	for i := range found {
		if t := byID[found[i].ID]; t != nil {
			out.tokens, out.places = append(out.tokens, t), append(out.places, found[i].String())
		}
	}
	return out, err
}

// chosen says whether a filter has an index of its own: what it finds is sorted.
func (l *listing) chosen() bool {
	switch l.filter.Status {
	case "", "all", "none":
		return l.owner != "" || l.byFinding()
	}
	return l.organization != nil
}

// defaultMostSorted is up to how many tokens are read to be sorted; of more, those of
// all organizations are walked in the order of the key until there are enough.
// What either costs at most is about the same at a million tokens.
const defaultMostSorted = 2000

// placed is a row of keys: the one that the order is by, and the id.
type (
	textPlace struct {
		Key string
		ID  string
	}
	numberPlace struct {
		Key int64
		ID  string
	}
)

// sorted reads what is listed, and sorts it by a key.
func (o *order) sorted(l *listing, p *place, size int) ([]place, error) {
	q, id := l.question()
	if o.owners {
		q.from += " CROSS JOIN users o" // SQLite keeps to this order of the two
		q.conditions = append(q.conditions, "o.id = t.owner_id")
	}
	key := o.key
	if o.stages != nil { // a filter's few, by a key of another table
		key = o.joined(q, l, id)
	}
	sorting := *o
	sorting.key = key
	return sorting.read(l, q, p, size)
}

func (o *order) read(l *listing, q *question, p *place, size int) ([]place, error) {
	o.after(q, p)
	direction, _ := o.way()
	return l.places(o, fmt.Sprintf("SELECT %s, t.id %s ORDER BY %s %s, t.id %s LIMIT %d", o.key, q, o.key, direction, direction, size), q.args)
}

// walked reads all tokens in the order of the key, of which those are taken that
// reach the organization.
func (o *order) walked(l *listing, p *place, size int) ([]place, error) {
	q := &question{from: "tokens t"}
	if o.owners {
		q.from = "users o CROSS JOIN tokens t" // SQLite keeps to this order of the two
		q.conditions = append(q.conditions, "t.owner_id = o.id")
	}
	q.where("NOT t.deleted")
	if l.organization != nil {
		q.where("EXISTS (SELECT 1 FROM token_namespaces n WHERE n.token_id = t.id AND n.organization_id = ?)", l.organization.ID)
	}
	return o.read(l, q, p, size)
}

// few says whether so few tokens have the status at the organization, or reach it
// at all, that they are read and sorted.
func (l *listing) few() (few bool, err error) {
	q, n := &question{}, 0
	l.byStatus(q)
	q.from = strings.TrimSuffix(q.from, " JOIN tokens t ON t.id = x.token_id")
	query := fmt.Sprintf("SELECT count(*) FROM (SELECT 1 %s LIMIT %d) c", q, l.store.mostSorted+1)
	err = l.state.session.QueryRowContext(l.state.ctx, query, q.args...).Scan(&n)
	return n <= l.store.mostSorted, err
}

func (l *listing) places(o *order, query string, args []any) (out []place, err error) {
	if o.text {
		err = db.Each(l.state.ctx, l.state.session, query, args, func(r *textPlace) error {
			out = append(out, place{Sort: o.name, Text: r.Key, ID: r.ID})
			return nil
		})
		return out, err
	}
	err = db.Each(l.state.ctx, l.state.session, query, args, func(r *numberPlace) error {
		out = append(out, place{Sort: o.name, Number: r.Key, ID: r.ID})
		return nil
	})
	return out, err
}

// passes applies the filters that are not worth an index, in an order that has
// none for them.
func (l *listing) passes(t *inventory.Token) bool {
	if l.order == nil {
		return true
	}
	return (l.filter.Kind == "" || t.Kind == l.filter.Kind) && (l.owner == "" || t.OwnerID == l.owner) &&
		(l.filter.Query == "" || strings.Contains(lower(t.DisplayName), lower(l.filter.Query)))
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
