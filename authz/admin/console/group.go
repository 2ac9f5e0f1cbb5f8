package console

import (
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// member is one token of a group that is decided at once: as it was reviewed.
type member struct {
	Row *inventory.TokenRow
	// Reviewed is "token/version/request", as the form carries it.
	Reviewed string
	Version  int64
	Request  string
	// Problem is why nothing was done, or Came what the decision came to.
	Problem, Came string
}

// group reads the tokens that a form names. Their grants have to be the same:
// what is ticked for one is decided for all.
func (c *Console) group(a *ask) ([]member, error) {
	if err := a.ParseForm(); err != nil {
		return nil, &failure{http.StatusBadRequest, "That cannot be", "The form could not be read. Nothing was changed."}
	}
	reviewed := a.PostForm["reviewed"]
	switch {
	case len(reviewed) == 0:
		return nil, &failure{http.StatusUnprocessableEntity, "No token chosen", "Tick the tokens first. Nothing was changed."}
	case len(reviewed) > mostAtOnce:
		return nil, &failure{http.StatusUnprocessableEntity, "Too many at once", "At most 100 tokens at a time. Nothing was changed."}
	}
	out := make([]member, len(reviewed))
	for i, text := range reviewed {
		parts := strings.SplitN(text, "/", 3)
		version, err := strconv.ParseInt(strings.Join(parts[1:min(2, len(parts))], ""), 10, 64)
		if err != nil || len(parts) != 3 || version <= 0 {
			return nil, &failure{http.StatusUnprocessableEntity, "That cannot be", "The form says not which version was reviewed: open the page again. Nothing was changed."}
		}
		row, err := c.Queries.Token(a.Context(), a.organization, parts[0])
		if err != nil {
			return nil, err
		}
		if first := out[0].Row; i > 0 && (row.Owner != first.Owner || row.Kind != first.Kind || !reflect.DeepEqual(row.Grants, first.Grants)) {
			return nil, &failure{http.StatusConflict, "They have changed", "The tokens do not ask for the same any more. Nothing was changed; look again."}
		}
		out[i] = member{Row: row, Reviewed: text, Version: version, Request: parts[2]}
	}
	return out, nil
}

// reviewGroup names the tokens that would be decided on together. It changes
// nothing.
func (c *Console) reviewGroup(w http.ResponseWriter, a *ask) error {
	members, err := c.group(a)
	if err != nil {
		return err
	}
	c.showGroup(w, a, http.StatusOK, members, beginAll(members, a.caller.actor(a.organization)))
	return nil
}

// beginAll is the form for several, as it is shown first: what would be proposed
// for each, if that is the same for all.
func beginAll(members []member, who inventory.Actor) form {
	f := begin(members[0].Row, who)
	for _, m := range members {
		if g := begin(m.Row, who); g.Until != f.Until || !reflect.DeepEqual(g.Chosen, f.Chosen) {
			return form{Until: proposed(members[0].Row)}
		}
	}
	return form{Until: f.Until, Chosen: f.Chosen}
}

func (c *Console) showGroup(w http.ResponseWriter, a *ask, status int, members []member, f form) {
	c.show(w, a.Request, a, status, "reviewgroup", "Review "+strconv.Itoa(len(members))+" tokens", map[string]any{
		"Members": members, "First": members[0].Row, "Form": f, "Kept": orderOf(a.URL.Query()).Kept(),
	})
}

// decideGroup decides on each as it was reviewed, and shows what came of each
// where not all went well.
func (c *Console) decideGroup(w http.ResponseWriter, a *ask) error {
	members, err := c.group(a)
	if err != nil {
		return err
	}
	f := readForm(a)
	failed, differ := 0, false
	for i := range members {
		m := &members[i]
		f.Version, f.Request = m.Version, m.Request
		cmd, ok := c.decision(a, m.Row, &f)
		if !ok { // the same for all: nothing was done yet
			c.showGroup(w, a, http.StatusUnprocessableEntity, members, f)
			return nil
		}
		r, err := c.Commands.Do(a.Context(), a.caller.actor(a.organization), cmd)
		var invalid *inventory.Invalid
		if i == 0 && errors.As(err, &invalid) { // it is the form that is wrong: nothing was done yet
			f.wrong(invalid)
			c.showGroup(w, a, http.StatusUnprocessableEntity, members, f)
			return nil
		}
		if err != nil {
			m.Problem = c.problem(err)
			failed++
			continue
		}
		m.Came = came(f.Decision, &r)
		differ = differ || m.Came != members[0].Came
	}
	in := orderOf(a.URL.Query())
	body := map[string]any{"Members": members, "Failed": failed, "Kept": in.Kept()}
	switch {
	case failed > 0:
		c.show(w, a.Request, a, http.StatusConflict, "groupresults", "Not all of it worked", body)
	case differ: // some by a second person's vote, others by a first one's
		c.show(w, a.Request, a, http.StatusOK, "groupresults", "What came of it", body)
	default:
		http.Redirect(w, a.Request, at(a.organization, "review")+in.done(ofAll(members)), http.StatusSeeOther)
	}
	return nil
}

// ofAll is the word on what all came to.
func ofAll(members []member) string {
	if len(members) > 1 {
		return "all-" + members[0].Came
	}
	return members[0].Came
}
