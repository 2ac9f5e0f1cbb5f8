package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
)

// Previews says whom a change of policy would break.
type Previews interface {
	Preview(context.Context, preview.Change, preview.Query) (*preview.Preview, error)
}

// previewFor is how long a page waits for a preview.
const previewFor = 20 * time.Second

// policy shows the policies with the table of their METADATA, and the form; what
// was chosen is previewed, and can be saved then.
func (c *Console) policy(w http.ResponseWriter, a *ask) error {
	o, err := c.Queries.Organization(a.Context(), a.organization)
	if err != nil {
		return err
	}
	q := a.URL.Query()
	q.Del("seen")
	if q.Get("preview") == "" {
		return c.showPolicy(w, a, http.StatusOK, o, fresh(o), nil, nil)
	}
	f := readPolicyForm(q)
	cmd := f.command(o)
	if len(f.Problem) > 0 {
		return c.showPolicy(w, a, http.StatusUnprocessableEntity, o, f, nil, nil)
	}
	v, err := c.foretell(a, cmd, q)
	var invalid *inventory.Invalid
	if errors.As(err, &invalid) {
		f.wrong(invalid)
		return c.showPolicy(w, a, http.StatusUnprocessableEntity, o, f, nil, nil)
	}
	if err != nil {
		return err
	}
	return c.showPolicy(w, a, http.StatusOK, o, f, v, nil)
}

func fresh(o *inventory.OrganizationRow) policyForm {
	return policyForm{TokenPolicy: o.TokenPolicy, When: "now", Enforcement: o.Enforcement, Days: "30"}
}

// foretold is a preview as the page shows it.
type foretold struct {
	*preview.Preview
	Outcome, Owner string
	// Late: it was not ready in time. Failed: it could not be made.
	Late, Failed bool
	Next         string
	Outcomes     []outcomeLink
}

// outcomeLink leads to the tokens that one thing happens to.
type outcomeLink struct {
	Name, Words, To string
	Count           int
}

// foretell previews a change. A preview that fails is no reason not to save: the
// page says so.
func (c *Console) foretell(a *ask, cmd inventory.SetPolicy, q url.Values) (*foretold, error) {
	ctx, cancel := context.WithTimeout(a.Context(), previewFor)
	defer cancel()
	v := &foretold{Outcome: q.Get("outcome"), Owner: q.Get("owner")}
	if !slices.Contains([]string{preview.Starts, preview.Approved, preview.Waived, preview.Refused}, v.Outcome) {
		v.Outcome = preview.Breaks
	}
	p, err := c.Previews.Preview(ctx, preview.Change{Policy: cmd}, preview.Query{
		Outcome: v.Outcome, Owner: v.Owner, Page: inventory.Page{Limit: pageSize, Cursor: q.Get("cursor")},
	})
	var (
		invalid   *inventory.Invalid
		forbidden *inventory.Forbidden
		missing   *inventory.NotFound
	)
	switch {
	case err == nil:
	case errors.As(err, &forbidden):
		return nil, &inventory.Invalid{Field: "existing_tokens", Problem: forbidden.Error()}
	case errors.As(err, &invalid), errors.As(err, &missing), a.Context().Err() != nil:
		return nil, err
	case errors.Is(err, context.DeadlineExceeded):
		v.Late = true
		return v, nil
	default:
		c.Log.Error("a change of policy could not be previewed", "organization", a.organization, "error", err)
		v.Failed = true
		return v, nil
	}
	v.Preview = p
	if p.Next != "" {
		v.Next = with(q, "cursor", p.Next)
	}
	base := url.Values{}
	for k, x := range q {
		if k != "cursor" && k != "outcome" && k != "owner" {
			base[k] = x
		}
	}
	n := &p.Counts
	for _, o := range []outcomeLink{
		{preview.Breaks, "would be refused", "", n.Breaks},
		{preview.Starts, "are refused now, and would be allowed", "", n.Starts},
		{preview.Approved, "would be approved with the change", "", n.Approved},
		{preview.Waived, "go on because what is against them is waived", "", n.Waived},
		{preview.GoesOn, "go on as now", "", n.GoesOn},
		{preview.Refused, "are refused, as now", "", n.Refused},
		{"disabled", "are disabled everywhere", "", n.Disabled},
		{"unjudged", "could not be judged", "", n.Unjudged},
	} {
		if o.Count == 0 && o.Name != preview.Breaks {
			continue
		}
		if !slices.Contains([]string{preview.GoesOn, "disabled", "unjudged"}, o.Name) && o.Count > 0 {
			o.To = with(base, "outcome", o.Name)
		}
		v.Outcomes = append(v.Outcomes, o)
	}
	return v, nil
}

func (c *Console) showPolicy(w http.ResponseWriter, a *ask, status int, o *inventory.OrganizationRow, f policyForm, v *foretold, conflict *crossed) error {
	var policies []authz.TokenPolicy
	if r := c.Policy.Ruleset(); r != nil {
		policies = r.Policies
	}
	now := c.Clock().UTC()
	c.show(w, a.Request, a, status, "policy", "Token policy of "+o.Name, map[string]any{
		"Organization": o, "Policies": policies, "Form": f, "Next": c.describe(o.NextTokenPolicy), "Chosen": c.describe(f.TokenPolicy), "Foretold": v, "Conflict": conflict,
		"Earliest": now.AddDate(0, 0, 1), "Latest": now.AddDate(0, 0, 90), "InAMonth": now.AddDate(0, 0, 30).Format(time.DateOnly),
	})
	return nil
}

// setPolicy changes the policy, at once or at a date: what was previewed, and
// nothing else.
func (c *Console) setPolicy(w http.ResponseWriter, a *ask) error {
	if err := a.ParseForm(); err != nil {
		return &failure{http.StatusBadRequest, "That cannot be", "The form could not be read. Nothing was changed."}
	}
	o, err := c.Queries.Organization(a.Context(), a.organization)
	if err != nil {
		return err
	}
	if o.ManagedBy != "" {
		return &failure{http.StatusConflict, "Managed elsewhere", "The token policy of " + o.Name + " is managed by " + o.ManagedBy + ". Nothing was changed."}
	}
	f := readPolicyForm(a.PostForm)
	cmd := f.command(o)
	if len(f.Problem) > 0 {
		return c.showPolicy(w, a, http.StatusUnprocessableEntity, o, f, nil, nil)
	}
	if a.PostForm.Get("seen") != f.Key() || f.Version <= 0 {
		http.Redirect(w, a.Request, at(o.Name, "policy")+"?"+f.Key(), http.StatusSeeOther)
		return nil
	}
	_, err = c.Commands.Do(a.Context(), a.caller.actor(a.organization), inventory.IfVersion{Version: f.Version, Command: cmd})
	var stale *inventory.Stale
	if errors.As(err, &stale) { // it does something else now: it is previewed anew
		if o, err = c.Queries.Organization(a.Context(), a.organization); err != nil {
			return err
		}
		return c.showPolicy(w, a, http.StatusConflict, o, f, nil, c.onOrganization(a, "The organization "+o.Name+" has changed"))
	}
	var invalid *inventory.Invalid
	if errors.As(err, &invalid) {
		f.wrong(invalid)
		return c.showPolicy(w, a, http.StatusUnprocessableEntity, o, f, nil, nil)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, a.Request, at(o.Name, "policy")+"?done=policy", http.StatusSeeOther)
	return nil
}
