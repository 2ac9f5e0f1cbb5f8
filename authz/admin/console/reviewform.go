package console

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// form is a decision as it was typed.
type form struct {
	Decision, Until, Date, Reason, Comment, Text, Assignee string
	Version                                                int64
	// Request is the id of the request that was reviewed; "" where none was open.
	Request string
	// Chosen are the permissions ticked (see tick); nil: all.
	Chosen  map[string]bool
	Problem map[string]string // by field
}

// proposed is the preset of an end that the review rules propose, or 90 days.
func proposed(row *inventory.TokenRow) string {
	if row.Authorization != nil && row.Authorization.Request != nil && row.Authorization.Request.Recommendation != nil {
		for _, p := range presets {
			if p.Days > 0 && p.Days == row.Authorization.Request.Recommendation.UntilDays {
				return p.Value
			}
		}
	}
	return "90"
}

// assigned is who is to decide, or "".
func assigned(row *inventory.TokenRow) string {
	if row.Authorization == nil || row.Authorization.Request == nil {
		return ""
	}
	return row.Authorization.Request.Assignee
}

// openRequest is the id of the open request on a token, or "".
func openRequest(row *inventory.TokenRow) string {
	if row.Authorization != nil && row.Authorization.Request != nil && row.Authorization.Request.State == authz.RequestOpen {
		return row.Authorization.Request.ID
	}
	return ""
}

// shownFields are those of the review's form that have a place for what is wrong
// with them.
var shownFields = []string{"version", "decision", "grants", "until", "comment", "reason", "text", "assignee"}

// wrong notes what the rules have against the form: beside the field, or above
// the form where it has no such field.
func (f *form) wrong(e *inventory.Invalid) {
	field, _, _ := strings.Cut(e.Field, "[")
	if field == "question" {
		field = "text"
	}
	if slices.Contains(shownFields, field) {
		f.Problem[field] = "This " + e.Problem + "."
		return
	}
	f.Problem["decision"] = e.Field + " " + e.Problem + "."
}

// typed is what was typed into a field. Browsers end its lines with CR LF (HTML,
// form submission), which are line ends here and no control characters.
func typed(v url.Values, field string) string {
	return strings.TrimSpace(strings.ReplaceAll(v.Get(field), "\r\n", "\n"))
}

func readForm(a *ask) form {
	p := a.PostForm
	f := form{
		Decision: p.Get("decision"), Until: p.Get("until"), Date: p.Get("date"), Reason: typed(p, "reason"),
		Comment: typed(p, "comment"), Request: p.Get("request"), Chosen: map[string]bool{}, Problem: map[string]string{},
	}
	f.Version, _ = strconv.ParseInt(p.Get("version"), 10, 64) // 0 is refused below
	for _, g := range p["grant"] {
		f.Chosen[g] = true
	}
	return f
}

// decision reads a form into a command; false where something is wrong with it.
func (c *Console) decision(a *ask, row *inventory.TokenRow, f *form) (inventory.Command, bool) {
	if f.Version <= 0 {
		f.Problem["version"] = "The form says not which version was reviewed: open the page again."
	}
	switch f.Decision {
	case "deny":
		if f.Reason == "" {
			f.Problem["reason"] = "Say why: the owner reads it."
		}
		return inventory.Deny{Organization: a.organization, Token: row.ID, Request: f.Request, Version: f.Version, Reason: f.Reason}, len(f.Problem) == 0
	case "approve":
		until := c.until(f)
		grants := f.grants(row)
		if len(grants) == 0 {
			f.Problem["grants"] = "Tick what to approve, or deny."
		}
		return inventory.Approve{Organization: a.organization, Token: row.ID, Request: f.Request, Version: f.Version, Grants: grants, Until: until, Comment: f.Comment}, len(f.Problem) == 0
	}
	f.Problem["decision"] = "Approve or deny."
	return nil, false
}

func (c *Console) until(f *form) time.Time {
	for _, p := range presets {
		if p.Value == f.Until && p.Days > 0 {
			return c.Clock().UTC().AddDate(0, 0, p.Days).Truncate(24 * time.Hour)
		}
	}
	switch f.Until {
	case "none":
		return time.Time{}
	case "date":
		day, err := time.Parse(time.DateOnly, f.Date)
		if err != nil {
			f.Problem["until"] = "Write the day as 2027-01-31."
		} else if !day.After(c.Clock()) {
			f.Problem["until"] = "The day lies in the past."
		}
		return day
	}
	at, err := time.Parse(time.RFC3339, f.Until) // what another voted for
	if err != nil {
		f.Problem["until"] = "Choose how long."
	} else if !at.After(c.Clock()) {
		f.Problem["until"] = "The day lies in the past."
	}
	return at
}

// grants are the ticked permissions of what the token asks for.
func (f *form) grants(row *inventory.TokenRow) []authz.Grant {
	var out []authz.Grant
	for _, g := range row.Grants {
		kept := authz.Grant{Entity: g.Entity}
		for _, p := range g.Permissions {
			if f.Chosen[tick(g.Entity, p)] {
				kept.Permissions = append(kept.Permissions, p)
			}
		}
		if len(kept.Permissions) > 0 {
			out = append(out, kept)
		}
	}
	return out
}

// Ticked says whether a permission is to be ticked: all are at first.
func (f form) Ticked(e authz.Entity, permission string) bool {
	return f.Chosen == nil || f.Chosen[tick(e, permission)]
}
