package console

import (
	"context"
	"net/http"
	"slices"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// members lists who belongs to the organization.
func (c *Console) members(w http.ResponseWriter, a *ask) error {
	rows, next, err := c.Queries.Members(a.Context(), a.organization, inventory.Page{Limit: pageSize, Cursor: a.URL.Query().Get("cursor")})
	if err != nil {
		return err
	}
	mute := 0
	for i := range rows {
		if rows[i].Email == "" {
			mute++
		}
	}
	body := map[string]any{"Rows": rows, "Mute": mute, "Links": c.PublicURL != ""}
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
	names, err := c.names(a.Context(), rows)
	if err != nil {
		return err
	}
	body := map[string]any{"Rows": c.entries(rows), "Names": names}
	if next != "" {
		body["Next"] = with(a.URL.Query(), "cursor", next)
	}
	c.show(w, a.Request, a, http.StatusOK, "audit", "Audit of "+a.organization, body)
	return nil
}

// names are the names of the tokens that entries of the audit log are about.
func (c *Console) names(ctx context.Context, rows []inventory.AuditRow) (map[string]inventory.TokenName, error) {
	var ids []string
	for i := range rows {
		if id := rows[i].Token; id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return c.Queries.TokenNames(ctx, ids)
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
