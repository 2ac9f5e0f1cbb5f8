package preview

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// counted counts the tokens that a reason concerns.
type counted struct {
	outcome string
	ReasonCount
	owners map[string]bool
}

// add adds a worker's part to the report.
func (r *run) add(j *judge) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, v := &r.report.Counts, &r.report.Coverage
	c.Tokens += len(j.judged) + j.disabled + j.failed
	c.Disabled += j.disabled
	c.Unjudged += j.failed
	v.Used, v.NeverSeen = v.Used+j.used, v.NeverSeen+j.unseen
	if j.failure != nil {
		v.Error = j.failure.Error()
	}
	for i := range j.judged {
		r.count(&j.judged[i])
	}
}

func (r *run) count(t *judged) {
	c := &r.report.Counts
	s := r.status[t.Status]
	if s == nil {
		s = &StatusCount{Status: t.Status}
		r.status[t.Status] = s
	}
	s.Tokens++
	if t.approved {
		r.approved++
	}
	if t.Asks {
		r.report.Requests.Asking++
		if t.open {
			r.report.Requests.Open++
		}
	}
	switch t.Outcome {
	case Breaks:
		c.Breaks++
		s.Breaks++
		if t.used {
			c.Used++
		}
		r.breaks(t)
	case Starts:
		c.Starts++
		s.Starts++
	case Approved:
		c.Approved++
		s.Approved++
	case Waived:
		c.Waived++
		s.Waived++
		r.reason(t)
	case GoesOn:
		c.GoesOn++
		s.GoesOn++
		return
	case Refused:
		c.Refused++
		s.Refused++
	}
	if len(r.tokens) == MostTokens {
		r.report.Coverage.Truncated = true
		return
	}
	r.tokens = append(r.tokens, t.TokenOutcome)
}

// breaks counts a token that breaks for its owner.
func (r *run) breaks(t *judged) {
	r.reason(t)
	o := r.owners[t.Owner]
	if o == nil {
		o = &OwnerCount{Owner: t.Owner, Reasons: map[string]int{}}
		r.owners[t.Owner] = o
	}
	o.Tokens++
	o.Requests += t.Requests
	o.Reasons[t.TokenOutcome.Reason]++
	if t.used {
		o.Used++
	}
}

func (r *run) reason(t *judged) {
	key := t.Outcome + " " + t.TokenOutcome.Reason
	n := r.counts[key]
	if n == nil {
		n = &counted{outcome: t.Outcome, ReasonCount: ReasonCount{Reason: t.TokenOutcome.Reason}, owners: map[string]bool{}}
		if entry := r.rules.Catalogue.Get(t.TokenOutcome.Reason); entry != nil {
			n.Title = entry.Title
		}
		r.counts[key] = n
	}
	n.Tokens++
	n.owners[t.Owner] = true
	n.ReasonCount.Requests += t.Requests
	if t.used {
		n.Used++
	}
}

// statuses in the order in which they are shown.
var statuses = []string{"none", "pending", "approved", "approval_ended", "denied", "suspended", "revoked"}

// finish puts the report in order.
func (r *run) finish() *whole {
	p := &r.report
	p.Reasons, p.Owners = []ReasonCount{}, []OwnerCount{}
	for _, n := range r.counts {
		n.Owners = len(n.owners)
		if n.outcome == Breaks {
			p.Reasons = append(p.Reasons, n.ReasonCount)
		} else {
			p.Waived = append(p.Waived, n.ReasonCount)
		}
	}
	for _, list := range [][]ReasonCount{p.Reasons, p.Waived} {
		slices.SortFunc(list, func(a, b ReasonCount) int {
			return cmp.Or(cmp.Compare(b.Tokens, a.Tokens), strings.Compare(a.Reason, b.Reason))
		})
	}
	p.Counts.Owners = len(r.owners)
	for _, o := range r.owners {
		p.Owners = append(p.Owners, *o)
	}
	slices.SortFunc(p.Owners, func(a, b OwnerCount) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(b.Tokens, a.Tokens), strings.Compare(a.Owner, b.Owner))
	})
	p.Owners = p.Owners[:min(len(p.Owners), MostOwners)]
	p.Statuses = []StatusCount{}
	for _, name := range slices.SortedFunc(maps.Keys(r.status), func(a, b string) int {
		return slices.Index(statuses, a) - slices.Index(statuses, b)
	}) {
		p.Statuses = append(p.Statuses, *r.status[name])
	}
	r.existing()
	slices.SortFunc(r.tokens, before)
	p.Elapsed = time.Since(r.started).Milliseconds()
	return &whole{*p, r.tokens, slices.Sorted(maps.Keys(r.owners))}
}

func (r *run) existing() {
	e := r.change.Policy.Existing
	if e == nil {
		return
	}
	q, out := r.report.Requests, &ExistingOutcome{Mode: e.Mode}
	if e.Mode == inventory.ExistingAsk {
		out.Asked = q.Asking - q.Open
	} else {
		out.Approved, out.Left = r.approved, q.Asking
	}
	r.report.Existing = out
}

// before orders the list: the most used first, and then by id.
func before(a, b TokenOutcome) int {
	return cmp.Or(cmp.Compare(b.Requests, a.Requests), strings.Compare(a.ID, b.ID))
}
