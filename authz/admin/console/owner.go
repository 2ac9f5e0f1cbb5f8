package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// noToken is the one answer to whom a token is no business of: whether it
// exists is not told.
var noToken = &failure{http.StatusNotFound, "Not yours", "There is no such token, or it belongs to somebody else. Log in as its owner."}

// owned is a token as its owner sees it: what happened to it in an
// organization, and who can help. The link in a denial leads here.
func (c *Console) owned(w http.ResponseWriter, a *ask) error {
	return c.showOwned(w, a, http.StatusOK, a.URL.Query().Get("organization"), "", "")
}

// askAgain tells what a token is for, or asks for it anew.
func (c *Console) askAgain(w http.ResponseWriter, a *ask) error {
	if err := a.ParseForm(); err != nil {
		return &failure{http.StatusBadRequest, "That cannot be", "The form could not be read. Nothing was changed."}
	}
	organization, purpose := a.PostForm.Get("organization"), strings.TrimSpace(a.PostForm.Get("purpose"))
	whole, err := c.Queries.Token(a.Context(), "", a.PathValue("id"))
	if err != nil || whole.Owner != a.caller.Name {
		return noToken
	}
	_, err = c.Commands.Do(a.Context(), a.caller.actor(organization), inventory.AskAgain{Organization: organization, Token: whole.ID, Purpose: purpose})
	var invalid *inventory.Invalid
	var conflict *inventory.Conflict
	switch {
	case errors.As(err, &invalid):
		return c.showOwned(w, a, http.StatusUnprocessableEntity, organization, purpose, "The purpose "+invalid.Problem+".")
	case errors.As(err, &conflict):
		return c.showOwned(w, a, http.StatusConflict, organization, purpose, conflict.Problem)
	case err != nil:
		return err
	}
	http.Redirect(w, a.Request, "/tokens/"+url.PathEscape(whole.ID)+"?organization="+url.QueryEscape(organization)+"&done=told", http.StatusSeeOther)
	return nil
}

func (c *Console) showOwned(w http.ResponseWriter, a *ask, status int, organization, purpose, problem string) error {
	whole, err := c.Queries.Token(a.Context(), "", a.PathValue("id"))
	var missing *inventory.NotFound
	if errors.As(err, &missing) {
		return noToken
	}
	if err != nil {
		return err
	}
	if whole.Owner != a.caller.Name && !a.caller.Operator {
		return noToken
	}
	body := map[string]any{"Token": whole, "Purpose": purpose, "Problem": problem, "Own": whole.Owner == a.caller.Name}
	if organization != "" {
		row, err := c.Queries.Token(a.Context(), organization, whole.ID)
		switch {
		case errors.As(err, &missing):
			return noToken
		case err != nil:
			return err
		}
		body["Row"], body["Asked"] = row, compare(row)
		helpers, err := c.helpers(a, organization)
		if err != nil {
			return err
		}
		body["Helpers"] = helpers
	}
	c.show(w, a.Request, a, status, "owned", whole.DisplayName, body)
	return nil
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

// mine lists the caller's own tokens.
func (c *Console) mine(w http.ResponseWriter, a *ask) error {
	rows, next, err := c.Queries.Tokens(a.Context(), "", inventory.TokenFilter{Owner: a.caller.Name}, inventory.Page{Limit: pageSize, Cursor: a.URL.Query().Get("cursor")})
	var missing *inventory.NotFound
	if err != nil && !errors.As(err, &missing) {
		return err
	}
	body := map[string]any{"Rows": rows}
	if next != "" {
		body["Next"] = with(a.URL.Query(), "cursor", next)
	}
	c.show(w, a.Request, a, http.StatusOK, "mine", "My tokens", body)
	return nil
}
