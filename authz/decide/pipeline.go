package decide

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
)

// Policy gives the active ruleset; nil while there is no good bundle.
type Policy interface{ Ruleset() *authz.Ruleset }

// Inventory gives the present snapshot; nil before the first one was loaded.
type Inventory interface{ Snapshot() Snapshot }

// Snapshot is one consistent state of the inventory, in memory. Tokens and what
// holds of them are filled in where the caller keeps them.
type Snapshot interface {
	// Token fills in the token known by a digest, and says whether there is one.
	Token(authz.Digest, *authz.Token) bool
	// Former fills in the token that had a secret before it was rotated, and says
	// until when that one is accepted (zero: not at all) and whether there is one.
	Former(authz.Digest, *authz.Token) (until time.Time, known bool)
	// Organization returns an organization or user namespace by its name or
	// alias, case-folded, or nil.
	Organization(name string) *authz.Organization
	// Membership returns a user's membership, or nil. A user is administrator
	// of the own namespace.
	Membership(*authz.Organization, *authz.Owner) *authz.Membership
	// Access fills in what holds between a token and an organization.
	Access(*authz.Token, *authz.Organization, *authz.Access)
	// AsOf is when the inventory was last read with success.
	AsOf() time.Time
}

// Opener opens approval requests durably. It is idempotent.
type Opener interface {
	OpenRequest(ctx context.Context, token, organization string) (*authz.ApprovalRequest, error)
}

// Recorder takes note of every outcome. It must not block.
type Recorder interface{ Record(*authz.Outcome) }

// Digester turns a secret into the digest under which its token is known.
type Digester interface {
	Secret(credential.Secret) authz.Digest
}

// Sources know tokens that are made elsewhere. Their errors allow nothing; one
// that is no [*authz.Refusal] is told as policy_error.
type Sources interface {
	// Vouched says whether the proxy verified a token's claims, and which token
	// that is: nil where they are none that is taken.
	Vouched(context.Context, authz.Request) (present bool, token *authz.Claimed, err error)
	// Introspected returns the token behind a secret that the inventory does not
	// know; nil where nobody answers for such secrets, or it is none.
	Introspected(context.Context, credential.Secret) (*authz.Claimed, error)
	// Record makes the record of a token, or widens a known one, and returns when
	// it is in force here; false: it gets none.
	Record(ctx context.Context, token *authz.Claimed, known bool) (bool, error)
}

// Options of a Pipeline. Policy, Inventory and Digester are required.
type Options struct {
	Policy    Policy
	Inventory Inventory
	Digester  Digester
	Opener    Opener
	Recorder  Recorder
	Sources   Sources // may be nil
	// Credentials says which headers carry one.
	Credentials credential.Parser
	// MaxStaleness is how old facts may be; default 60 s.
	MaxStaleness time.Duration
	// OpenTimeout bounds how long a decision waits for an approval request to
	// be opened durably; default 50 ms. It goes on in the background.
	OpenTimeout time.Duration
	// TrustedHops is how many proxies before Envoy are believed in
	// X-Forwarded-For; default 0: the connection's own address.
	TrustedHops int
	// OwnTrustedHops is how many proxies are believed before patrol's own APIs,
	// whose requests come on a route that the caller names; default 0.
	OwnTrustedHops int
	// WarnBefore is how long before an end of a token or an approval the
	// client is warned; default 7 days.
	WarnBefore time.Duration
	Clock      func() time.Time
	// After waits, as [time.After] does, which is the default.
	After func(time.Duration) <-chan time.Time
}

// Pipeline decides requests. It is safe for concurrent use.
type Pipeline struct {
	Options
	opening *openings
	clients clients
}

// New makes a pipeline.
func New(o Options) *Pipeline {
	if o.MaxStaleness == 0 {
		o.MaxStaleness = time.Minute
	}
	if o.OpenTimeout == 0 {
		o.OpenTimeout = 50 * time.Millisecond
	}
	if o.WarnBefore == 0 {
		o.WarnBefore = 7 * 24 * time.Hour
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	return &Pipeline{Options: o, opening: newOpenings(&o)}
}

// Close waits for approval requests that are still being opened.
func (p *Pipeline) Close() { p.opening.close() }

// Decide decides a request. It never returns nil and never panics.
func (p *Pipeline) Decide(ctx context.Context, r authz.Request) *authz.Outcome {
	return p.decide(ctx, r, nil, true)
}

// Begin looks at a request up to its facts. What it returns is evaluated, and then
// told, once each: together that is [Pipeline.Decide], which a caller of many
// requests may do step by step.
func (p *Pipeline) Begin(ctx context.Context, r authz.Request) authz.Deciding {
	run := p.start(r)
	run.real = true
	run.begin(ctx)
	return run
}

// Explain decides as [Pipeline.Decide] does, but opens, counts and records
// nothing.
func (p *Pipeline) Explain(ctx context.Context, r authz.Request) *authz.Outcome {
	return p.decide(ctx, r, nil, false)
}

// DecideOn decides as [Pipeline.Decide] does, on a route that the caller names:
// the admin API's operations are in no route table.
func (p *Pipeline) DecideOn(ctx context.Context, r authz.Request, route *authz.Route) *authz.Outcome {
	return p.decide(ctx, r, route, true)
}

// ExplainOn is [Pipeline.DecideOn] as [Pipeline.Explain] would do it.
func (p *Pipeline) ExplainOn(ctx context.Context, r authz.Request, route *authz.Route) *authz.Outcome {
	return p.decide(ctx, r, route, false)
}

// Refuse is the outcome of a request that cannot be looked at at all.
func (p *Pipeline) Refuse(_ context.Context, reason, detail string) *authz.Outcome {
	run := p.start(nil)
	run.refuse(&authz.Refusal{Reason: reason, Detail: detail})
	run.finish()
	p.record(run.out)
	return run.out
}

func (p *Pipeline) decide(ctx context.Context, r authz.Request, route *authz.Route, real bool) *authz.Outcome {
	run := p.start(r)
	run.real, run.route = real, route
	run.begin(ctx)
	run.Evaluate(ctx)
	return run.Outcome()
}

// begin gathers the facts.
func (r *run) begin(ctx context.Context) {
	defer r.guard()
	r.decide(ctx)
}

// Evaluate implements [authz.Deciding].
func (r *run) Evaluate(ctx context.Context) {
	defer r.guard()
	if all := r.found; all != nil {
		r.found = nil
		r.evaluate(ctx, all)
	}
}

// Outcome implements [authz.Deciding].
func (r *run) Outcome() *authz.Outcome {
	r.conclude()
	return r.out
}

func (r *run) conclude() {
	defer r.guard()
	r.finish()
	if r.real {
		r.record(r.out)
	}
}

// guard makes a refusal of a panic.
func (r *run) guard() {
	if cause := recover(); cause != nil {
		r.found, r.out.Decision = nil, authz.Decision{}
		r.fail(fmt.Errorf("panic while deciding: %v", cause))
	}
}

func (p *Pipeline) record(o *authz.Outcome) {
	if p.Recorder != nil {
		p.Recorder.Record(o)
	}
}

// run is one request on its way.
type run struct {
	*Pipeline
	out     *authz.Outcome // outcome, below
	started time.Time
	now     time.Time // the one clock reading, whole seconds
	rules   *authz.Ruleset
	real    bool
	route   *authz.Route // as the caller named it; nil: by the route table

	outcome authz.Outcome
	found   []*authz.Facts // to be evaluated
	base    authz.Facts
	shown   [1]string
	// formerUntil is when the secret that was sent ends to be accepted, where it
	// is the one before a rotation.
	formerUntil time.Time
	// elsewhere: the token is one of another source, which says what it grants.
	elsewhere bool
}

func (p *Pipeline) start(r authz.Request) *run {
	started := p.Clock()
	id := newID(started)
	// The outcome, the facts on one organization and their list lie in one piece.
	run := &run{Pipeline: p, started: started, now: started.UTC().Truncate(time.Second), rules: p.Policy.Ruleset()}
	o := &run.outcome
	run.out = o
	o.DecisionID, o.RequestID, o.Request, o.Time = id, id, r, started
	if r != nil {
		if v, n := r.Header("x-request-id"); n == 1 && plainID(v) {
			o.RequestID = v
		}
	}
	if run.rules != nil {
		o.Revision = run.rules.Revision
	}
	return run
}

// plainID says whether a request id can be sent back and logged as it is.
func plainID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '-' && c != '_' && c != '.' && c != ':' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// decide walks the pipeline up to the facts.
func (r *run) decide(ctx context.Context) {
	if r.out.Request.Method() == "" || r.out.Request.Path() == "" {
		r.refuse(&authz.Refusal{Reason: authz.ReasonRequestMalformed, Detail: "the method or the path is missing"})
		return
	}
	if r.rules == nil || r.rules.Evaluator == nil || r.rules.Router == nil {
		r.fail(errors.New("no policy bundle is active"))
		return
	}
	route, err := r.route, error(nil)
	if route == nil {
		route, err = r.rules.Router.Route(r.out.Request)
	}
	if err != nil {
		r.refuse(err)
		return
	}
	if route != nil && route.Access == authz.AccessUnmanaged {
		// The credential of an unmanaged route is not looked at.
		r.found = []*authz.Facts{r.facts(route)}
		return
	}
	cred, err := r.Credentials.Parse(r.out.Request)
	if err == nil {
		_, query, _ := strings.Cut(r.out.Request.Path(), "?")
		if err = credential.CheckQuery(query); err != nil {
			r.leaked(query)
		}
	}
	if err != nil {
		r.refuse(err)
		return
	}
	claimed, err := r.claimed(ctx, &cred)
	if err != nil {
		r.refuse(err)
		return
	}
	facts, err := r.gather(ctx, route, cred, claimed)
	if err != nil {
		r.refuse(err)
		return
	}
	r.found = facts
}

func (r *run) facts(route *authz.Route) *authz.Facts {
	r.base = authz.Facts{Request: r.out.Request, Now: r.now, Client: r.client(), Route: route}
	return &r.base
}

// client tells the address from the connection or, where proxies are trusted,
// from X-Forwarded-For counted from the right.
func (r *run) client() authz.Client {
	address := r.out.Request.Source().Address
	trusted, own := r.TrustedHops, 1 // Envoy itself appended the last one: the connection's own address
	if r.route != nil {
		trusted, own = r.OwnTrustedHops, 0 // before patrol's own APIs there is no Envoy
		if address == "" {
			trusted = 0 // nor is there a proxy before their socket
		}
	}
	if trusted > 0 {
		if v, n := r.out.Request.Header("x-forwarded-for"); n > 0 {
			hops := strings.Split(v, ",")
			if at := len(hops) - own - trusted; at >= 0 {
				address = strings.TrimSpace(hops[at])
			}
		}
	}
	return r.clients.of(address)
}

// refuse answers before Rego.
func (r *run) refuse(err error) {
	var refusal *authz.Refusal
	if !errors.As(err, &refusal) {
		r.fail(err)
		return
	}
	if error(refusal) != err { //nolint:errorlint // what it is wrapped in is why
		r.out.Err = err
	}
	r.out.Decision = authz.Decision{
		Reason: refusal.Reason, Reasons: []string{refusal.Reason},
		Params: map[string]any{"detail": refusal.Detail},
	}
	r.out.Reason = authz.BuiltinReasons[refusal.Reason]
}

// fail answers policy_error; the cause is for the log.
func (r *run) fail(err error) {
	r.out.Err = err
	r.refuse(&authz.Refusal{Reason: authz.ReasonPolicyError})
}

func (r *run) finish() {
	if r.out.Reason == nil {
		r.out.Decision.Allowed = false
		r.fail(fmt.Errorf("the reason %q is not in the catalogue", r.out.Decision.Reason))
	}
	r.out.Duration = r.Clock().Sub(r.started)
}
