package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
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
	on *inventory.TokenRow
	// may is what the caller may do on the page, and as a whole what they may on
	// the token in every organization.
	may, whole map[string]bool
}

// own finds a token, and what the caller may do about it; who may not see it gets
// the one answer.
func (c *Console) own(a *ask, organization string) (*ownToken, error) {
	row, err := c.Queries.Token(a.Context(), "", a.PathValue("id"))
	var missing *inventory.NotFound
	if errors.As(err, &missing) {
		return nil, noToken
	}
	if err != nil {
		return nil, err
	}
	t := &ownToken{TokenRow: row}
	if t.whole, err = c.Judge.MayOwn(a.Context(), a.caller, OwnedToken{Owner: row.Owner}); err != nil {
		return nil, c.unjudged(err)
	}
	t.may = t.whole
	if organization != "" {
		switch t.on, err = c.Queries.Token(a.Context(), organization, row.ID); {
		case errors.As(err, &missing):
			return nil, noToken
		case err != nil:
			return nil, err
		}
		roles, err := c.Queries.Roles(a.Context(), a.caller.Name)
		if err != nil {
			return nil, err
		}
		asked := OwnedToken{Owner: row.Owner, Organization: t.on.Organization, Responsible: t.on.Responsible, Member: roles[t.on.Organization] != ""}
		if t.may, err = c.Judge.MayOwn(a.Context(), a.caller, asked); err != nil {
			return nil, c.unjudged(err)
		}
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
			e.Words, e.Said, e.By = "", nil, named(e.By, a.caller.Name, false)
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

// mine lists the caller's own tokens.
func (c *Console) mine(w http.ResponseWriter, a *ask) error {
	rows, next, err := c.Queries.Tokens(a.Context(), "", inventory.TokenFilter{Owner: a.caller.Name}, inventory.Page{Limit: pageSize, Cursor: a.URL.Query().Get("cursor")})
	var missing *inventory.NotFound
	if err != nil && !errors.As(err, &missing) {
		return err
	}
	body := map[string]any{"Rows": rows, "OverSocket": a.caller.overSocket(), "Provider": c.Provider != nil}
	if body["Standings"], err = c.standings(a.Context(), rows); err != nil {
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
	may, err := c.Judge.MayOwn(a.Context(), a.caller, OwnedToken{Owner: account, Organization: organization, Responsible: responsible, Member: len(responsible) > 0})
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
	standings, err := c.standingsIn(a.Context(), organization, rows, preview.FewTries)
	if err != nil {
		return err
	}
	body := map[string]any{"Standings": standings, "Organization": organization, "Account": account, "Answers": len(responsible) > 0}
	if next != "" {
		body["Next"] = with(a.URL.Query(), "cursor", next)
	}
	c.show(w, a.Request, a, http.StatusOK, "account", "Tokens of "+account, body)
	return nil
}
