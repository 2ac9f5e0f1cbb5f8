package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// The rules that judge callers.
const (
	judgeEntry    = "patrol/admin/decision"
	operatorEntry = "patrol/admin/operator"
)

// question is the input of data.patrol.admin. A member that is not known is
// absent, and never null.
type question struct {
	Operation    askedOperation `json:"operation"`
	Caller       askedCaller    `json:"caller"`
	Decision     askedDecision  `json:"decision"`
	Organization string         `json:"organization,omitempty"`
	// Target is the token that the operation is about.
	Target *askedTarget `json:"target,omitempty"`
	// Member is the user that the operation is about.
	Member string `json:"member,omitempty"`
	// Asked is what of the body matters.
	Asked map[string]any `json:"asked,omitempty"`
}

type askedOperation struct {
	ID string `json:"id"`
	access
	// Changes: it is no reading.
	Changes bool `json:"changes"`
}

type askedCaller struct {
	Kind  string `json:"kind"`
	Owner string `json:"owner"`
	// SystemOwner: the configuration names the owner among admin.system_owners.
	SystemOwner bool       `json:"system_owner"`
	Token       askedToken `json:"token"`
	// Approvals are those of the token in the organizations that it issues another
	// one for: one for each, also where nothing was approved.
	Approvals []askedApproval `json:"approvals,omitempty"`
}

// askedApproval says whether and when an approval ends; one that was not given
// does not.
type askedApproval struct {
	Organization string `json:"organization"`
	Ends         bool   `json:"ends"`
	ExpiresAt    string `json:"expires_at,omitempty"`
}

type askedToken struct {
	ID        string   `json:"id"`
	Kind      string   `json:"kind"`
	Source    string   `json:"source"`
	Global    []string `json:"global"`
	Ends      bool     `json:"ends"`
	ExpiresAt string   `json:"expires_at,omitempty"` // where it ends
}

// askedDecision is the token decision on the caller's own token.
type askedDecision struct {
	// On is what it was taken on: "authenticated", or "organization".
	On      string   `json:"on"`
	Allowed bool     `json:"allowed"`
	Reason  string   `json:"reason"`
	Reasons []string `json:"reasons"`
}

type askedTarget struct {
	ID    string `json:"id"`
	Owner string `json:"owner"`
	// Responsible are those who answer for the owner in the organization.
	Responsible []string `json:"responsible,omitempty"`
}

// judgement is data.patrol.admin.decision.
type judgement struct {
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

type questionKey struct{}

// guard lets a request to an operation through, or answers it.
func (s *service) guard(ctx huma.Context, next func(huma.Context)) {
	inner, p := s.admit(ctx)
	if p == nil {
		p = conditions(ctx)
	}
	if p != nil {
		s.tell(ctx, p)
		return
	}
	next(huma.WithContext(ctx, inner))
}

// conditions refuses what would make a change depend on something that is not
// looked at, or that is not clear.
func conditions(ctx huma.Context) *Problem {
	if match, n := header(ctx, "If-Match"); n > 0 {
		switch {
		case !takes(ctx.Operation(), "If-Match"):
			return problem(&inventory.Invalid{Field: "If-Match", Problem: "this operation has no version to depend on"})
		case n > 1 || match == "":
			return problem(&inventory.Invalid{Field: "If-Match", Problem: notOneETag})
		}
	}
	if match, n := header(ctx, "If-None-Match"); n > 0 && ctx.Method() != http.MethodGet { // a reader's cache may send it
		switch {
		case !takes(ctx.Operation(), "If-None-Match"):
			return problem(&inventory.Invalid{Field: "If-None-Match", Problem: "this operation does not look at it"})
		case n > 1 || match != "*":
			return problem(&inventory.Invalid{Field: "If-None-Match", Problem: "must be *: only where there is none yet"})
		}
	}
	return nil
}

// header is a header's value, and how often the request has it: one that is
// empty, or there twice, is not one that is not there.
func header(ctx huma.Context, name string) (value string, n int) {
	ctx.EachHeader(func(have, v string) {
		if http.CanonicalHeaderKey(have) == name {
			value = v
			n++
		}
	})
	return value, n
}

// takes says whether an operation has a header among its parameters.
func takes(o *huma.Operation, header string) bool {
	return slices.ContainsFunc(o.Parameters, func(p *huma.Param) bool { return p.In == "header" && p.Name == header })
}

// tell answers with a problem.
func (s *service) tell(ctx huma.Context, p *Problem) {
	if p.Status >= http.StatusInternalServerError {
		s.Log.Error("the admin API failed", "operation", ctx.Operation().OperationID, "request_id", requestOf(ctx.Context()).id, "code", p.Code, "error", p.cause)
	}
	p.RequestID = requestOf(ctx.Context()).id
	for name, value := range p.headers {
		ctx.SetHeader(name, value)
	}
	ctx.SetHeader("Content-Type", p.ContentType(""))
	ctx.SetStatus(p.Status)
	_ = json.NewEncoder(ctx.BodyWriter()).Encode(p) // the client is gone: nobody to tell
}

// admit judges a caller as far as that is possible before the body is read.
func (s *service) admit(ctx huma.Context) (context.Context, *Problem) {
	c := callerOf(ctx.Context())
	if c == nil {
		return nil, problem(errNoActor)
	}
	if c.trusted {
		return ctx.Context(), nil
	}
	q := asking(ctx.Operation().OperationID, ctx.Method())
	q.Organization, q.Member = inventory.Fold(ctx.Param("organization")), inventory.Fold(ctx.Param("user"))
	inner := context.WithValue(ctx.Context(), questionKey{}, q)
	if p := s.decided(inner, c, q); p != nil {
		return nil, p
	}
	if id := ctx.Param("id"); id != "" {
		if p := s.findTarget(inner, q, id); p != nil {
			return nil, p
		}
	}
	if q.Operation.InBody {
		return inner, nil // the handler asks the judge
	}
	return inner, s.ask(inner, q)
}

// asking is the question about an operation.
func asking(operation, method string) *question {
	asks := accessOf(operation)
	return &question{Operation: askedOperation{ID: operation, access: asks, Changes: method != http.MethodGet && method != http.MethodHead && !asks.Reads}}
}

// decided lets the caller's token pass its own decisions: what it was, the judge
// is told.
func (s *service) decided(ctx context.Context, c *caller, q *question) *Problem {
	if p := s.decideOwn(ctx, c, q); p != nil {
		return p
	}
	operator, p := s.isOperator(ctx, q)
	if p != nil || q.Operation.Scope != scopeOrganization || operator {
		return p
	}
	return s.decideIn(ctx, c, q)
}

// decideOwn lets the caller's token pass its own token decision.
func (s *service) decideOwn(ctx context.Context, c *caller, q *question) *Problem {
	out := s.Decider.DecideOn(ctx, c.request, &authz.Route{Pattern: "admin:" + q.Operation.ID, Access: authz.AccessAuthenticated})
	if p := s.refused(out); p != nil {
		return p
	}
	q.taken("authenticated", out)
	if out.Former && q.Operation.Changes {
		// Whoever has it may be why it was rotated.
		return newProblem(http.StatusForbidden, "forbidden", "the token was rotated, and its former secret changes nothing: use the new one")
	}
	t := out.Facts.Token
	if t == nil || t.Owner == nil {
		// Observed or served without: that is nobody to administer anything.
		return newProblem(http.StatusUnauthorized, authz.ReasonCredentialMissing, "this needs a token of an administrator").with("WWW-Authenticate", `Bearer realm="patrol"`)
	}
	c.token = t
	c.actor = inventory.Actor{Kind: "token", Name: t.Owner.Name, Token: t.ID}
	q.Caller = askedCaller{
		Kind: "token", Owner: t.Owner.Name, SystemOwner: slices.Contains(s.SystemOwners, t.Owner.Name),
		Token: askedToken{ID: t.ID, Kind: t.Kind, Source: t.Source, Global: append([]string{}, t.Global...)},
	}
	if !t.ExpiresAt.IsZero() {
		q.Caller.Token.Ends, q.Caller.Token.ExpiresAt = true, t.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return nil
}

// decideIn lets the caller's token pass the token decision of the organization.
func (s *service) decideIn(ctx context.Context, c *caller, q *question) *Problem {
	out := s.Decider.DecideOn(ctx, c.request, organizationRoute(q.Operation.ID, q.Organization, q.Operation.Permission))
	if p := s.refused(out); p != nil {
		return p
	}
	q.taken("organization", out)
	return nil
}

func organizationRoute(operation, organization, permission string) *authz.Route {
	return &authz.Route{Pattern: "admin:" + operation, Access: authz.AccessOrganization, Organizations: []string{organization}, Permission: permission}
}

func (q *question) taken(on string, out *authz.Outcome) {
	q.Decision = askedDecision{On: on, Allowed: out.Decision.Allowed, Reason: out.Decision.Reason, Reasons: append([]string{}, out.Decision.Reasons...)}
}

// refused is a token decision's refusal as a problem, or nil.
func (s *service) refused(out *authz.Outcome) *Problem {
	if out.Decision.Allowed && out.Facts != nil {
		return nil
	}
	r := out.Reason
	if r == nil || r.HTTPStatus == 0 {
		r = authz.BuiltinReasons[authz.ReasonPolicyError]
	}
	p := newProblem(r.HTTPStatus, r.OutsideCode(), s.Explainer.Sentence(out))
	p.cause = out.Err
	switch {
	case r.HTTPStatus == http.StatusUnauthorized && r.Code == authz.ReasonCredentialMissing:
		return p.with("WWW-Authenticate", `Bearer realm="patrol"`)
	case r.HTTPStatus == http.StatusUnauthorized:
		return p.with("WWW-Authenticate", `Bearer realm="patrol", error="invalid_token"`)
	case r.RetryAfter > 0:
		return p.with("Retry-After", strconv.Itoa(r.RetryAfter))
	}
	return p
}

// isOperator asks whether the token is an operator's.
func (s *service) isOperator(ctx context.Context, q *question) (operator bool, p *Problem) {
	if !q.Caller.SystemOwner {
		return false, nil
	}
	return operator, s.asks(ctx, operatorEntry, q, &operator)
}

// findTarget finds the token that the operation is about, as the organization
// sees it.
func (s *service) findTarget(ctx context.Context, q *question, id string) *Problem {
	row, err := s.Queries.Token(ctx, q.Organization, id)
	var missing *inventory.NotFound
	switch {
	case errors.As(err, &missing) && (q.Organization == "" || q.Operation.Scope == scopeOwn):
		return nil // the judge refuses it as it refuses what is somebody else's
	case err != nil:
		return problem(err)
	}
	q.Target = &askedTarget{row.ID, row.Owner, row.Responsible}
	return nil
}

// judge asks whether the caller may do what the body asks; change fills the
// question in. Whom the socket trusts is not asked about.
func (s *service) judge(ctx context.Context, change func(*question)) error {
	if c := callerOf(ctx); c != nil && c.trusted {
		return nil
	}
	present, ok := ctx.Value(questionKey{}).(*question)
	if !ok {
		return errNoActor
	}
	q := *present
	change(&q)
	if p := s.ask(ctx, &q); p != nil {
		return p
	}
	return nil
}

// ask asks data.patrol.admin.
func (s *service) ask(ctx context.Context, q *question) *Problem {
	var j judgement
	if p := s.asks(ctx, judgeEntry, q, &j); p != nil {
		return p
	}
	if !j.Allowed {
		return newProblem(http.StatusForbidden, j.Reason, j.Message)
	}
	return nil
}

// asks asks a rule. What cannot be judged is refused.
func (s *service) asks(ctx context.Context, entry string, q *question, out any) *Problem {
	err := errors.New("no policy bundle is active")
	if r := s.Policy.Ruleset(); r != nil && r.Asker != nil {
		err = r.Asker.Ask(ctx, entry, q, out)
	}
	if err == nil {
		return nil
	}
	p := newProblem(http.StatusServiceUnavailable, authz.ReasonPolicyError, "whether you may do this could not be judged: the policy could not be evaluated").with("Retry-After", "5")
	p.cause = err
	return p
}
