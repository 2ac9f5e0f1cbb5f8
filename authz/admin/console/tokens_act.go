package console

import (
	"context"
	"errors"
	"net/http"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// act is something that an administrator does with tokens.
type action struct {
	Name, Verb, Consequence, Done string
	Comment                       string // what the field for a word asks for
	command                       func(organization, token, comment string) inventory.Command
}

var actions = map[string]action{
	"suspend": {
		"suspend", "Suspend", "Stops now, can be resumed.", "suspended", "Why? The owner reads it.",
		func(o, t, comment string) inventory.Command {
			return inventory.SuspendToken{Organization: o, Token: t, Comment: comment}
		},
	},
	"resume": {
		"resume", "Resume", "Goes on as before.", "resumed", "A word to the owner.",
		func(o, t, comment string) inventory.Command {
			return inventory.ResumeToken{Organization: o, Token: t, Comment: comment}
		},
	},
	"revoke": {
		"revoke", "Revoke", "Ends for ever in this organization. Nothing brings it back.", "revoked", "Why? The owner reads it.",
		func(o, t, comment string) inventory.Command {
			return inventory.RevokeToken{Organization: o, Token: t, Comment: comment}
		},
	},
}

// mostAtOnce bounds how many tokens one form may act on.
const mostAtOnce = 100

func chosen(a *ask) (action, []string, error) {
	if err := a.ParseForm(); err != nil {
		return action{}, nil, &failure{http.StatusBadRequest, "That cannot be", "The form could not be read. Nothing was changed."}
	}
	what, ok := actions[a.PostForm.Get("action")]
	ids := a.PostForm["token"]
	switch {
	case !ok:
		return what, nil, &failure{http.StatusUnprocessableEntity, "That cannot be", "Choose what to do. Nothing was changed."}
	case len(ids) == 0:
		return what, nil, &failure{http.StatusUnprocessableEntity, "No token chosen", "Tick the tokens first. Nothing was changed."}
	case len(ids) > mostAtOnce:
		return what, nil, &failure{http.StatusUnprocessableEntity, "Too many at once", "At most 100 tokens at a time. Nothing was changed."}
	}
	return what, ids, nil
}

// confirm names the tokens before anything happens to them. It changes nothing.
func (c *Console) confirm(w http.ResponseWriter, a *ask) error {
	what, ids, err := chosen(a)
	if err != nil {
		return err
	}
	rows, err := c.named(a.Context(), a.organization, ids)
	if err != nil {
		return err
	}
	c.showConfirm(w, a, http.StatusOK, what, rows, "")
	return nil
}

func (c *Console) showConfirm(w http.ResponseWriter, a *ask, status int, what action, rows []*inventory.TokenRow, problem string) {
	c.show(w, a.Request, a, status, "confirm", what.Verb, map[string]any{
		"Action": what, "Rows": rows, "Comment": typed(a.PostForm, "comment"), "Problem": problem,
		"Kept": keptListing(a.URL.Query(), a.URL.Query().Has("list")), "Back": leads(a, a.PostForm["token"]),
	})
}

func (c *Console) named(ctx context.Context, organization string, ids []string) ([]*inventory.TokenRow, error) {
	var rows []*inventory.TokenRow
	for _, id := range ids {
		row, err := c.Queries.Token(ctx, organization, id)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// result is what came of an action on one token.
type result struct {
	Token   *inventory.TokenRow
	Problem string
}

// act does it, and shows what came of each where not all went well.
func (c *Console) act(w http.ResponseWriter, a *ask) error {
	what, ids, err := chosen(a)
	if err != nil {
		return err
	}
	rows, err := c.named(a.Context(), a.organization, ids)
	if err != nil {
		return err
	}
	failed := 0
	results := make([]result, len(rows))
	for i, row := range rows {
		results[i].Token = row
		_, err := c.Commands.Do(a.Context(), a.caller.actor(a.organization), what.command(a.organization, row.ID, typed(a.PostForm, "comment")))
		var invalid *inventory.Invalid
		if i == 0 && errors.As(err, &invalid) { // it is the form that is wrong: nothing was done yet
			c.showConfirm(w, a, http.StatusUnprocessableEntity, what, rows, "This "+invalid.Problem+".")
			return nil
		}
		if err != nil {
			results[i].Problem = c.problem(err)
			failed++
		}
	}
	if failed > 0 {
		c.show(w, a.Request, a, http.StatusConflict, "results", what.Verb, map[string]any{"Action": what, "Results": results, "Failed": failed, "Back": leads(a, ids)})
		return nil
	}
	word := what.Done
	if len(ids) > 1 {
		word = "all-" + word
	}
	http.Redirect(w, a.Request, withDone(leads(a, ids), word), http.StatusSeeOther)
	return nil
}

// problem is what became of one of several, in a sentence.
func (c *Console) problem(err error) string {
	var conflict *inventory.Conflict
	if errors.As(err, &conflict) && conflict.Problem != "" {
		return sentence(conflict.Problem)
	}
	return c.explain(err).Text
}
