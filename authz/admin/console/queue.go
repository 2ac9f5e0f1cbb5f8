package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// order is how somebody goes through the queue: "", the oldest first, or
// inventory's "risk". The pages that they come by keep it in their addresses.
type order string

const byRisk order = "risk"

func orderOf(q url.Values) order {
	if q.Get("sort") == string(byRisk) {
		return byRisk
	}
	return ""
}

// Kept is the order as the end of an address.
func (o order) Kept() string { return o.done("") }

// done is the order as the end of an address, with a word on what was done.
func (o order) done(word string) string {
	q := url.Values{}
	if o != "" {
		q.Set("sort", string(o))
	}
	if word != "" {
		q.Set("done", word)
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// group is open requests that ask for the same, of the same owner.
type group struct {
	Rows   []inventory.ApprovalRow
	Grants []authz.Grant
	// Voted says that the caller has approved each: others have to.
	Voted bool
}

// review is the queue: the oldest or the riskiest first, equal requests of one owner together.
func (c *Console) review(w http.ResponseWriter, a *ask) error {
	in := orderOf(a.URL.Query())
	f := inventory.ApprovalFilter{Status: authz.RequestOpen, Sort: string(in)}
	rows, next, err := c.Queries.FindApprovals(a.Context(), a.organization, f, inventory.Page{Limit: mostAtOnce, Cursor: a.URL.Query().Get("cursor")})
	if err != nil {
		return err
	}
	body := map[string]any{
		"Groups": groups(rows, a.caller.actor(a.organization)), "Count": len(rows), "Risk": in == byRisk, "Kept": in.Kept(),
		"Part": next != "" || a.URL.Query().Get("cursor") != "",
	}
	if next != "" {
		body["Next"] = with(a.URL.Query(), "cursor", next)
	}
	c.show(w, a.Request, a, http.StatusOK, "review", "Review", body)
	return nil
}

func groups(rows []inventory.ApprovalRow, who inventory.Actor) []group {
	var out []group
	at := map[string]int{}
	for _, r := range rows {
		grants, err := json.Marshal(r.Grants)
		if err != nil {
			grants = []byte(r.ID)
		}
		key := r.Owner + "\x00" + string(grants)
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, group{Grants: r.Grants, Voted: true})
		}
		own, _ := votes(&r, who)
		out[i].Voted = out[i].Voted && own != nil
		out[i].Rows = append(out[i].Rows, r)
	}
	return out
}

// onceLooked is how many requests are looked at at once for the next to open.
const onceLooked = 20

// after is the page behind a decision: the next request that waits for a word of
// the caller's, in the order in which they go through the queue, or the queue.
func (c *Console) after(a *ask, decided, word string) string {
	in, who, open := orderOf(a.URL.Query()), a.caller.actor(a.organization), false
	queue := at(a.organization, "review")
	f, p := inventory.ApprovalFilter{Status: authz.RequestOpen, Sort: string(in)}, inventory.Page{Limit: onceLooked}
	for end := time.Now().Add(patience); ; {
		rows, next, err := c.Queries.FindApprovals(a.Context(), a.organization, f, p)
		if err != nil { // what was decided is decided: the queue says what is wrong
			return queue + in.done(word)
		}
		for i := range rows {
			own, _ := votes(&rows[i], who)
			open = open || rows[i].Token != decided || word == didVote || word == didDiffer
			if rows[i].Token != decided && own == nil && c.barred(a, rows[i].Token, rows[i].Version) == "" {
				return at(a.organization, "review", rows[i].Token) + in.done(word)
			}
		}
		switch {
		case next == "" && !open:
			return queue + in.done("last")
		case next == "" || time.Now().After(end):
			return queue + in.done(word)
		}
		p.Cursor = next
	}
}

// barred says why the caller may not decide on a token, for example because it
// is their own; "" where they may.
func (c *Console) barred(a *ask, token string, version int64) string {
	err := c.Commands.Check(a.Context(), a.caller.actor(a.organization), inventory.Approve{Organization: a.organization, Token: token, Version: version})
	var forbidden *inventory.Forbidden
	if errors.As(err, &forbidden) {
		return sentence(forbidden.Problem)
	}
	return "" // what else is wrong, the form says when it is sent
}
