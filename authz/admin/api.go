package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Commands carries out changes. When Do returns without an error, the change
// is on the disk and in force on this server.
type Commands interface {
	Do(context.Context, inventory.Actor, inventory.Command) (inventory.Result, error)
	// Check says what is wrong with a change, and makes none.
	Check(context.Context, inventory.Actor, inventory.Command) error
}

// Queries reads the inventory; next is the cursor of the page that follows.
type Queries interface {
	Organizations(context.Context, inventory.Page) (rows []inventory.OrganizationRow, next string, err error)
	Organization(ctx context.Context, name string) (*inventory.OrganizationRow, error)
	Tokens(ctx context.Context, organization string, f inventory.TokenFilter, p inventory.Page) (rows []inventory.TokenRow, next string, err error)
	Token(ctx context.Context, organization, id string) (*inventory.TokenRow, error)
	// FindToken finds a token by the digest of its secret; former says that it was
	// rotated away.
	FindToken(ctx context.Context, d authz.Digest) (row *inventory.TokenRow, former bool, err error)
	Member(ctx context.Context, organization, user string) (*inventory.MemberRow, error)
	// FindMembers and FindAudit list what a filter lets through.
	FindMembers(ctx context.Context, organization string, f inventory.MemberFilter, p inventory.Page) (rows []inventory.MemberRow, next string, err error)
	FindAudit(ctx context.Context, organization string, f inventory.AuditFilter, p inventory.Page) (rows []inventory.AuditRow, next string, err error)
	ApprovalPages
}

// Policy tells of the active bundle.
type Policy interface {
	Ruleset() *authz.Ruleset
	// Bundles returns the status of each bundle, to be shown as JSON.
	Bundles() any
	// Routes returns the route table in the order in which it is tried.
	Routes() any
}

// Membership is an organization that a user belongs to, and as what.
type Membership struct {
	Organization *authz.Organization
	Role         string
}

// Decider decides on the tokens of callers, through the same pipeline as on
// those of requests: on a route that an operation names. ExplainOn opens, counts
// and records nothing.
type Decider interface {
	DecideOn(context.Context, authz.Request, *authz.Route) *authz.Outcome
	ExplainOn(context.Context, authz.Request, *authz.Route) *authz.Outcome
	// Memberships lists the organizations of a user, by the user's id.
	Memberships(user string) []Membership
}

// Explainer decides a request without opening, counting or mailing.
type Explainer interface {
	Explain(context.Context, authz.Request) *authz.Outcome
	// Input shows the facts as Rego saw them; credentials are redacted.
	Input(*authz.Facts) (map[string]any, error)
	// Sentence is what the client would be told.
	Sentence(*authz.Outcome) string
}

// Digester turns secrets into the digests under which they are stored.
type Digester interface {
	Secret(credential.Secret) authz.Digest
	SHA256([32]byte) authz.Digest
}

// Options of the API; all are required but Replays, SystemOwners and Log.
type Options struct {
	Commands  Commands
	Queries   Queries
	Policy    Policy
	Explainer Explainer
	Refusals  Refusals
	Usage     Usage
	Decider   Decider
	Previews  Previews
	Digester  Digester
	// Notifications are what people are told.
	Notifications Notifications
	// Logins makes links to the console; may be nil.
	Logins Logins
	// Replays keep answers for requests that come again; nil keeps none.
	Replays Replays
	Version string
	// Instance is the server as the listing of replicas names it: its host and its
	// id there.
	Instance inventory.ReplicaRow
	// SystemOwners are users whose tokens may be an operator's.
	SystemOwners []string
	// Bundles are this server's; nil: they cannot be acted on.
	Bundles Bundles
	// Upkeep serves the audit's chain and backups; nil: neither.
	Upkeep Upkeep
	// Log takes what failed here and is no fault of who asked; default: nowhere.
	Log *slog.Logger
}

// Handler serves the API. A request with a credential is its token's; one
// without is whoever [WithActor] says, or nobody's.
func Handler(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	config := huma.DefaultConfig("patrol", o.Version)
	config.CreateHooks = nil // no $schema in answers
	config.RejectUnknownQueryParameters = true
	config.DocsPath = ""
	config.OpenAPIPath = "/api/openapi"
	config.SchemasPath = ""
	config.Transformers = append(config.Transformers, withRequestID, remember)
	installErrors()
	api := &service{Options: o, API: humago.New(mux, config)}
	if o.Replays != nil {
		api.replays = &unsettled{Replays: o.Replays}
	}
	api.UseMiddleware(api.guard, api.idempotent)
	api.organizations()
	api.members()
	api.tokens()
	api.bulk()
	api.approvals()
	api.review()
	api.rotation()
	api.settings()
	api.previews()
	api.audit()
	api.upkeep()
	api.policies()
	if o.Bundles != nil {
		api.bundles()
	}
	api.check()
	api.logins()
	api.notifications()
	api.refusals()
	api.decisions()
	api.usage()
	return identified(mux, o.Log)
}

// service registers the operations.
type service struct {
	Options
	huma.API
	replays *unsettled // nil: no answers are kept
}

// The greatest bodies, and how long reading one may take.
const (
	maxBody       = 1 << 20
	maxImport     = 64 << 20
	bodyTimeout   = 10 * time.Second
	importTimeout = 5 * time.Minute
)

// register adds an operation. Nothing changes on GET.
func register[I, O any](s *service, id, method, path, summary string, handle func(context.Context, *I) (*O, error)) {
	operate(s, huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, MaxBodyBytes: maxBody, BodyReadTimeout: bodyTimeout,
	}, handle)
}

func operate[I, O any](s *service, o huma.Operation, handle func(context.Context, *I) (*O, error)) {
	o.Extensions = map[string]any{"x-patrol-access": accessOf(o.OperationID)}
	if o.Method != http.MethodGet {
		o.Parameters = append(o.Parameters, idempotencyKey)
	}
	huma.Register(s.API, o, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			p := problem(err)
			if p.Status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
				s.Log.Error("the admin API failed", "operation", o.OperationID, "request_id", requestOf(ctx).id, "error", err)
			}
			return nil, p
		}
		return out, nil
	})
}

// body is an answer with a JSON body.
type body[T any] struct {
	Body T
}

// page is a listing's answer; Link (RFC 8288) leads to the next page.
type page[T any] struct {
	Link string `header:"Link"`
	Body []T
}

// Paging are a listing's parameters.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"Rows a page"`
	Cursor string `query:"cursor" maxLength:"1500" doc:"Where the page before ended, from its Link header"`
}

func (p Paging) page() inventory.Page { return inventory.Page{Limit: p.Limit, Cursor: p.Cursor} }

// listing is a page of rows. Its Link repeats the request's own filters.
func listing[T any](ctx context.Context, rows []T, next string) *page[T] {
	if rows == nil {
		rows = []T{}
	}
	out := &page[T]{Body: rows}
	if u := requestOf(ctx).url; u != nil && next != "" {
		out.Link = linkTo(u, next)
	}
	return out
}

// do carries out a command for whoever asks.
func (s *service) do(ctx context.Context, c inventory.Command) (inventory.Result, error) {
	a := actor(ctx)
	if a.Kind == "" {
		return inventory.Result{}, errNoActor
	}
	return s.Commands.Do(ctx, a, c)
}
