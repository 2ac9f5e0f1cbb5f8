package console

import (
	"context"
	"net/http"
	"net/url"
)

// What callers ask for.
const (
	seeTokens    = "tokens.read"
	reviewTokens = "tokens.review"
	changeTokens = "tokens.write"
	changePolicy = "policy.write"
	operate      = "operate"

	changeMembers = "members.write"
)

// What callers ask for on a token of theirs, or of an account that they answer
// for.
const (
	seeOwn    = "see"
	askForOwn = "ask"
	rotateOwn = "rotate"
	// seeNames: names of people in the organization are told; seeRefusals: so are
	// the requests with the token that were refused.
	seeNames    = "names"
	seeRefusals = "refusals"
)

// Roles that may see an organization's tokens.
const (
	roleAdmin    = "admin"
	roleReviewer = "reviewer"
)

// Judge says what a caller may do in an organization ("" for what concerns
// patrol as a whole); data.patrol.console does.
type Judge interface {
	May(ctx context.Context, caller *Caller, organization string) (map[string]bool, error)
	// MayOwn says what a caller may do on the owner's pages of a token.
	MayOwn(ctx context.Context, caller *Caller, t OwnedToken) (map[string]bool, error)
}

// OwnedToken is a token on an owner's page.
type OwnedToken struct {
	Owner string
	// Organization is the page's; "" for the token as a whole.
	Organization string
	// Responsible answer there for the owner, a service account.
	Responsible []string
	// Member: the caller is a member there.
	Member bool
}

// ask is a request on its way: who asks, and in which organization.
type ask struct {
	*http.Request
	caller       *Caller
	organization string
	may          map[string]bool
}

// handler answers a request, or says why not.
type handler func(w http.ResponseWriter, a *ask) error

func (c *Console) get(path, action string, h handler)  { c.handle("GET "+path, action, h) }
func (c *Console) post(path, action string, h handler) { c.handle("POST "+path, action, h) }

// open serves what nobody need be logged in for.
func (c *Console) open(pattern string, h http.HandlerFunc) {
	c.table = append(c.table, Route{Pattern: pattern, Open: true})
	c.mux.HandleFunc(pattern, h)
}

// maxForm bounds what a form may send.
const maxForm = 256 << 10

// handle judges before it answers. An organization that the caller may not see
// looks like one that does not exist.
func (c *Console) handle(pattern, action string, h handler) {
	c.table = append(c.table, Route{Pattern: pattern, Action: action})
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		caller, err := c.caller(r)
		if err != nil {
			c.fail(w, r, nil, c.explain(err))
			return
		}
		if caller == nil {
			c.strange(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		a := &ask{Request: r, caller: caller, organization: r.PathValue("organization")}
		if err := c.judge(a, action); err != nil {
			c.fail(w, r, a, c.explain(err))
			return
		}
		if err := h(w, a); err != nil {
			c.fail(w, r, a, c.explain(err))
		}
	})
}

func (c *Console) judge(a *ask, action string) error {
	may, err := c.Judge.May(a.Context(), a.caller, a.organization)
	if err != nil {
		return c.unjudged(err)
	}
	a.may = may
	switch {
	case action == "" || a.may[action]:
		return nil
	case a.organization != "" && a.may[seeTokens]:
		return &failure{http.StatusForbidden, "Not yours to do", "Your role in " + a.organization + " does not allow this."}
	}
	return &failure{http.StatusNotFound, "Not found", "There is nothing under this name, or it is not yours to see."}
}

func (c *Console) unjudged(err error) error {
	c.Log.Error("the console cannot judge a caller", "error", err)
	return &failure{http.StatusServiceUnavailable, "Not now", "Whether you may see this could not be judged: the policy could not be evaluated. Nothing was changed."}
}

// strange answers who is not logged in: a page to log in on, from which they
// come back. What was sent is not done, and what was typed is shown.
func (c *Console) strange(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	c.show(w, r, nil, http.StatusForbidden, "login", "Log in", map[string]any{
		"Provider": c.Provider != nil, "Next": from(r), "Lost": true, "Typed": lost(r),
	})
}

// from is the page on which a form stood, of this console, or "/".
func from(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || u.Host != r.Host {
		return "/"
	}
	return localPath(here(u))
}

// longest are the fields of forms into which people write more than a word.
var longest = []string{"reason", "comment", "text", "purpose", "answer"}

// lost are the texts of a form that nobody is logged in to send: they are shown
// once more, to be sent again.
func lost(r *http.Request) (texts []string) {
	if r.ParseForm() != nil {
		return nil
	}
	for _, field := range longest {
		if text := typed(r.PostForm, field); text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}
