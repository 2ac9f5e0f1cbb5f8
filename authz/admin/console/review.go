package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// group is open requests that ask for the same, of the same owner.
type group struct {
	Rows   []inventory.ApprovalRow
	Grants []authz.Grant
}

// review is the queue: the oldest or the riskiest first, equal requests of one owner together.
func (c *Console) review(w http.ResponseWriter, a *ask) error {
	f := inventory.ApprovalFilter{Status: "open"}
	if a.URL.Query().Get("sort") == "risk" {
		f.Sort = "risk"
	}
	rows, next, err := c.Queries.FindApprovals(a.Context(), a.organization, f, inventory.Page{Limit: mostAtOnce, Cursor: a.URL.Query().Get("cursor")})
	if err != nil {
		return err
	}
	body := map[string]any{"Groups": groups(rows), "Count": len(rows), "Risk": f.Sort == "risk", "Part": next != "" || a.URL.Query().Get("cursor") != ""}
	if next != "" {
		body["Next"] = with(a.URL.Query(), "cursor", next)
	}
	c.show(w, a.Request, a, http.StatusOK, "review", "Review", body)
	return nil
}

func groups(rows []inventory.ApprovalRow) []group {
	var out []group
	at := map[string]int{}
	for _, r := range rows {
		grants, err := json.Marshal(r.Grants)
		if err != nil {
			grants = []byte(r.ID)
		}
		key := r.Owner + "\x00" + string(grants)
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, group{Grants: r.Grants})
		}
		out[i].Rows = append(out[i].Rows, r)
	}
	return out
}

// presets of how long an approval lasts.
var presets = []struct {
	Value, Words string
	Days         int
}{
	{"30", "30 days", 30}, {"90", "90 days", 90}, {"365", "a year", 365}, {"none", "without an end", 0}, {"date", "until", 0},
}

// form is a decision as it was typed.
type form struct {
	Decision, Until, Date, Reason, Comment, Text, Assignee string
	Version                                                int64
	// Request is the id of the request that was reviewed; "" where none was open.
	Request string
	// Chosen are the permissions ticked, "grant index/permission"; nil: all.
	Chosen  map[string]bool
	Problem map[string]string // by field
}

// reviewOne is one request, with all that a decision needs.
func (c *Console) reviewOne(w http.ResponseWriter, a *ask) error {
	row, err := c.Queries.Token(a.Context(), a.organization, a.PathValue("id"))
	if err != nil {
		return err
	}
	return c.showReview(w, a, http.StatusOK, row, form{Until: proposed(row), Version: row.Version, Request: openRequest(row), Assignee: assigned(row)}, nil)
}

func (c *Console) showReview(w http.ResponseWriter, a *ask, status int, row *inventory.TokenRow, f form, conflict *conflictView) error {
	waiting, _, err := c.Queries.Waiting(a.Context(), a.organization)
	if err != nil {
		return err
	}
	c.show(w, a.Request, a, status, "reviewone", "Review "+row.DisplayName, map[string]any{
		"Token": row, "Form": f, "Presets": presets, "Asked": compare(row), "Conflict": conflict, "Found": c.badges([]inventory.TokenRow{*row}), "Waiting": waiting,
		"Open": row.Authorization != nil && row.Authorization.Request != nil && row.Authorization.Request.State == authz.RequestOpen,
	})
	return nil
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

// conflictView tells what has changed while somebody reviewed.
type conflictView struct {
	Problem string
	Present *inventory.TokenRow
}

// decide approves or denies as it was reviewed, and opens the next request.
func (c *Console) decide(w http.ResponseWriter, a *ask) error {
	if err := a.ParseForm(); err != nil {
		return &failure{http.StatusBadRequest, "That cannot be", "The form could not be read. Nothing was changed."}
	}
	row, err := c.Queries.Token(a.Context(), a.organization, a.PathValue("id"))
	if err != nil {
		return err
	}
	f := readForm(a)
	cmd, ok := c.decision(a, row, &f)
	if !ok {
		return c.showReview(w, a, http.StatusUnprocessableEntity, row, f, nil)
	}
	_, err = c.Commands.Do(a.Context(), a.caller.actor(a.organization), cmd)
	var conflict *inventory.Conflict
	var invalid *inventory.Invalid
	switch {
	case errors.As(err, &conflict):
		present := conflict.Token
		if present == nil {
			present = row
		}
		f.Version, f.Request = present.Version, openRequest(present)
		return c.showReview(w, a, http.StatusConflict, present, f, &conflictView{conflict.Problem, present})
	case errors.As(err, &invalid):
		f.wrong(invalid)
		return c.showReview(w, a, http.StatusUnprocessableEntity, row, f, nil)
	case err != nil:
		return err
	}
	http.Redirect(w, a.Request, c.after(a, row.ID, f.Decision), http.StatusSeeOther)
	return nil
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

// talk is what may be done on a request beside deciding.
func (c *Console) talk(w http.ResponseWriter, a *ask) error {
	if err := a.ParseForm(); err != nil {
		return &failure{http.StatusBadRequest, "That cannot be", "The form could not be read. Nothing was changed."}
	}
	row, err := c.Queries.Token(a.Context(), a.organization, a.PathValue("id"))
	if err != nil {
		return err
	}
	text, word := typed(a.PostForm, "text"), ""
	assignee := typed(a.PostForm, "assignee")
	var cmd inventory.Command
	switch a.PostForm.Get("talk") {
	case "question":
		cmd, word = inventory.AskOwner{Organization: a.organization, Token: row.ID, Question: text}, "asked"
	case "comment":
		cmd, word = inventory.CommentRequest{Organization: a.organization, Token: row.ID, Comment: text}, "saved"
	case "assign":
		cmd, word = inventory.AssignRequest{Organization: a.organization, Token: row.ID, Assignee: assignee}, "assigned"
	default:
		return &failure{http.StatusUnprocessableEntity, "That cannot be", "Choose what to do. Nothing was changed."}
	}
	_, err = c.Commands.Do(a.Context(), a.caller.actor(a.organization), cmd)
	var invalid *inventory.Invalid
	if errors.As(err, &invalid) {
		f := form{Until: proposed(row), Version: row.Version, Request: openRequest(row), Text: text, Assignee: assignee, Problem: map[string]string{}}
		if a.PostForm.Get("talk") == "comment" { // which the form calls a text
			invalid = &inventory.Invalid{Field: "text", Problem: invalid.Problem}
		}
		f.wrong(invalid)
		return c.showReview(w, a, http.StatusUnprocessableEntity, row, f, nil)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, a.Request, at(a.organization, "review", row.ID)+"?done="+word, http.StatusSeeOther)
	return nil
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
	f.Problem["until"] = "Choose how long."
	return time.Time{}
}

// grants are the ticked permissions of what the token asks for.
func (f *form) grants(row *inventory.TokenRow) []authz.Grant {
	var out []authz.Grant
	for i, g := range row.Grants {
		kept := authz.Grant{Entity: g.Entity}
		for _, p := range g.Permissions {
			if f.Chosen[fmt.Sprintf("%d/%s", i, p)] {
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
func (f form) Ticked(grant int, permission string) bool {
	return f.Chosen == nil || f.Chosen[fmt.Sprintf("%d/%s", grant, permission)]
}

// after is the page behind a decision: the next open request, or the queue.
func (c *Console) after(a *ask, decided, decision string) string {
	word := map[string]string{"approve": "approved", "deny": "denied"}[decision]
	rows, _, err := c.Queries.FindApprovals(a.Context(), a.organization, inventory.ApprovalFilter{Status: authz.RequestOpen}, inventory.Page{Limit: 2})
	if err == nil {
		for _, r := range rows {
			if r.Token != decided {
				return at(a.organization, "review", r.Token) + "?done=" + word
			}
		}
	}
	return at(a.organization, "review") + "?done=last"
}
