package preview

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

var outcomes = []string{Breaks, Starts, Approved, Waived, Refused}

func (q *Query) check() error {
	if q.Outcome == "" {
		q.Outcome = Breaks
	}
	if !slices.Contains(outcomes, q.Outcome) {
		return &inventory.Invalid{Field: "outcome", Problem: "must be one of " + strings.Join(outcomes, ", ")}
	}
	_, err := place(q.Cursor)
	return err
}

// place reads a cursor: where the last token of a page stands in the list.
func place(cursor string) (TokenOutcome, error) {
	if cursor == "" {
		return TokenOutcome{Requests: 1<<63 - 1}, nil
	}
	n, id, ok := strings.Cut(cursor, ".")
	requests, err := strconv.ParseInt(n, 10, 64)
	if !ok || err != nil || id == "" {
		return TokenOutcome{}, &inventory.Invalid{Field: "cursor", Problem: "is none of ours"}
	}
	return TokenOutcome{Requests: requests, ID: id}, nil
}

// whole is a report with all its tokens, in order. It is not changed any more.
type whole struct {
	report Preview
	tokens []TokenOutcome
	owners []string // of all that break, sorted
}

// page is the report with a page of the tokens that are asked for.
func (w *whole) page(q Query) (*Preview, error) {
	last, err := place(q.Cursor)
	if err != nil {
		return nil, err
	}
	size := q.Limit
	if size <= 0 {
		size = 50
	}
	size = min(size, 1000)
	out := w.report
	out.Tokens = []TokenOutcome{}
	for i := range w.tokens {
		t := &w.tokens[i]
		if q.Cursor != "" && before(*t, last) <= 0 || t.Outcome != q.Outcome || q.Owner != "" && t.Owner != inventory.Fold(q.Owner) || q.Reason != "" && t.Reason != q.Reason {
			continue
		}
		if len(out.Tokens) == size {
			end := out.Tokens[size-1]
			out.Next = fmt.Sprintf("%d.%s", end.Requests, end.ID)
			break
		}
		out.Tokens = append(out.Tokens, *t)
	}
	return &out, nil
}

// kept are the last reports, for the pages that follow.
type kept struct {
	mu   sync.Mutex
	list []*keptReport
}

type keptReport struct {
	key  string
	till time.Time
	*whole
}

// A page is asked for soon after the one before, or not at all.
const (
	keptFor  = time.Minute
	mostKept = 4
)

// keyOf says on what a report rests: the change, the organization, the tokens
// and the bundle.
func keyOf(r *run, before, after *inventory.Organization) string {
	text, err := json.Marshal([]any{
		before, after, r.change.Days, r.change.Owner, r.change.Policy.Existing, r.change.still(), r.change.Policy.EnforceAt, r.snapshot.Change(), r.rules.Revision,
	})
	if err != nil {
		return "" // what can't be told apart is not kept
	}
	sum := sha256.Sum256(text)
	return string(sum[:])
}

func (k *kept) find(r *run) *whole {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.list {
		if r.key != "" && one.key == r.key && r.now.Before(one.till) {
			return one.whole
		}
	}
	return nil
}

// keep keeps a report, in the place of those that are over.
func (k *kept) keep(r *run, w *whole) {
	if r.key == "" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = slices.DeleteFunc(k.list, func(one *keptReport) bool { return !r.now.Before(one.till) })
	if len(k.list) == mostKept {
		k.list = k.list[1:]
	}
	k.list = append(k.list, &keptReport{r.key, r.now.Add(keptFor), w})
}
