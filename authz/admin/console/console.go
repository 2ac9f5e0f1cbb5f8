package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Commands carries out changes; see package admin.
type Commands interface {
	Do(context.Context, inventory.Actor, inventory.Command) (inventory.Result, error)
	// Check says what is wrong with a command, and carries nothing out.
	Check(context.Context, inventory.Actor, inventory.Command) error
}

// Queries reads the inventory; next is the cursor of the page that follows.
type Queries interface {
	Organizations(context.Context, inventory.Page) (rows []inventory.OrganizationRow, next string, err error)
	Organization(ctx context.Context, name string) (*inventory.OrganizationRow, error)
	Members(ctx context.Context, organization string, p inventory.Page) (rows []inventory.MemberRow, next string, err error)
	Tokens(ctx context.Context, organization string, f inventory.TokenFilter, p inventory.Page) (rows []inventory.TokenRow, next string, err error)
	Token(ctx context.Context, organization, id string) (*inventory.TokenRow, error)
	// Reach returns tokens, by id, as each organization that lists them sees them.
	Reach(ctx context.Context, ids []string) ([]inventory.TokenRow, error)
	// Waiting counts the open requests, and says since when the oldest waits.
	Waiting(ctx context.Context, organization string) (n int64, oldest time.Time, err error)
	FindApprovals(ctx context.Context, organization string, f inventory.ApprovalFilter, p inventory.Page) (rows []inventory.ApprovalRow, next string, err error)
	// TokenNames are the names of tokens by their ids, of deleted ones too.
	TokenNames(ctx context.Context, ids []string) (map[string]inventory.TokenName, error)
	Audit(ctx context.Context, organization string, p inventory.Page) (rows []inventory.AuditRow, next string, err error)
	// Roles returns the organizations, by name, in which a user is a member,
	// with the present role.
	Roles(ctx context.Context, user string) (map[string]string, error)
	// AccountsOf returns the service accounts that a person answers for.
	AccountsOf(ctx context.Context, person string) ([]inventory.Account, error)
	// User returns a user by name; nil where there is none.
	User(ctx context.Context, name string) (*inventory.User, error)
}

// Policy tells of the active bundle.
type Policy interface {
	Ruleset() *authz.Ruleset
	// Sources tells of each bundle.
	Sources() []BundleSource
}

// BundleSource is one bundle as the console shows it.
type BundleSource struct {
	Name, Source, Root, Revision, Evaluator, Error string
	LastSuccess, LastAttempt                       *time.Time
	LastGood                                       bool
	ReplacedBy                                     string
	// Held says by what its source is passed over; "" where it counts.
	Held     string
	Warnings []string
}

// Options of the console. Commands, Queries, Reports, Policy, Previews, Standings,
// Refusals, Sessions, Judge and Links are required.
type Options struct {
	Commands Commands
	Queries  Queries
	Reports  Reports
	Policy   Policy
	Previews Previews
	// Standings judges how tokens stand, and Refusals finds what of them was
	// refused, for their owners.
	Standings Standings
	Refusals  Refusals
	Sessions  Sessions
	Judge     Judge
	// Links reads the links that confirm addresses.
	Links Links
	// Secret makes the secret of a token that is rotated.
	Secret func() NewSecret
	// PublicURL is where people reach the console; "" for loopback alone.
	PublicURL string
	// Provider logs people in by OpenID Connect; nil: only by patrol login.
	Provider *Provider
	// SessionFor is how long a session lasts; default 8 h.
	SessionFor time.Duration
	Version    string
	Clock      func() time.Time
	Log        *slog.Logger
}

// Console serves the pages.
type Console struct {
	Options
	pages  map[string]page
	links  *loginLinks
	hosts  map[string]bool
	mux    *http.ServeMux
	table  []Route
	counts keptCounts
}

// Route is a page, or an action.
type Route struct {
	// Pattern is that of [http.ServeMux].
	Pattern string
	// Action is what data.patrol.console is asked for; "" for what it judges by
	// itself, as a token's owner, or not at all, as logging in.
	Action string
	// Open says that nobody need be logged in.
	Open bool
}

// Routes are all that the console serves.
func (c *Console) Routes() []Route { return slices.Clone(c.table) }

// New parses the templates and makes the routes.
func New(o Options) (*Console, error) {
	if o.SessionFor == 0 {
		o.SessionFor = 8 * time.Hour
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	c := &Console{Options: o, pages: pages, links: newLoginLinks(o.Clock), hosts: map[string]bool{}, mux: http.NewServeMux(), counts: keptCounts{all: map[string]countsAt{}}}
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("public_url: %q is no address", o.PublicURL)
		}
		c.hosts[u.Host] = true
	}
	c.routes()
	return c, nil
}

func (c *Console) routes() {
	c.open("GET /static/", serveStatic().ServeHTTP)
	c.open("GET /login", c.loginPage)
	c.open("GET /login/link", c.linkPage)
	c.open("POST /login/link", c.linkLogin)
	c.open("GET /login/start", c.startLogin)
	c.open("GET /login/callback", c.finishLogin)
	c.open("POST /logout", c.logout)
	c.open("GET /confirm", c.addressPage)
	c.open("POST /confirm", c.confirmAddress)
	c.get("/{$}", "", c.home)
	c.get("/organizations/{organization}", seeTokens, c.overview)
	c.get("/organizations/{organization}/tokens", seeTokens, c.tokens)
	c.get("/organizations/{organization}/tokens/{id}", seeTokens, c.token)
	c.post("/organizations/{organization}/tokens/confirm", changeTokens, c.confirm)
	c.post("/organizations/{organization}/tokens/act", changeTokens, c.act)
	c.get("/organizations/{organization}/review", reviewTokens, c.review)
	c.post("/organizations/{organization}/review/group", reviewTokens, c.reviewGroup)
	c.post("/organizations/{organization}/review/group/decide", reviewTokens, c.decideGroup)
	c.get("/organizations/{organization}/review/{id}", reviewTokens, c.reviewOne)
	c.post("/organizations/{organization}/review/{id}", reviewTokens, c.decide)
	c.post("/organizations/{organization}/review/{id}/talk", reviewTokens, c.talk)
	c.get("/organizations/{organization}/policy", seeTokens, c.policy)
	c.post("/organizations/{organization}/policy", changePolicy, c.setPolicy)
	c.get("/organizations/{organization}/settings", seeTokens, c.settings)
	c.post("/organizations/{organization}/settings", changePolicy, c.setSettings)
	c.get("/organizations/{organization}/members", seeTokens, c.members)
	c.post("/organizations/{organization}/members/ask", changeMembers, c.askConfirmation)
	c.post("/organizations/{organization}/members/confirm", operate, c.confirmMember)
	c.get("/organizations/{organization}/audit", seeTokens, c.audit)
	c.get("/bundles", operate, c.bundles)
	c.get("/tokens/{id}", "", c.owned)
	c.post("/tokens/{id}/ask", "", c.askAgain)
	c.post("/tokens/{id}/answer", "", c.answer)
	c.post("/tokens/{id}/rotate", "", c.rotate)
	c.get("/me", "", c.mine)
	c.post("/me/address", "", c.askOwnConfirmation)
	c.get("/accounts/{account_of}/{account}", "", c.account)
}

// ServeHTTP answers. Requests for a host that is not the console's are refused,
// so that a name that was made to point here (DNS rebinding) reaches nothing.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Who reads slowly must not hold connections for ever; the server that
	// patrol serves the pages by bounds who sends slowly.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(30 * time.Second)) // where that cannot be had it is not a server's connection
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if !c.known(r.Host) {
		c.fail(w, r, nil, &failure{http.StatusMisdirectedRequest, "Not this address", "This console is not served under the name that was asked for; set public_url to it."})
		return
	}
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, nil, &failure{http.StatusForbidden, "Sent from elsewhere", "The form was sent by a page that is not this console's; nothing was changed."})
	}))
	protection.Handler(http.HandlerFunc(c.serve)).ServeHTTP(w, r)
}

func (c *Console) serve(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if broke := recover(); broke != nil {
			c.Log.Error("the console broke", "path", r.URL.Path, "panic", broke)
			c.fail(w, r, nil, &failure{http.StatusInternalServerError, "A mistake of ours", "The server made a mistake; its log tells more. Nothing was changed."})
		}
	}()
	if h, pattern := c.mux.Handler(r); pattern == "" {
		_ = h
		c.fail(w, r, nil, &failure{http.StatusNotFound, "Not found", "There is no such page."})
		return
	}
	c.mux.ServeHTTP(w, r)
}

// failure is a page that says what went wrong.
type failure struct {
	Status      int
	Title, Text string
}

func (f *failure) Error() string { return f.Title + ": " + f.Text }

// explain turns an error into a page. What is not the reader's business stays
// in the log.
func (c *Console) explain(err error) *failure {
	var (
		f        *failure
		missing  *inventory.NotFound
		invalid  *inventory.Invalid
		conflict *inventory.Conflict
		stale    *inventory.Stale
		barred   *inventory.Forbidden
		full     *inventory.Full
	)
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &missing):
		return &failure{http.StatusNotFound, "Not found", "There is nothing under this name, or it is not yours to see."}
	case errors.As(err, &invalid):
		return &failure{http.StatusUnprocessableEntity, "That cannot be", invalid.Field + " " + invalid.Problem + ". Nothing was changed."}
	case errors.As(err, &conflict):
		return &failure{http.StatusConflict, "It cannot be done now", sentence(conflict.Problem) + " Nothing was changed."}
	case errors.As(err, &stale):
		return &failure{http.StatusConflict, "The " + stale.What + " has changed", "It has changed since the page was opened. Nothing was changed; look again."}
	}
	if errors.As(err, &barred) {
		return &failure{http.StatusForbidden, "Not yours to do", sentence(barred.Problem) + " Nothing was changed."}
	}
	c.Log.Error("the console failed", "error", err)
	if errors.As(err, &full) {
		return &failure{http.StatusInsufficientStorage, "No room", "There is no room on the disk of the database. Nothing was changed."}
	}
	return &failure{http.StatusInternalServerError, "A mistake of ours", "The server could not do it; its log tells more. Nothing was changed."}
}
