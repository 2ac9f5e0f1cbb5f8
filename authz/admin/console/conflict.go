package console

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/usage"
)

// crossed tells what others did while somebody had a page open: nothing of what
// they sent was done.
type crossed struct {
	// Thing is what has changed, as the beginning of a sentence.
	Thing string
	// Problem is what the rules say.
	Problem string
	// Events are who did what, and when, the newest first.
	Events []event
	// Changed is what is different from what the reader saw, in sentences.
	Changed []string
}

// mostCrossed is how many changes a conflict tells.
const mostCrossed = 5

// opened is when a form was opened, as it carries it. It chooses what is told of
// a conflict, and nothing else: where it is no time the last change is told.
func opened(v url.Values) time.Time {
	at, err := time.Parse(time.RFC3339Nano, v.Get("opened"))
	if err != nil {
		return time.Time{}
	}
	return at
}

// onToken tells of a conflict on a token, by those changes that are kept; nil
// keeps all.
func (c *Console) onToken(a *ask, row *inventory.TokenRow, err error, keep func(usage.Event) bool) *crossed {
	out := &crossed{Thing: "The token " + row.DisplayName + " has changed"}
	if err != nil {
		out.Problem = sentence(err.Error())
	}
	events, failed := c.Reports.Timeline(a.Context(), a.organization, row.ID, reportDays)
	if failed != nil { // that a change was refused is told all the same
		c.Log.Error("the console cannot tell who changed a token", "token", row.ID, "error", failed)
	}
	changes := slices.DeleteFunc(told(events, nil), func(e event) bool {
		return e.Kind != usage.EventAudit && e.Kind != usage.EventRequest || keep != nil && !keep(e.Event)
	})
	out.Events = since(changes, opened(a.PostForm), func(e event) time.Time { return e.Time })
	return out
}

// onOrganization tells of a conflict on an organization's settings or policy.
func (c *Console) onOrganization(a *ask, thing string) *crossed {
	out := &crossed{Thing: thing}
	rows, _, err := c.Queries.Audit(a.Context(), a.organization, inventory.Page{Limit: mostAtOnce})
	if err != nil {
		c.Log.Error("the console cannot tell who changed an organization", "organization", a.organization, "error", err)
	}
	rows = slices.DeleteFunc(rows, func(r inventory.AuditRow) bool { return !strings.HasPrefix(r.Action, "organization.") })
	for _, r := range since(rows, opened(a.PostForm), func(r inventory.AuditRow) time.Time { return r.Time }) {
		e := event{Event: usage.Event{Time: r.Time, Kind: usage.EventAudit, By: r.Actor.Name}, What: actionWords(r.Action, r.Details), Said: detailsOf(r.Details, c.titles())}
		out.Events = append(out.Events, e)
	}
	return out
}

// since are the changes behind a time, the newest first; the last one where none is.
func since[E any](all []E, from time.Time, at func(E) time.Time) []E {
	n := 0
	for n < len(all) && n < mostCrossed && !from.IsZero() && at(all[n]).After(from) {
		n++
	}
	return all[:max(n, min(1, len(all)))]
}

// different says in sentences how a token differs from what was reviewed.
func different(all []inventory.Difference) (out []string) {
	for _, d := range all {
		switch {
		case d.Field == "grants" && d.Reviewed == "":
			out = append(out, "It asks for more: "+d.Present+".")
		case d.Field == "grants" && d.Present == "":
			out = append(out, "It asks no longer for "+d.Reviewed+".")
		case d.Field == "expires_at":
			out = append(out, "It ends "+end(d.Present)+"; when you looked, "+end(d.Reviewed)+".")
		case d.Field == "kind":
			out = append(out, "It is a "+d.Present+" token; when you looked, "+d.Reviewed+".")
		case d.Field == "request":
			out = append(out, "Another request is its latest by now.")
		}
	}
	return out
}

// end is when a token ends, for people.
func end(text string) string {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return "on " + dayOf(at)
	}
	return text
}
