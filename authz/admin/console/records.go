package console

import (
	"net/http"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// members lists who belongs to the organization.
func (c *Console) members(w http.ResponseWriter, a *ask) error {
	rows, next, err := c.Queries.Members(a.Context(), a.organization, inventory.Page{Limit: pageSize, Cursor: a.URL.Query().Get("cursor")})
	if err != nil {
		return err
	}
	body := map[string]any{"Rows": rows}
	if next != "" {
		body["Next"] = with(a.URL.Query(), "cursor", next)
	}
	c.show(w, a.Request, a, http.StatusOK, "members", "Members of "+a.organization, body)
	return nil
}

// audit lists what was done, the newest first.
func (c *Console) audit(w http.ResponseWriter, a *ask) error {
	rows, next, err := c.Queries.Audit(a.Context(), a.organization, inventory.Page{Limit: pageSize, Cursor: a.URL.Query().Get("cursor")})
	if err != nil {
		return err
	}
	body := map[string]any{"Rows": rows}
	if next != "" {
		body["Next"] = with(a.URL.Query(), "cursor", next)
	}
	c.show(w, a.Request, a, http.StatusOK, "audit", "Audit of "+a.organization, body)
	return nil
}

// bundles shows what is active and what was refused.
func (c *Console) bundles(w http.ResponseWriter, a *ask) error {
	body := map[string]any{"Sources": c.Policy.Sources()}
	if r := c.Policy.Ruleset(); r != nil {
		body["Active"] = r
	}
	replicas, err := c.Reports.Replicas(a.Context())
	if err != nil {
		return err
	}
	body["Replicas"] = replicas
	c.show(w, a.Request, a, http.StatusOK, "bundles", "Bundles", body)
	return nil
}
