package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
	"github.com/patrol-authz/patrol/authz/record"
	"github.com/patrol-authz/patrol/authz/usage"
)

// Refusals finds the requests that were refused.
type Refusals interface {
	// Last returns the latest refusals of a token, at most so many: of the
	// organizations, by their ids, that see says yes to; "" is for those about none.
	Last(ctx context.Context, token string, most int, see func(organization string) bool) ([]record.Refusal, error)
}

const (
	// ownerDays is how far back an owner's page looks: as far as usage is kept.
	ownerDays = 90
	// mostRefusals is how many refused requests it shows, and manyRefusals of how
	// many it tells those that are alike together.
	mostRefusals = 10
	manyRefusals = 100
)

// showOwned shows a token to its owner.
func (c *Console) showOwned(w http.ResponseWriter, a *ask, status int, organization string, words said) error {
	t, err := c.own(a, organization)
	if err != nil {
		return err
	}
	all, err := c.standings(a.Context(), []inventory.TokenRow{*t.TokenRow})
	if err != nil {
		return err
	}
	places := all[t.ID]
	if organization == "" && len(places) == 1 {
		organization = places[0].Row.Organization
		if t, err = c.own(a, organization); err != nil {
			return err
		}
	}
	body := map[string]any{"Token": t.TokenRow, "Said": words, "Conflict": words.Conflict, "MayOwn": t.may, "Theirs": t.Owner != a.caller.Name}
	if t.whole[seeOwn] {
		body["Places"] = slices.DeleteFunc(places, func(s *standing) bool { return t.on != nil && s.Row.Organization == t.on.Organization })
	}
	if t.on != nil {
		if err := c.ownedIn(a, t, body); err != nil {
			return err
		}
	}
	if body["Refused"], err = c.refusedOf(a, t); err != nil {
		c.Log.Error("the last refusals of a token cannot be read", "token", t.ID, "error", err)
		body["Unread"] = true
	}
	if err := c.happened(a, t, body); err != nil {
		return err
	}
	c.show(w, a.Request, a, status, "owned", t.DisplayName, body)
	return nil
}

// ownedIn adds how a token stands in the organization of the page, and who can
// help.
func (c *Console) ownedIn(a *ask, t *ownToken, body map[string]any) error {
	list, err := c.standingsIn(a.Context(), t.on.Organization, []inventory.TokenRow{*t.on}, preview.ManyTries)
	if err != nil {
		return err
	}
	body["Row"], body["Asked"], body["Standing"] = t.on, compare(t.on), list[0]
	if q := list[0].Asked; q != nil {
		q.By = named(q.By, a.caller.Name, t.may[seeNames])
	}
	if t.may[seeNames] {
		body["Helpers"], err = c.helpers(a, t.on.Organization)
	}
	return err
}

// helpers are the names of the administrators of an organization.
func (c *Console) helpers(a *ask, organization string) ([]string, error) {
	rows, _, err := c.Queries.Members(a.Context(), organization, inventory.Page{Limit: 1000})
	var names []string
	for _, m := range rows {
		if m.Role == roleAdmin && len(names) < 10 {
			names = append(names, m.User)
		}
	}
	return names, err
}

// refusedRequests are the last ones with a token, as its owner sees them. Servers is how many keep some: each those that it refused itself.
type refusedRequests struct {
	Rows    []refusedRequest
	Servers int
}

// refusedRequest is a request that was refused: the last one of several alike.
type refusedRequest struct {
	record.Told
	// Title is the reason in words; Asked is what was asked for.
	Title, Asked string
	Times        int
}

// alike says whether two tell the same but for when.
func (r *refusedRequest) alike(other *refusedRequest) bool {
	return r.Method == other.Method && r.Path == other.Path && slices.Equal(r.Query, other.Query) && r.Code == other.Code &&
		r.Asked == other.Asked && r.Message == other.Message && r.Network == other.Network && r.Client == other.Client
}

// refusedOf are the last requests with a token that were refused, nil where there
// are none: in the organization of the page, and, for who may see the token as a
// whole, those about no organization and in the owner's own namespace.
func (c *Console) refusedOf(a *ask, t *ownToken) (*refusedRequests, error) {
	seen := map[string]bool{"": t.whole[seeRefusals]}
	see := func(name string, of func(*inventory.OrganizationRow) bool) error {
		o, err := c.Queries.Organization(a.Context(), name)
		var missing *inventory.NotFound
		if err == nil && of(o) {
			seen[o.ID] = true
		} else if errors.As(err, &missing) {
			return nil
		}
		return err
	}
	if t.on != nil && t.may[seeRefusals] {
		if err := see(t.on.Organization, func(*inventory.OrganizationRow) bool { return true }); err != nil {
			return nil, err
		}
	}
	if t.whole[seeRefusals] {
		if err := see(t.Owner, func(o *inventory.OrganizationRow) bool { return o.Type == authz.TypeUser }); err != nil {
			return nil, err
		}
	}
	rows, err := c.Refusals.Last(a.Context(), t.ID, manyRefusals, func(organization string) bool { return seen[organization] })
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	serving, err := c.serving(a.Context())
	if err != nil {
		return nil, err
	}
	out := &refusedRequests{Servers: serving.All}
	for i := range rows {
		one := c.refusal(&rows[i])
		if at := slices.IndexFunc(out.Rows, func(r refusedRequest) bool { return r.alike(&one) }); at >= 0 {
			out.Rows[at].Times++
		} else if len(out.Rows) < mostRefusals {
			out.Rows = append(out.Rows, one)
		}
	}
	return out, nil
}

// refusal puts a refusal into words. The link of its sentence leads to this page.
func (c *Console) refusal(r *record.Refusal) refusedRequest {
	out := refusedRequest{Told: r.Told(c.catalogue()), Times: 1}
	out.Title = reasonTitle(c.catalogue(), out.Code)
	out.Message, _, _ = strings.Cut(out.Message, " ("+strings.TrimRight(c.PublicURL, "/")+"/tokens/")
	if out.Permission != "" {
		out.Asked = strings.TrimSuffix(permissionWord(out.Permission)+" on "+out.Resource, " on ")
	}
	return out
}

// happened adds what happened to a token in the organization of the page, or, where
// it is of none, to the token as a whole, as far as its owner is told.
func (c *Console) happened(a *ask, t *ownToken, body map[string]any) error {
	organization := ""
	if t.on != nil {
		organization = t.on.Organization
	}
	read := organization
	if t.whole[seeOwn] { // what is of no organization is told whole to who sees all
		read = ""
	}
	events, err := c.Reports.Timeline(a.Context(), read, t.ID, ownerDays)
	if err != nil {
		return err
	}
	events = slices.DeleteFunc(events, func(e usage.Event) bool { return e.Organization != "" && e.Organization != organization })
	timeline := told(usage.ForOwner(events, t.Owner), c.findingTitles())
	for i := range timeline {
		timeline[i].By = named(timeline[i].By, a.caller.Name, t.may[seeNames])
	}
	more := max(0, len(timeline)-mostEvents)
	body["Timeline"], body["More"] = timeline[:len(timeline)-more], more
	return nil
}

// anOperator is who is on the machine, for an owner.
const anOperator = "an operator"

// speaker is who said something, for an owner: who is on the machine has no name
// that says anything to them.
func speaker(name string) string {
	if strings.HasPrefix(name, "uid:") {
		return anOperator
	}
	return name
}

// named is who did something, for a reader who is told names of people or is not.
func named(name, reader string, names bool) string {
	if name = speaker(name); names || name == reader || name == anOperator {
		return name
	}
	return ""
}
