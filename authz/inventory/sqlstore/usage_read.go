package sqlstore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
	"github.com/patrol-authz/patrol/authz/usage"
)

func missing(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// mostShown is how many resources and networks a report lists.
const mostShown = 100

// whose is what a question about a token's usage is limited to.
type whose struct {
	token, organization string
	everywhere          int64
	since               int64 // day
}

// TokenUsage reports how a token was used in the last days, today included: at
// an organization, or everywhere where organization is empty.
func (s *Store) TokenUsage(ctx context.Context, organization, id string, days int) (out *usage.Report, err error) {
	err = s.reading(ctx, func(st *state) error {
		w, known, err := s.whose(st, organization, id, days)
		if err != nil {
			return err
		}
		out = &usage.Report{Since: known, Resources: []usage.ResourceUse{}, Networks: []usage.NetworkUse{}, Reasons: []usage.ReasonUse{}}
		return errors.Join(st.usageDays(w, s.Clock(), out), st.usageParts(w, out), st.lastUse(w, out))
	})
	return out, err
}

// whose checks that a token concerns an organization.
func (s *Store) whose(st *state, organization, id string, days int) (w whose, known time.Time, err error) {
	w = whose{token: id, everywhere: 1}
	var o *inventory.Organization
	if organization != "" {
		if o, err = named(st, organization); err != nil {
			return w, known, err
		}
		w.organization, w.everywhere = o.ID, 0
	}
	row, err := s.tokenRow(st, o, id)
	if err == nil && row == nil {
		err = &inventory.NotFound{What: "token", Name: id}
	}
	if err != nil {
		return w, known, err
	}
	w.token = row.ID
	first := usage.DayOf(s.Clock()) - usage.Day(days-1)
	if known, err = st.usageKnown(); err == nil {
		if known.IsZero() {
			known = s.Clock().UTC().Truncate(time.Second)
		}
		if known.Before(first.Time()) {
			known = first.Time()
		}
	}
	w.since = int64(first)
	return w, known, err
}

func (s *state) usageDays(w whose, now time.Time, out *usage.Report) error {
	rows, err := s.UsageByDay(s.ctx, db.UsageByDayParams{TokenID: w.token, Everywhere: w.everywhere, OrganizationID: w.organization, Since: w.since})
	if err != nil {
		return err
	}
	today := int64(usage.DayOf(now))
	for d := w.since; d <= today; d++ {
		out.Days = append(out.Days, usage.DayUse{Day: usage.Day(d).Time().Format(time.DateOnly)})
	}
	for _, r := range rows {
		if r.Day > today {
			continue
		}
		if d := &out.Days[r.Day-w.since]; r.Allowed {
			d.Allowed += r.Requests
		} else {
			d.Refused += r.Requests
		}
	}
	return nil
}

func (s *state) usageParts(w whose, out *usage.Report) error {
	resources, err := s.UsageByResource(s.ctx, db.UsageByResourceParams{TokenID: w.token, Everywhere: w.everywhere, OrganizationID: w.organization, Since: w.since, Size: mostShown})
	if err != nil {
		return err
	}
	for _, r := range resources {
		out.Resources = append(out.Resources, usage.ResourceUse{
			Type: r.ResourceType, Resource: r.Resource, Permission: r.Permission, Allowed: r.Allowed, Requests: r.Requests, LastAt: fromMillis(r.LastAt),
		})
	}
	networks, err := s.UsageByNetwork(s.ctx, db.UsageByNetworkParams{TokenID: w.token, Everywhere: w.everywhere, OrganizationID: w.organization, Since: w.since, Size: mostShown})
	if err != nil {
		return err
	}
	for _, n := range networks {
		out.Networks = append(out.Networks, usage.NetworkUse{Network: n.Network, Requests: n.Requests, LastAt: fromMillis(n.LastAt)})
	}
	reasons, err := s.UsageByReason(s.ctx, db.UsageByReasonParams{TokenID: w.token, Everywhere: w.everywhere, OrganizationID: w.organization, Since: w.since})
	if err != nil {
		return err
	}
	for _, r := range reasons {
		out.Reasons = append(out.Reasons, usage.ReasonUse{Reason: r.Reason, Allowed: r.Allowed, Requests: r.Requests, LastAt: fromMillis(r.LastAt)})
	}
	return nil
}

func (s *state) lastUse(w whose, out *usage.Report) error {
	u, err := s.TokenUse(s.ctx, db.TokenUseParams{TokenID: w.token, Everywhere: w.everywhere, OrganizationID: w.organization})
	out.LastUsedAt, out.LastRefusedAt = optional(fromMillis(u.UsedAt)), optional(fromMillis(u.RefusedAt))
	return err
}

// Timeline tells what happened to a token in the last days, the latest first:
// changes, approval requests, usage and findings; at an organization, or
// everywhere where organization is empty. At most 500 of each kind are told.
func (s *Store) Timeline(ctx context.Context, organization, id string, days int) (out []usage.Event, err error) {
	err = s.reading(ctx, func(st *state) error {
		w, _, err := s.whose(st, organization, id, days)
		if err != nil {
			return err
		}
		t := &timeline{state: st, whose: w, since: usage.Day(w.since).Time(), changed: map[moment]int{}}
		if err := errors.Join(t.changes(), t.requests(), t.days(), t.findings()); err != nil {
			return err
		}
		slices.SortStableFunc(t.events, func(a, b usage.Event) int { return b.Time.Compare(a.Time) })
		out = t.events
		return nil
	})
	return out, err
}

const mostEvents = 500

type timeline struct {
	*state
	whose
	since  time.Time
	events []usage.Event
	// changed finds the event of a change by its time and organization.
	changed map[moment]int
}

type moment struct {
	millis       int64
	organization string // its id
}

func (t *timeline) add(e usage.Event, organizationID string) error {
	if e.Time.Before(t.since) {
		return nil
	}
	if organizationID != "" {
		o, err := t.OrganizationByID(organizationID)
		if err != nil {
			return err
		}
		if o != nil {
			e.Organization = o.Name
		}
	}
	t.events = append(t.events, e)
	return nil
}

func (t *timeline) changes() error {
	rows, err := t.AuditOfToken(t.ctx, db.AuditOfTokenParams{TokenID: t.token, Everywhere: t.everywhere, OrganizationID: t.organization, Since: millis(t.since), Size: mostEvents})
	for i := range rows {
		r := &rows[i]
		e := usage.Event{Time: fromMillis(r.Time), Kind: usage.EventAudit, What: r.Action, By: r.ActorName}
		// What is of no organization may tell of others: its details are whole
		// only for those who see all.
		if err == nil && (t.everywhere == 1 || r.OrganizationID != "") {
			err = decode("details", r.Details, &e.Details)
		}
		if err == nil {
			t.changed[moment{r.Time, r.OrganizationID}] = len(t.events)
			err = t.add(e, r.OrganizationID)
		}
	}
	return err
}

func (t *timeline) requests() error {
	rows, err := t.RequestsOfToken(t.ctx, db.RequestsOfTokenParams{TokenID: t.token, Everywhere: t.everywhere, OrganizationID: t.organization, Size: mostEvents})
	for i := range rows {
		q := &rows[i]
		if err == nil && !t.told(q.OpenedAt, q.OrganizationID, "") {
			err = t.add(usage.Event{Time: fromMillis(q.OpenedAt), Kind: usage.EventRequest, What: "opened", Text: "by " + q.OpenedBy}, q.OrganizationID)
		}
		if err == nil && q.DecidedAt != 0 && !t.told(q.DecidedAt, q.OrganizationID, q.Comment) {
			what := q.State
			if q.Decision != "" {
				what = q.Decision
			}
			err = t.add(usage.Event{Time: fromMillis(q.DecidedAt), Kind: usage.EventRequest, What: what, By: q.DecidedBy, Text: q.Comment}, q.OrganizationID)
		}
	}
	return err
}

// told says whether the change that opened or ended a request is among the
// events, and adds what was said.
func (t *timeline) told(millis int64, organizationID, text string) bool {
	i, ok := t.changed[moment{millis, organizationID}]
	if ok && text != "" {
		t.events[i].Text = text
	}
	return ok
}

func (t *timeline) days() error {
	rows, err := t.UsageOfDays(t.ctx, db.UsageOfDaysParams{TokenID: t.token, Everywhere: t.everywhere, OrganizationID: t.organization, Since: t.whose.since, Size: mostEvents})
	for _, r := range rows {
		if err == nil {
			err = t.add(usage.Event{
				Time: fromMillis(r.LastAt), Kind: usage.EventUsage, What: r.Reason, Allowed: r.Allowed, Requests: r.Requests, Networks: r.Networks,
			}, r.OrganizationID)
		}
	}
	return err
}

func (t *timeline) findings() error {
	organizations := []string{t.organization}
	if t.everywhere == 1 {
		var err error
		if organizations, err = t.ReachOfToken(t.ctx, t.token); err != nil {
			return err
		}
	}
	for _, o := range organizations {
		rows, err := t.FindingsOf(t.ctx, db.FindingsOfParams{OrganizationID: o, TokenID: t.token})
		for _, f := range rows {
			if err == nil {
				err = t.add(usage.Event{Time: fromMillis(f.FirstAt), Kind: usage.EventFinding, What: f.Finding, Text: f.Message}, o)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Discovered lists the unknown tokens of an organization that only observes, the
// latest first; those that were imported meanwhile are left out.
func (s *Store) Discovered(ctx context.Context, organization string, p inventory.Page) (rows []usage.Discovered, next string, err error) {
	before, digest, err := discoveredCursor(p.Cursor)
	if err != nil {
		return nil, "", err
	}
	err = s.reading(ctx, func(st *state) error {
		o, err := named(st, organization)
		if err != nil {
			return err
		}
		list, err := st.DiscoveredPage(ctx, db.DiscoveredPageParams{OrganizationID: o.ID, LastAt: before, Digest: digest, Size: beyond(p)})
		for i, d := range list {
			if i == limit(p) {
				next = strconv.FormatInt(list[i-1].LastAt, 10) + "." + hex.EncodeToString(list[i-1].Digest)
				break
			}
			rows = append(rows, usage.Discovered{
				Digest: hex.EncodeToString(d.Digest), Host: d.Host, Network: d.Network, Permission: d.Permission, Requests: d.Requests,
				FirstAt: fromMillis(d.FirstAt), LastAt: fromMillis(d.LastAt),
			})
		}
		return err
	})
	return rows, next, err
}

func discoveredCursor(cursor string) (before int64, digest []byte, err error) {
	if cursor == "" {
		return 1 << 62, []byte{}, nil
	}
	at, text, _ := strings.Cut(cursor, ".")
	if before, err = strconv.ParseInt(at, 10, 64); err == nil {
		digest, err = hex.DecodeString(text)
	}
	if err != nil || len(digest) != 32 {
		return 0, nil, &inventory.Invalid{Field: "cursor", Problem: "is none of ours"}
	}
	return before, digest, nil
}
