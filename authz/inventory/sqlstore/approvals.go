package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// Approvals lists approval requests, oldest first: those in a state (open,
// decided, withdrawn), or all.
func (s *Store) Approvals(ctx context.Context, organization, status string, p inventory.Page) ([]inventory.ApprovalRow, string, error) {
	return s.FindApprovals(ctx, organization, inventory.ApprovalFilter{Status: status}, p)
}

// FindApprovals lists approval requests, oldest first. A page may hold fewer
// rows than its limit and still have a next one.
func (s *Store) FindApprovals(ctx context.Context, organization string, f inventory.ApprovalFilter, p inventory.Page) (rows []inventory.ApprovalRow, next string, err error) {
	after, id, err := approvalCursor(p.Cursor)
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
			list, err := requestsAfter(st, o, f, after, id, part)
			if err != nil {
				return err
			}
			found, err := s.approvalRows(st, o, list)
			if err != nil {
				return err
			}
			for i := range found {
				if !passes(f, &found[i]) {
					continue
				}
				if len(rows) == size {
					next = approvalPlace(rows[size-1].OpenedAt.UnixMilli(), rows[size-1].ID)
					return nil
				}
				rows = append(rows, found[i])
			}
			if len(list) < part {
				next = ""
				return nil
			}
			last := list[len(list)-1]
			after, id, looked = millis(last.OpenedAt), last.ID, looked+len(list)
			next = approvalPlace(after, id)
		}
		return nil
	})
	return rows, next, err
}

func approvalPlace(openedAt int64, id string) string {
	return strconv.FormatInt(openedAt, 10) + "." + id
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
func requestsAfter(st *state, o *inventory.Organization, f inventory.ApprovalFilter, after int64, id string, size int) ([]*inventory.Request, error) {
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
	var list []*inventory.Request
	for _, state := range states {
		q := &question{from: "requests q"}
		q.where("q.organization_id = ?", o.ID)
		q.where("q.state = ?", state)
		if owner != "" {
			q.where("q.owner_id = ?", owner)
		}
		switch f.Assignee {
		case "":
		case "-":
			q.where("q.assignee = ?", "")
		default:
			q.where("q.assignee = ?", inventory.Fold(f.Assignee))
		}
		n := len(q.args) + 1
		q.args = append(q.args, after, id)
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
		list, err := requestsAfter(st, o, inventory.ApprovalFilter{Status: authz.RequestOpen}, 0, "", maxGrouped)
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
