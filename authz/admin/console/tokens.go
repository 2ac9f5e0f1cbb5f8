package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
)

// pageSize is how many rows a listing shows.
const pageSize = 50

// tokens is the listing: what reaches the organization, by default newest first.
// Revoked ones are behind the switch.
func (c *Console) tokens(w http.ResponseWriter, a *ask) error {
	q := a.URL.Query()
	f := filtered(q)
	asked := f
	if f.Status == "" && (q.Get("revoked") == "on" || q.Get("status") == "all") {
		f.Status = "all"
	}
	rows, next, err := c.filled(a, f, q.Get("cursor"))
	if err != nil {
		return err
	}
	counts, err := c.countsOf(a.Context(), a.organization)
	if err != nil {
		return err
	}
	judged, p, err := c.judged(a.Context(), a.organization, rows, preview.FewTries)
	if err != nil {
		return err
	}
	words := make(map[string]string, len(rows))
	for i := range rows {
		words[rows[i].ID] = byPolicy(&rows[i], judged[rows[i].ID], p)
	}
	q.Del("done")
	body := map[string]any{
		"Organization": p.organization, "Rows": rows, "Words": words, "Filter": asked, "Revoked": f.Status == "all", "Statuses": statuses, "Kinds": kinds, "Severities": severities, "Findings": c.findingChoices(counts, f.Finding),
		"First": q.Get("cursor") == "", "Filtered": f != (inventory.TokenFilter{Sort: f.Sort}),
	}
	if next != "" {
		body["Next"] = with(q, "cursor", next)
	}
	q.Del("cursor")
	body["Start"] = "?" + q.Encode()
	body["Kept"] = keptListing(a.URL.Query(), true)
	body["Heads"] = heads(q, sorted(f, rows))
	c.show(w, a.Request, a, http.StatusOK, "tokens", "Tokens of "+a.organization, body)
	return nil
}

// patience is for how long a page looks on for rows. A look of the inventory is
// at some hundred tokens, of which a filter may take none.
const patience = 50 * time.Millisecond

// filled reads a page, and looks on where little was found of what there is.
func (c *Console) filled(a *ask, f inventory.TokenFilter, cursor string) (rows []inventory.TokenRow, next string, err error) {
	for end := time.Now().Add(patience); ; {
		more, next, err := c.Queries.Tokens(a.Context(), a.organization, f, inventory.Page{Limit: pageSize - len(rows), Cursor: cursor})
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, more...)
		if next == "" || len(rows) == pageSize || time.Now().After(end) {
			return rows, next, nil
		}
		cursor = next
	}
}

// sorted is the order in which the rows stand: where none was asked for that
// of their making, if they are in it (see inventory.TokenFilter).
func sorted(f inventory.TokenFilter, rows []inventory.TokenRow) string {
	newest := func(x, y inventory.TokenRow) int { return y.CreatedAt.Compare(x.CreatedAt) }
	if f.Sort == "" && slices.IsSortedFunc(rows, newest) {
		return "-" + inventory.SortCreated
	}
	return f.Sort
}

// severityTone is the colour of a finding's badge: by the finding's own severity,
// which may be another than that of its kind.
func severityTone(severity string) string {
	return map[string]string{hygiene.SeverityHigh: "bad", hygiene.SeverityMedium: "waiting"}[severity]
}

func (c *Console) findingKinds() []authz.FindingKind {
	if r := c.Policy.Ruleset(); r != nil {
		return r.Findings
	}
	return nil
}

// findingTitles are the findings in words.
func (c *Console) findingTitles() map[string]string {
	titles := map[string]string{}
	for _, k := range c.findingKinds() {
		titles[k.Name] = k.Title
	}
	return titles
}

func (c *Console) findingChoices(counts []hygiene.Count, chosen string) []choice {
	return findingChoices(c.findingKinds(), counts, chosen)
}

// sorts are the orders of the listing.
var sorts = []string{inventory.SortName, inventory.SortOwner, inventory.SortCreated, inventory.SortLastUsed, inventory.SortSeverity}

// downFirst are the orders that begin at their end: with the latest, the gravest.
var downFirst = map[string]bool{inventory.SortCreated: true, inventory.SortLastUsed: true, inventory.SortSeverity: true}

// head is a column's head that sorts by it, and then the other way round.
type head struct{ Words, To, Aria string }

func heads(q url.Values, present string) map[string]head {
	words := map[string]string{
		inventory.SortName: "Name", inventory.SortOwner: "Owner", inventory.SortCreated: "Created", inventory.SortLastUsed: "Last used", inventory.SortSeverity: "Findings",
	}
	out := map[string]head{}
	for _, by := range sorts {
		h, first, second := head{Words: words[by]}, by, "-"+by
		if downFirst[by] {
			first, second = second, first
		}
		to := first
		if present == first {
			to = second
		}
		h.To = with(q, "sort", to)
		switch present {
		case by:
			h.Aria = "ascending"
		case "-" + by:
			h.Aria = "descending"
		}
		out[by] = h
	}
	return out
}

// keptListing is what the listing shows, as the end of an address: of its own, or
// of the pages by which something is done from it, and which lead back.
func keptListing(q url.Values, away bool) string {
	kept := url.Values{}
	for k, v := range q {
		if k != "done" && k != "list" {
			kept[k] = v
		}
	}
	if away {
		kept.Set("list", "1")
	}
	if len(kept) == 0 {
		return ""
	}
	return "?" + kept.Encode()
}

// leads is where an action on tokens leads: back to the listing that it was done
// from, or to the one token.
func leads(a *ask, ids []string) string {
	if !a.URL.Query().Has("list") && len(ids) == 1 {
		return at(a.organization, "tokens", ids[0])
	}
	return at(a.organization, "tokens") + keptListing(a.URL.Query(), false)
}

// withDone is an address with a word on what was done.
func withDone(address, word string) string {
	if strings.Contains(address, "?") {
		return address + "&done=" + word
	}
	return address + "?done=" + word
}

func with(q url.Values, key, value string) string {
	changed := url.Values{}
	for k, v := range q {
		changed[k] = v
	}
	changed.Set(key, value)
	return "?" + changed.Encode()
}

// token is one token: what it may, what holds, and what happened.
func (c *Console) token(w http.ResponseWriter, a *ask) error {
	row, err := c.Queries.Token(a.Context(), a.organization, a.PathValue("id"))
	if err != nil {
		return err
	}
	judged, p, err := c.judged(a.Context(), a.organization, []inventory.TokenRow{*row}, preview.ManyTries)
	if err != nil {
		return err
	}
	body := map[string]any{"Token": row, "Asked": compare(row), "Words": byPolicy(row, judged[row.ID], p)}
	if j := judged[row.ID]; j != nil {
		body["Present"], body["Standing"] = p.verdict(&j.Judged), stand(row, j, p)
	}
	if err := c.report(a, row.ID, body); err != nil {
		return err
	}
	c.show(w, a.Request, a, http.StatusOK, "token", row.DisplayName, body)
	return nil
}

// report adds how a token is used, what was found of it, and what happened.
func (c *Console) report(a *ask, id string, body map[string]any) error {
	used, err := c.Reports.TokenUsage(a.Context(), a.organization, id, reportDays)
	if err != nil {
		return err
	}
	rows, err := c.Reports.TokenFindings(a.Context(), a.organization, id)
	if err != nil {
		return err
	}
	events, err := c.Reports.Timeline(a.Context(), a.organization, id, reportDays)
	if err != nil {
		return err
	}
	findings := make([]found, len(rows))
	for i := range rows {
		findings[i] = found{rows[i], narrower(&rows[i])}
	}
	timeline := told(events, c.findingTitles())
	more := max(0, len(timeline)-mostEvents)
	body["Usage"], body["Chart"], body["Findings"], body["Reasons"] = used, draw(used.Days), findings, c.reasons(used.Reasons)
	body["Timeline"], body["More"] = timeline[:len(timeline)-more], more
	return nil
}

// mostEvents is how many entries of a timeline a page shows.
const mostEvents = 50

// asked is a permission on an entity, as asked and as approved.
type asked struct {
	Entity      string
	Permissions []askedPermission
}

type askedPermission struct {
	Name, Word      string
	Asked, Approved bool
}

// compare puts what a token asks for on an organization and what is approved
// side by side.
func compare(t *inventory.TokenRow) []asked {
	var out []asked
	find := func(entity string) *asked {
		for i := range out {
			if out[i].Entity == entity {
				return &out[i]
			}
		}
		out = append(out, asked{Entity: entity})
		return &out[len(out)-1]
	}
	mark := func(e *asked, name string) *askedPermission {
		for i := range e.Permissions {
			if e.Permissions[i].Name == name {
				return &e.Permissions[i]
			}
		}
		e.Permissions = append(e.Permissions, askedPermission{Name: name, Word: permissionWord(name)})
		return &e.Permissions[len(e.Permissions)-1]
	}
	for _, g := range t.Grants {
		e := find(grantWords(g.Entity))
		for _, p := range g.Permissions {
			mark(e, p).Asked = true
		}
	}
	if t.Authorization != nil {
		for _, g := range t.Authorization.Grants {
			e := find(grantWords(g.Entity))
			for _, p := range g.Permissions {
				mark(e, p).Approved = true
			}
		}
	}
	return out
}
