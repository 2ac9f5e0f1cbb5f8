package sqlstore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
	"github.com/patrol-authz/patrol/authz/usage"
)

// OrganizationUsage reports how the tokens of an organization were used in the
// last days, today included. It reads the sums of days: its cost does not grow
// with tokens.
func (s *Store) OrganizationUsage(ctx context.Context, organization string, days int) (out *usage.Overview, err error) {
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, organization)
		if err != nil {
			return err
		}
		known, err := st.usageKnown()
		if err != nil {
			return err
		}
		today := usage.DayOf(s.Clock())
		first := today - usage.Day(days-1)
		out = &usage.Overview{KnownSince: optional(known), Reasons: []usage.ReasonUse{}}
		if known.IsZero() {
			known = s.Clock().UTC().Truncate(time.Second)
		}
		out.Since = known
		if known.Before(first.Time()) {
			out.Since = first.Time()
		}
		for d := first; d <= today; d++ {
			out.Days = append(out.Days, usage.OverviewDay{DayUse: usage.DayUse{Day: d.Time().Format(time.DateOnly)}})
		}
		rows, err := st.OrganizationUse(ctx, db.OrganizationUseParams{OrganizationID: o.ID, Since: int64(first)})
		for i := range rows {
			if r := &rows[i]; r.Day <= int64(today) {
				addDay(out, r, int(r.Day-int64(first)))
			}
		}
		slices.SortFunc(out.Reasons, func(a, b usage.ReasonUse) int {
			return cmp.Or(cmp.Compare(b.Requests, a.Requests), strings.Compare(a.Reason, b.Reason))
		})
		return err
	})
	return out, err
}

func addDay(out *usage.Overview, r *db.OrganizationUse, day int) {
	d := &out.Days[day]
	if r.Allowed {
		d.Allowed += r.Requests
	} else {
		d.Refused += r.Requests
		if d.Reasons == nil {
			d.Reasons = map[string]int64{}
		}
		d.Reasons[r.Reason] += r.Requests
	}
	i := slices.IndexFunc(out.Reasons, func(u usage.ReasonUse) bool { return u.Reason == r.Reason && u.Allowed == r.Allowed })
	if i < 0 {
		i = len(out.Reasons)
		out.Reasons = append(out.Reasons, usage.ReasonUse{Reason: r.Reason, Allowed: r.Allowed})
	}
	u := &out.Reasons[i]
	u.Requests += r.Requests
	if at := fromMillis(r.LastAt); at.After(u.LastAt) {
		u.LastAt = at
	}
}

// sumDays adds a batch up by organization, day and outcome, in a fixed order.
func sumDays(b *usage.Batch) []db.AddOrganizationUseParams {
	type key struct {
		organization, reason string
		day                  usage.Day
		allowed              bool
	}
	sums := map[key]*db.AddOrganizationUseParams{}
	var out []*db.AddOrganizationUseParams
	for i := range b.Counts {
		c := &b.Counts[i]
		if c.Organization == "" {
			continue
		}
		k := key{c.Organization, c.Reason, c.Day, c.Allowed}
		sum := sums[k]
		if sum == nil {
			sum = &db.AddOrganizationUseParams{OrganizationID: c.Organization, Day: int64(c.Day), Reason: c.Reason, Allowed: c.Allowed}
			sums[k] = sum
			out = append(out, sum)
		}
		sum.Requests += c.Count
		sum.LastAt = max(sum.LastAt, millis(c.Last))
	}
	slices.SortFunc(out, func(x, y *db.AddOrganizationUseParams) int {
		return cmp.Or(strings.Compare(x.OrganizationID, y.OrganizationID), cmp.Compare(x.Day, y.Day), strings.Compare(x.Reason, y.Reason), compareBool(x.Allowed, y.Allowed))
	})
	list := make([]db.AddOrganizationUseParams, len(out))
	for i := range out {
		list[i] = *out[i]
	}
	return list
}

func compareBool(x, y bool) int {
	switch {
	case x == y:
		return 0
	case y:
		return -1
	}
	return 1
}
