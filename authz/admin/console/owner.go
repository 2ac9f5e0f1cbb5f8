package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/patrol-authz/patrol/authz"
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
	organization, purpose := a.PostForm.Get("organization"), typed(a.PostForm, "purpose")
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

// NewSecret is a secret for a token: its digest, its end, and itself, to be
// shown once.
type NewSecret struct {
	Digest authz.Digest
	Last4  string
	Shown  string
}

// overlaps are how long an old secret may go on.
var overlaps = map[string]time.Duration{"none": 0, "1h": time.Hour, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour}

// rotate gives the caller's own token another secret, and shows it: once, and
// to its owner alone.
func (c *Console) rotate(w http.ResponseWriter, a *ask) error {
	if err := a.ParseForm(); err != nil {
		return &failure{http.StatusBadRequest, "That cannot be", "The form could not be read. Nothing was changed."}
	}
	whole, err := c.Queries.Token(a.Context(), "", a.PathValue("id"))
	if err != nil || whole.Owner != a.caller.Name {
		return noToken
	}
	overlap, ok := overlaps[a.PostForm.Get("overlap")]
	version, err := strconv.ParseInt(a.PostForm.Get("version"), 10, 64)
	if !ok || err != nil || version <= 0 {
		return &failure{http.StatusUnprocessableEntity, "That cannot be", "Choose how long the old secret goes on. Nothing was changed."}
	}
	secret := c.Secret()
	// Sent again, by a reload, it has another version: it is not rotated twice.
	r, err := c.Commands.Do(a.Context(), a.caller.actor(""), inventory.IfVersion{
		Version: version, Command: inventory.RotateToken{Token: whole.ID, Digest: secret.Digest, Last4: secret.Last4, Overlap: overlap},
	})
	if err != nil {
		return err
	}
	c.show(w, a.Request, a, http.StatusOK, "rotated", whole.DisplayName, map[string]any{"Token": r.Token, "Secret": secret.Shown, "Until": until(c.Clock(), overlap)})
	return nil
}

// until is when the old secret ends; zero where it has ended.
func until(now time.Time, overlap time.Duration) time.Time {
	if overlap == 0 {
		return time.Time{}
	}
	return now.Add(overlap)
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
