package console

import (
	"errors"
	"net/http"
	"reflect"
	"slices"
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
	// Again is Reviewed for the token as it stands now, where it can be decided on
	// after all; Crossed is what others did.
	Again   string
	Crossed *crossed
}

// group reads the tokens that a form names.
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
		out[i] = member{Row: row, Reviewed: text, Version: version, Request: parts[2]}
	}
	return out, nil
}

// same says whether tokens ask for the same: then what is ticked for one is ticked
// for all.
func same(members []member) bool {
	first := members[0].Row
	return !slices.ContainsFunc(members, func(m member) bool {
		return m.Row.Owner != first.Owner || m.Row.Kind != first.Kind || !reflect.DeepEqual(m.Row.Grants, first.Grants)
	})
}

// reviewGroup names the tokens that would be decided on together, with what was
// typed already, where it was. It changes nothing.
func (c *Console) reviewGroup(w http.ResponseWriter, a *ask) error {
	members, err := c.group(a)
	if err != nil {
		return err
	}
	if !same(members) {
		return &failure{http.StatusConflict, "They ask for different things", "The tokens do not ask for the same any more: look at each. Nothing was changed."}
	}
	f := beginAll(members, a.caller.actor(a.organization))
	if a.PostForm.Has("until") {
		f = readForm(a)
	}
	c.showGroup(w, a, http.StatusOK, members, f)
	return nil
}

// beginAll is the form for several, as it is shown first: what would be proposed
// for each, if that is the same for all.
func beginAll(members []member, who inventory.Actor) form {
	f := begin(members[0].Row, who)
	for _, m := range members {
		if g := begin(m.Row, who); g.Until != f.Until || !reflect.DeepEqual(g.Chosen, f.Chosen) {
			return form{Until: proposed(members[0].Row), Problem: map[string]string{}}
		}
	}
	return form{Until: f.Until, Chosen: f.Chosen, Problem: map[string]string{}}
}

func (c *Console) showGroup(w http.ResponseWriter, a *ask, status int, members []member, f form) {
	c.show(w, a.Request, a, status, "reviewgroup", "Review "+strconv.Itoa(len(members))+" "+plural(len(members), "token", "tokens"), map[string]any{
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
		if f.Decision == "approve" && len(f.Chosen) > 0 && len(f.grants(m.Row)) == 0 {
			m.Problem = "It does not ask for any of that: it has changed."
			c.again(a, m, nil)
			failed++
			continue
		}
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
			c.again(a, m, err)
			failed++
			continue
		}
		m.Came = came(f.Decision, &r)
		differ = differ || m.Came != members[0].Came
	}
	in := orderOf(a.URL.Query())
	body := map[string]any{"Members": members, "Failed": failed, "Kept": in.Kept(), "Form": f, "Again": toDecide(members)}
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

// again notes who did what to a token meanwhile, and whether it can be decided on
// as it stands now.
func (c *Console) again(a *ask, m *member, err error) {
	var conflict *inventory.Conflict
	if errors.As(err, &conflict) {
		if conflict.Token != nil {
			m.Row = conflict.Token
		}
		m.Crossed = c.onToken(a, m.Row, conflict, nil)
		m.Crossed.Changed = different(conflict.Differences)
	}
	if id := openRequest(m.Row); id != "" && (err == nil || conflict != nil) {
		m.Again = m.Row.ID + "/" + strconv.FormatInt(m.Row.Version, 10) + "/" + id
	}
}

// toDecide are the tokens on which nothing was done and which can be decided on
// together after all.
func toDecide(members []member) []string {
	var left []member
	var out []string
	for _, m := range members {
		if m.Again != "" {
			left, out = append(left, m), append(out, m.Again)
		}
	}
	if len(left) == 0 || !same(left) {
		return nil
	}
	return out
}
