package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// Approvals lists approval requests, oldest first: those in a state (open,
// decided, withdrawn), or all.
func (s *Store) Approvals(ctx context.Context, organization, status string, p inventory.Page) ([]inventory.ApprovalRow, string, error) {
	return s.FindApprovals(ctx, organization, inventory.ApprovalFilter{Status: status}, p)
}

// Waiting counts the open requests of an organization, and says since when the
// oldest waits; zero where none does.
func (s *Store) Waiting(ctx context.Context, organization string) (n int64, oldest time.Time, err error) {
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, organization)
		if err != nil {
			return err
		}
		w, err := st.WaitingOf(ctx, o.ID)
		n, oldest = w.Waiting, fromMillis(w.Oldest)
		return err
	})
	return n, oldest, err
}

// FindApprovals lists approval requests, oldest first. A page may hold fewer
// rows than its limit and still have a next one.
func (s *Store) FindApprovals(ctx context.Context, organization string, f inventory.ApprovalFilter, p inventory.Page) (rows []inventory.ApprovalRow, next string, err error) {
	levels := []int64{anyRisk}
	switch f.Sort {
	case "", "oldest":
	case "risk":
		levels = []int64{2, 1, 0} // see riskOf
	default:
		return nil, "", &inventory.Invalid{Field: "sort", Problem: "must be oldest or risk"}
	}
	at, err := approvalCursor(p.Cursor, levels)
	if err != nil {
		return nil, "", err
	}
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, organization)
		if err != nil {
			return err
		}
		size := limit(p)
		for looked := 0; looked < maxLooked; {
			part := min(max(size+1-len(rows), 50), 500)
			list, err := s.requestsAfter(st, o, f, at, part)
			if err != nil {
				return err
			}
			found, err := s.approvalRows(st, o, s.mayPass(o, f, list))
			if err != nil {
				return err
			}
			last := at
			for i := range found {
				if !passes(f, &found[i]) {
					continue
				}
				if len(rows) == size {
					next = last.String()
					return nil
				}
				rows = append(rows, found[i])
				last = at.behind(&rows[len(rows)-1])
			}
			next = ""
			if len(list) < part {
				if at, next = at.below(levels); next == "" {
					return nil
				}
				if len(rows) == size {
					return nil // the level below begins with the next page
				}
				continue
			}
			at.opened, at.id, looked = millis(list[len(list)-1].OpenedAt), list[len(list)-1].ID, looked+len(list)
			next = at.String()
		}
		return nil
	})
	return rows, next, err
}

// anyRisk is the level of a listing that is not ordered by risk.
const anyRisk = -1

// requestPlace is where a listing of requests stands: behind one of a level.
type requestPlace struct {
	risk, opened int64
	id           string
}

// String is the place as a cursor.
func (p requestPlace) String() string {
	text := strconv.FormatInt(p.opened, 10) + "." + p.id
	if p.risk != anyRisk {
		return strconv.FormatInt(p.risk, 10) + "/" + text
	}
	return text
}

func (p requestPlace) behind(r *inventory.ApprovalRow) requestPlace {
	return requestPlace{p.risk, r.OpenedAt.UnixMilli(), r.ID}
}

// below is the beginning of the level that follows; next is "" after the last.
func (p requestPlace) below(levels []int64) (at requestPlace, next string) {
	i := slices.Index(levels, p.risk) + 1
	if i == len(levels) {
		return p, ""
	}
	at = requestPlace{risk: levels[i]}
	return at, at.String()
}

// approvalCursor reads a cursor: the place of the last row, which stays where it
// is when requests before it are decided.
func approvalCursor(cursor string, levels []int64) (at requestPlace, err error) {
	at.risk = levels[0]
	if cursor == "" {
		return at, nil
	}
	if at.risk != anyRisk {
		level, rest, _ := strings.Cut(cursor, "/")
		if at.risk, err = strconv.ParseInt(level, 10, 64); err != nil || !slices.Contains(levels, at.risk) {
			return at, badCursor
		}
		cursor = rest
	}
	opened, id, ok := strings.Cut(cursor, ".")
	if at.opened, err = strconv.ParseInt(opened, 10, 64); !ok || err != nil {
		return at, badCursor
	}
	at.id = id
	return at, nil
}

// mayPass are those of some requests that may pass a filter, as far as that is
// known without their tokens: no more is read of the others.
func (s *Store) mayPass(o *inventory.Organization, f inventory.ApprovalFilter, list []*inventory.Request) []*inventory.Request {
	if f.Group == "" && f.Recommendation == "" {
		return list
	}
	_, rules := s.Policies.(inventory.Recommender) // see recommend
	out := make([]*inventory.Request, 0, len(list))
	for _, q := range list {
		said := q.Recommendation
		if f.Recommendation != "" && (said == nil && !rules || said != nil && said.Action != f.Recommendation) {
			continue
		}
		if f.Group == "" || inventory.GroupKey(o.ID, q.Grants) == f.Group {
			out = append(out, q)
		}
	}
	return out
}

// passes applies what is not worth an index.
func passes(f inventory.ApprovalFilter, row *inventory.ApprovalRow) bool {
	if f.Recommendation != "" && (row.Recommendation == nil || row.Recommendation.Action != f.Recommendation) {
		return false
	}
	return f.Group == "" || row.Group == f.Group
}

// requestsAfter reads the next requests: those in one state, or in any, each by
// its part of the index.
func (s *Store) requestsAfter(st *state, o *inventory.Organization, f inventory.ApprovalFilter, at requestPlace, size int) ([]*inventory.Request, error) {
	states := []string{f.Status}
	if f.Status == "" || f.Status == "all" {
		states = []string{authz.RequestOpen, authz.RequestDecided, authz.RequestWithdrawn}
	}
	owner := ""
	if f.Owner != "" {
		u, err := st.UserByName(inventory.Fold(f.Owner))
		if err != nil || u == nil {
			return nil, err
		}
		owner = u.ID
	}
	from := "requests q"
	switch {
	case owner != "":
		from += s.index("requests_owner")
	case f.Assignee != "" && f.Assignee != "-":
		from += s.index("requests_assignee")
	}
	var list []*inventory.Request
	for _, state := range states {
		q := &question{from: from}
		q.where("q.organization_id = ?", o.ID)
		q.where("q.state = ?", state)
		if at.risk != anyRisk {
			q.where("q.risk = ?", at.risk)
		}
		if owner != "" {
			q.where("q.owner_id = ?", owner)
		}
		switch f.Assignee {
		case "":
		case "-":
			q.where("q.assignee = ?", "")
		default:
			q.where("q.assignee = ? AND q.assignee <> ''", inventory.Fold(f.Assignee)) // its index has no others
		}
		n := len(q.args) + 1
		q.args = append(q.args, at.opened, at.id)
		q.conditions = append(q.conditions, fmt.Sprintf("(q.opened_at, q.id) > (%s)", db.Placeholders(n, 2)))
		found, err := selectRows(st, "q", fmt.Sprintf("%s ORDER BY q.opened_at, q.id LIMIT %d", q, size), q.args, requestOf)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	slices.SortFunc(list, func(a, b *inventory.Request) int {
		return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), strings.Compare(a.ID, b.ID))
	})
	return list[:min(len(list), size)], nil
}

// approvalRows are requests as administrators see them.
func (s *Store) approvalRows(st *state, o *inventory.Organization, list []*inventory.Request) ([]inventory.ApprovalRow, error) {
	tokens, err := st.tokensOf(list)
	if err != nil {
		return nil, err
	}
	rows := make([]inventory.ApprovalRow, 0, len(list))
	for _, q := range list {
		row := &inventory.TokenRow{ID: q.TokenID}
		t := tokens[q.TokenID]
		if t != nil {
			seen, err := s.row(st, o, t)
			if err != nil {
				return nil, err
			}
			if seen != nil {
				row = seen
			}
			if err := s.recommend(st, o, t, q); err != nil {
				return nil, err
			}
		}
		rows = append(rows, *s.approvalRow(o, q, row))
	}
	return rows, nil
}

// recommend asks the review rules about an open request that was opened with
// very many others, and without them.
func (s *Store) recommend(st *state, o *inventory.Organization, t *inventory.Token, q *inventory.Request) error {
	rules, ok := s.Policies.(inventory.Recommender)
	if !ok || q.Recommendation != nil || q.State != authz.RequestOpen {
		return nil
	}
	f := inventory.ReviewFacts{Now: s.Clock(), Organization: o, Token: t, Request: q}
	periods, err := st.Periods(o.ID, t.OwnerID)
	if err != nil {
		return err
	}
	if n := len(periods); n > 0 && periods[n-1].Until.IsZero() {
		f.Membership = periods[n-1]
	}
	if f.Authorization, err = st.Authorization(t.ID, o.ID); err != nil {
		return err
	}
	if f.Owner, err = st.UserByID(t.OwnerID); err != nil {
		return err
	}
	if r, err := rules.Recommend(f); err == nil { // a listing does not fail because a rule does
		q.Recommendation = r
	}
	return nil
}

// maxGrouped is how many open requests are grouped, the oldest first.
const maxGrouped = 10_000

// ApprovalGroups groups the open requests of an organization by what they ask
// for, the largest group first.
func (s *Store) ApprovalGroups(ctx context.Context, organization string) (out []inventory.ApprovalGroup, err error) {
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, organization)
		if err != nil {
			return err
		}
		list, err := s.requestsAfter(st, o, inventory.ApprovalFilter{Status: authz.RequestOpen}, requestPlace{risk: anyRisk}, maxGrouped)
		if err != nil {
			return err
		}
		rows := make([]inventory.ApprovalRow, 0, len(list))
		for part := range slices.Chunk(list, 500) {
			found, err := s.approvalRows(st, o, part)
			if err != nil {
				return err
			}
			rows = append(rows, found...)
		}
		out = grouped(rows)
		return nil
	})
	return out, err
}

// maxInGroup is how many requests of a group are named: as many as one
// decision takes.
const maxInGroup = 100

func grouped(rows []inventory.ApprovalRow) []inventory.ApprovalGroup {
	out := []inventory.ApprovalGroup{}
	at := map[string]int{}
	owners := map[[2]string]bool{}
	for i := range rows {
		r := &rows[i]
		n, known := at[r.Group]
		if !known {
			n = len(out)
			at[r.Group] = n
			out = append(out, inventory.ApprovalGroup{Group: r.Group, Grants: r.Grants, Oldest: r.OpenedAt, Recommendations: map[string]int{}})
		}
		g := &out[n]
		g.Count++
		if key := [2]string{r.Group, r.Owner}; !owners[key] {
			owners[key] = true
			g.Owners++
		}
		if r.Recommendation != nil {
			g.Recommendations[r.Recommendation.Action]++
		}
		if len(g.Requests) < maxInGroup {
			g.Requests = append(g.Requests, inventory.GroupedRequest{Token: r.Token, Version: r.Version, Request: r.ID, DisplayName: r.DisplayName, Owner: r.Owner})
		}
	}
	slices.SortStableFunc(out, func(a, b inventory.ApprovalGroup) int { return cmp.Compare(b.Count, a.Count) })
	return out
}
