package console

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// policyForm is a change of policy as it was typed.
type policyForm struct {
	TokenPolicy, When, Date, Enforcement string
	Problem                              map[string]string
}

// policy shows the policies with the table of their METADATA, and the form.
func (c *Console) policy(w http.ResponseWriter, a *ask) error {
	o, err := c.Queries.Organization(a.Context(), a.organization)
	if err != nil {
		return err
	}
	return c.showPolicy(w, a, http.StatusOK, o, policyForm{TokenPolicy: o.TokenPolicy, When: "now", Enforcement: o.Enforcement})
}

func (c *Console) showPolicy(w http.ResponseWriter, a *ask, status int, o *inventory.OrganizationRow, f policyForm) error {
	var policies []authz.TokenPolicy
	if r := c.Policy.Ruleset(); r != nil {
		policies = r.Policies
	}
	c.show(w, a.Request, a, status, "policy", "Token policy of "+o.Name, map[string]any{
		"Organization": o, "Policies": policies, "Form": f, "Next": c.describe(o.NextTokenPolicy),
		"Earliest": c.Clock().UTC().AddDate(0, 0, 1), "Latest": c.Clock().UTC().AddDate(0, 0, 90),
	})
	return nil
}

// setPolicy changes the policy, at once or at a date.
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
	p := a.PostForm
	f := policyForm{TokenPolicy: p.Get("token_policy"), When: p.Get("when"), Date: p.Get("date"), Enforcement: p.Get("enforcement"), Problem: map[string]string{}}
	cmd := inventory.SetPolicy{Organization: o.Name, TokenPolicy: f.TokenPolicy, Enforcement: f.Enforcement}
	switch f.When {
	case "now":
		if f.TokenPolicy == o.TokenPolicy && o.NextTokenPolicy != "" {
			cmd.TokenPolicy = "" // only the mode changes: the dated change stays
		}
	case "clear":
		cmd.TokenPolicy, cmd.ClearNext = "", true
	case "date":
		day, err := time.Parse(time.DateOnly, f.Date)
		if err != nil {
			f.Problem["enforce_at"] = "Write the day as 2027-01-31."
		}
		cmd.EnforceAt = day
	default:
		f.Problem["when"] = "Choose when."
	}
	if len(f.Problem) > 0 {
		return c.showPolicy(w, a, http.StatusUnprocessableEntity, o, f)
	}
	_, err = c.Commands.Do(a.Context(), a.caller.actor(a.organization), cmd)
	var invalid *inventory.Invalid
	if errors.As(err, &invalid) {
		f.Problem[invalid.Field] = strings.ToUpper(invalid.Problem[:1]) + invalid.Problem[1:] + "."
		return c.showPolicy(w, a, http.StatusUnprocessableEntity, o, f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, a.Request, at(o.Name, "policy")+"?done=policy", http.StatusSeeOther)
	return nil
}
