package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/usage"
)

// noToken is the one answer to whom a token is no business of: whether it
// exists is not told.
var noToken = &failure{http.StatusNotFound, "Not yours", "There is no such token, or it belongs to somebody else. Log in as its owner."}

// ownToken is a token that a caller may see as its owner does: it is theirs, or of
// a service account that they answer for in the organization of the page.
type ownToken struct {
	*inventory.TokenRow
	// on is the token as the organization sees it; nil where the page is of none.
	on  *inventory.TokenRow
	may map[string]bool
	// whole says that the caller may see it in every organization.
	whole bool
}

// own finds a token, and what the caller may do about it; who may not see it gets
// the one answer.
func (c *Console) own(a *ask, organization string) (*ownToken, error) {
	whole, err := c.Queries.Token(a.Context(), "", a.PathValue("id"))
	var missing *inventory.NotFound
	if errors.As(err, &missing) {
		return nil, noToken
	}
	if err != nil {
		return nil, err
	}
	t := &ownToken{TokenRow: whole}
	everywhere, err := c.Judge.MayOwn(a.Context(), a.caller, whole.Owner, nil)
	if err != nil {
		return nil, c.unjudged(err)
	}
	t.whole = everywhere[seeOwn]
	var responsible []string
	if organization != "" {
		switch t.on, err = c.Queries.Token(a.Context(), organization, whole.ID); {
		case errors.As(err, &missing):
			return nil, noToken
		case err != nil:
			return nil, err
		}
		responsible = t.on.Responsible
	}
	if t.may, err = c.Judge.MayOwn(a.Context(), a.caller, whole.Owner, responsible); err != nil {
		return nil, c.unjudged(err)
	}
	if !t.may[seeOwn] {
		return nil, noToken
	}
	return t, nil
}

// owned is a token as its owner sees it: what happened to it in an
// organization, and who can help. The link in a denial leads here. Without an
// organization it is the one where there is one, else the choice.
func (c *Console) owned(w http.ResponseWriter, a *ask) error {
	return c.showOwned(w, a, http.StatusOK, a.URL.Query().Get("organization"), said{})
}

// said is what somebody typed, and what is wrong with it.
type said struct {
	Purpose, PurposeProblem, Answer, AnswerProblem string

	Conflict *crossed // what somebody else did meanwhile
}

// askAgain tells what a token is for, or asks for it anew.
func (c *Console) askAgain(w http.ResponseWriter, a *ask) error {
	return c.say(w, a, "purpose", func(organization, token, text string) inventory.Command {
		return inventory.AskAgain{Organization: organization, Token: token, Purpose: text}
	}, func(text, problem string) said { return said{Purpose: text, PurposeProblem: problem} })
}

// answer answers a question of the administrators.
func (c *Console) answer(w http.ResponseWriter, a *ask) error {
	return c.say(w, a, "answer", func(organization, token, text string) inventory.Command {
		return inventory.CommentRequest{Organization: organization, Token: token, Comment: text}
	}, func(text, problem string) said { return said{Answer: text, AnswerProblem: problem} })
}

// say tells the administrators what was typed into a field; what is wrong with
// it is shown beside it.
func (c *Console) say(w http.ResponseWriter, a *ask, field string, command func(organization, token, text string) inventory.Command, again func(text, problem string) said) error {
	if err := a.ParseForm(); err != nil {
		return &failure{http.StatusBadRequest, "That cannot be", "The form could not be read. Nothing was changed."}
	}
	organization, text := a.PostForm.Get("organization"), typed(a.PostForm, field)
	t, err := c.own(a, organization)
	if err != nil {
		return err
	}
	if !t.may[askForOwn] {
		return noToken
	}
	_, err = c.Commands.Do(a.Context(), a.caller.actor(organization), command(organization, t.ID, text))
	var invalid *inventory.Invalid
	var conflict *inventory.Conflict
	switch {
	case errors.As(err, &invalid):
		return c.showOwned(w, a, http.StatusUnprocessableEntity, organization, again(text, "The "+field+" "+invalid.Problem+"."))
	case errors.As(err, &conflict):
		return c.showOwned(w, a, http.StatusConflict, organization, again(text, sentence(conflict.Problem)))
	case err != nil:
		return err
	}
	http.Redirect(w, a.Request, "/tokens/"+url.PathEscape(t.ID)+"?organization="+url.QueryEscape(organization)+"&done=told", http.StatusSeeOther)
	return nil
}

func (c *Console) showOwned(w http.ResponseWriter, a *ask, status int, organization string, words said) error {
	t, err := c.own(a, organization)
	if err != nil {
		return err
	}
	all, err := c.standings(a, t.Owner, []inventory.TokenRow{*t.TokenRow})
	if err != nil {
		return err
	}
	places := all[t.ID]
	if organization == "" && len(places) == 1 {
		organization = places[0].Row.Organization
		if t, err = c.own(a, organization); err != nil {
			return err
		}
	}
	body := map[string]any{"Token": t.TokenRow, "Said": words, "Conflict": words.Conflict, "MayOwn": t.may, "Theirs": t.Owner != a.caller.Name}
	if t.whole {
		body["Places"] = slices.DeleteFunc(places, func(s *standing) bool { return t.on != nil && s.Row.Organization == t.on.Organization })
	}
	if t.on != nil {
		if err := c.ownedIn(a, t, body); err != nil {
			return err
		}
	}
	c.show(w, a.Request, a, status, "owned", t.DisplayName, body)
	return nil
}

// ownedIn adds how a token stands in the organization of the page.
func (c *Console) ownedIn(a *ask, t *ownToken, body map[string]any) error {
	roles, err := c.Queries.Roles(a.Context(), t.Owner)
	if err != nil {
		return err
	}
	p, err := c.presently(a, t.on.Organization, roles)
	if err != nil {
		return err
	}
	s := stand(t.on, p)
	body["Row"], body["Asked"], body["Standing"], body["Member"] = t.on, compare(t.on), s, p.member
	named, err := c.tellsNames(a, t, p)
	if err != nil {
		return err
	}
	if named {
		body["Helpers"], err = c.helpers(a, t.on.Organization)
	} else {
		unnamed(s, a.caller.Name)
	}
	body["Thread"] = thread(s)
	return err
}

// tellsNames says whether the reader is told names of people in the organization of
// the page: who is no member is not.
func (c *Console) tellsNames(a *ask, t *ownToken, p *present) (bool, error) {
	if a.may[operate] {
		return true, nil
	}
	if a.caller.Name == t.Owner {
		return p.member, nil
	}
	roles, err := c.Queries.Roles(a.Context(), a.caller.Name)
	return roles[t.on.Organization] != "", err
}

// unnamed takes the names of others than the reader from what was asked and said.
func unnamed(s *standing, reader string) {
	if s.Row.Authorization == nil || s.Row.Authorization.Request == nil {
		return
	}
	notes := s.Row.Authorization.Request.Notes
	for i := range notes {
		switch {
		case notes[i].By == reader:
		case notes[i].Kind == "question":
			notes[i].By = "an administrator"
		default:
			notes[i].By = "who answers for it"
		}
	}
}

// thread is what the owner was asked and has said, but for the question that
// waits; what reviewers say among themselves is not for the owner.
func thread(s *standing) (out []inventory.Note) {
	if s.Row.Authorization == nil || s.Row.Authorization.Request == nil {
		return nil
	}
	notes := s.Row.Authorization.Request.Notes
	for i := range notes {
		n := &notes[i]
		if n != s.Asked && (n.Kind == "question" || n.Kind == "answer" || n.Kind == "purpose") {
			out = append(out, *n)
		}
	}
	return out
}

// anOperator is who is on the machine, for an owner.
const anOperator = "an operator"

// speaker is who said something, for an owner: who is on the machine has no name
// that says anything to them.
func speaker(name string) string {
	if strings.HasPrefix(name, "uid:") {
		return anOperator
	}
	return name
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

// ofTheWhole are the changes of a token that are of no organization.
var ofTheWhole = []string{"token.rotate", "token.update", "token.disable", "token.enable"}

// rotate gives the caller's own token another secret, and shows it: once, and
// to its owner alone.
func (c *Console) rotate(w http.ResponseWriter, a *ask) error {
	if err := a.ParseForm(); err != nil {
		return &failure{http.StatusBadRequest, "That cannot be", "The form could not be read. Nothing was changed."}
	}
	whole, err := c.own(a, "")
	if err != nil {
		return err
	}
	if !whole.may[rotateOwn] {
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
	var stale *inventory.Stale
	if errors.As(err, &stale) {
		told := c.onToken(a, whole.TokenRow, nil, func(e usage.Event) bool { return slices.Contains(ofTheWhole, e.What) })
		for i := range told.Events { // what others said is not all for the owner, nor are names: they may have left
			e := &told.Events[i]
			e.Words = ""
			if e.By = speaker(e.By); e.By != a.caller.Name && e.By != anOperator {
				e.By = ""
			}
		}
		return c.showOwned(w, a, http.StatusConflict, "", said{Conflict: told})
	}
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
	body := map[string]any{"Rows": rows, "OverSocket": a.caller.overSocket(), "Provider": c.Provider != nil}
	if body["Standings"], err = c.standings(a, a.caller.Name, rows); err != nil {
		return err
	}
	if next != "" {
		body["Next"] = with(a.URL.Query(), "cursor", next)
	}
	if body["Accounts"], err = c.Queries.AccountsOf(a.Context(), a.caller.Name); err != nil {
		return err
	}
	u, err := c.Queries.User(a.Context(), a.caller.Name)
	if err != nil {
		return err
	}
	body["Known"] = u != nil
	if u != nil && u.Email != "" && u.ConfirmedAt.IsZero() {
		body["Unconfirmed"] = u.Email
	}
	c.show(w, a.Request, a, http.StatusOK, "mine", "My tokens", body)
	return nil
}

// account lists the tokens, at an organization, of a service account that the
// caller answers for there.
func (c *Console) account(w http.ResponseWriter, a *ask) error {
	organization, account := a.PathValue("account_of"), a.PathValue("account")
	accounts, err := c.Queries.AccountsOf(a.Context(), a.caller.Name)
	if err != nil {
		return err
	}
	var responsible []string
	switch {
	case slices.Contains(accounts, inventory.Account{Organization: organization, User: account}):
		responsible = []string{a.caller.Name}
	case !a.may[operate]: // whether there is such an organization is not told
		return noToken
	}
	may, err := c.Judge.MayOwn(a.Context(), a.caller, account, responsible)
	if err != nil {
		return c.unjudged(err)
	}
	if !may[seeOwn] {
		return noToken
	}
	rows, next, err := c.Queries.Tokens(a.Context(), organization, inventory.TokenFilter{Owner: account, Status: "all"}, inventory.Page{Limit: pageSize, Cursor: a.URL.Query().Get("cursor")})
	var missing *inventory.NotFound
	if errors.As(err, &missing) {
		return noToken
	}
	if err != nil {
		return err
	}
	roles, err := c.Queries.Roles(a.Context(), account)
	if err != nil {
		return err
	}
	p, err := c.presently(a, organization, roles)
	if err != nil {
		return err
	}
	standings := make([]*standing, len(rows))
	for i := range rows {
		standings[i] = stand(&rows[i], p)
	}
	body := map[string]any{"Standings": standings, "Organization": organization, "Account": account, "Answers": len(responsible) > 0}
	if next != "" {
		body["Next"] = with(a.URL.Query(), "cursor", next)
	}
	c.show(w, a.Request, a, http.StatusOK, "account", "Tokens of "+account, body)
	return nil
}
