package console

import (
	"errors"
	"net/http"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// reviewOne is one request, with all that a decision needs.
func (c *Console) reviewOne(w http.ResponseWriter, a *ask) error {
	row, err := c.Queries.Token(a.Context(), a.organization, a.PathValue("id"))
	if err != nil {
		return err
	}
	return c.showReview(w, a, http.StatusOK, row, begin(row, a.caller.actor(a.organization)), nil)
}

func (c *Console) showReview(w http.ResponseWriter, a *ask, status int, row *inventory.TokenRow, f form, conflict *crossed) error {
	waiting, _, err := c.Queries.Waiting(a.Context(), a.organization)
	if err != nil {
		return err
	}
	c.show(w, a.Request, a, status, "reviewone", "Review "+row.DisplayName, map[string]any{
		"Token": row, "Form": f, "Asked": compare(row), "Conflict": conflict, "Waiting": waiting,
		"Open": openRequest(row) != "", "Kept": orderOf(a.URL.Query()).Kept(), "Voted": votedOn(row, a.caller.actor(a.organization)), "Barred": c.barred(a, row.ID, row.Version),
	})
	return nil
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
	r, err := c.Commands.Do(a.Context(), a.caller.actor(a.organization), cmd)
	var (
		conflict  *inventory.Conflict
		invalid   *inventory.Invalid
		forbidden *inventory.Forbidden
	)
	switch {
	case errors.As(err, &forbidden): // the page says why
		return c.showReview(w, a, http.StatusForbidden, row, f, nil)
	case errors.As(err, &conflict):
		return c.reviewAgain(w, a, row, f, conflict)
	case errors.As(err, &invalid):
		f.wrong(invalid)
		return c.showReview(w, a, http.StatusUnprocessableEntity, row, f, nil)
	case err != nil:
		return err
	}
	http.Redirect(w, a.Request, c.after(a, row.ID, came(f.Decision, &r)), http.StatusSeeOther)
	return nil
}

// reviewAgain shows what others did meanwhile, and the form with what was typed,
// to go on with from how things stand now.
func (c *Console) reviewAgain(w http.ResponseWriter, a *ask, row *inventory.TokenRow, f form, conflict *inventory.Conflict) error {
	row, err := c.Queries.Token(a.Context(), a.organization, row.ID)
	if err != nil {
		return err
	}
	f.Version, f.Request = row.Version, openRequest(row)
	told := c.onToken(a, row, conflict, nil)
	if told.Changed = different(conflict.Differences); len(conflict.Differences) > 0 {
		told.Problem = "" // what is different says it
	}
	return c.showReview(w, a, http.StatusConflict, row, f, told)
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
	f := begin(row, a.caller.actor(a.organization))
	f.Text, f.Assignee = text, assignee
	var conflict *inventory.Conflict
	if errors.As(err, &conflict) {
		return c.reviewAgain(w, a, row, f, conflict)
	}
	var invalid *inventory.Invalid
	if errors.As(err, &invalid) {
		if a.PostForm.Get("talk") == "comment" { // which the form calls a text
			invalid = &inventory.Invalid{Field: "text", Problem: invalid.Problem}
		}
		f.wrong(invalid)
		return c.showReview(w, a, http.StatusUnprocessableEntity, row, f, nil)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, a.Request, at(a.organization, "review", row.ID)+orderOf(a.URL.Query()).done(word), http.StatusSeeOther)
	return nil
}
