package authz

import (
	"context"
	"time"
)

// Evaluator answers facts with a decision: an activated bundle. It is safe for
// concurrent use. An error, an undefined result and a result of the wrong
// shape are all errors: the caller answers policy_error.
type Evaluator interface {
	// Name is the evaluator's kind, for metrics: topdown, compiled.
	Name() string
	Evaluate(ctx context.Context, facts *Facts) (Decision, error)
}

// Decision is what Rego said: data.patrol.authz.decision, or the result of an
// opa-envoy-plugin policy.
type Decision struct {
	Allowed bool
	// Reason is the code of the first reason that applies, for allows too.
	Reason string
	// Reasons are all reasons to refuse; on an allow by waiver, what was waived.
	Reasons []string
	// Next are the reasons that the next, dated policy would add.
	Next []string
	// Params fill the sentence of the catalogue.
	Params map[string]any
	// RequestApproval asks for an approval request, independent of Allowed.
	RequestApproval bool
	// Anonymous: serve the request with every credential header stripped.
	Anonymous bool
	// Exception is the id of the exception that waived a reason.
	Exception string
	// Envoy holds opa-envoy-plugin's own keys where the policy used them; they
	// win over what patrol would have answered.
	Envoy *EnvoyDecision
}

// EnvoyDecision holds the members of a decision that opa-envoy-plugin defines.
// See https://www.openpolicyagent.org/docs/envoy/primer#output-document.
type EnvoyDecision struct {
	Headers              []HeaderValue
	ResponseHeaders      []HeaderValue
	RequestHeadersRemove []string
	QuerySet             []HeaderValue
	QueryRemove          []string
	Body                 string
	HasBody              bool
	HTTPStatus           int // 0: not given
	Metadata             map[string]any
}

// HeaderValue is a name and a value: of a header or a query parameter.
type HeaderValue struct{ Name, Value string }

// Warning is told to the client with an answer that allows.
type Warning struct {
	Topic string // observed, grace_period, token_rotated, token_expires, approval_expires
	Text  string
}

// Outcome is everything that came of one request: what was decided, on what,
// and what the client is to be told.
type Outcome struct {
	// DecisionID identifies the decision in logs and dynamic metadata; UUIDv7.
	DecisionID string
	// RequestID is the request's x-request-id, or DecisionID where it had none.
	RequestID string
	Request   Request // nil where the message could not be decoded
	// Facts of the organization that decided: the first that refused, or the
	// first of the list. Nil when the request was refused before facts.
	Facts    *Facts
	Decision Decision
	// Reason is the catalogue's entry of Decision.Reason.
	Reason *Reason
	// Warnings go to the client on an allow.
	Warnings []Warning
	// Former: the credential was a secret that was rotated away, within the
	// overlap in which it is still taken.
	Former bool
	// Approval is the approval request behind a pending answer, or one that was
	// opened on the way; nil if there is none.
	Approval *ApprovalRequest
	// Conflict is the reason that Rego gave where the safety net overrode it.
	Conflict string
	// Policy is the token policy that was applied; "" where none was.
	Policy   string
	Revision string
	// Evaluator names the evaluator that answered; "" where none was asked.
	Evaluator string
	// Err is why the reason is policy_error or inventory_unavailable. It is for
	// the log, never for the client.
	Err  error
	Time time.Time
	// Duration is from Time to the outcome. Requests that were read together wait
	// for each other's steps.
	Duration time.Duration
	// Shown are the organizations to name upstream on an allow.
	Shown []string
	// Others are the facts of the further organizations of a request that all
	// allowed; nil where it was about one.
	Others []*Facts
	// Unknown is the digest of a credential by which no token is known; zero
	// where none was sent, or it is known.
	Unknown Digest
	// Disabled is the token that was sent though it is disabled everywhere; the
	// facts do not show it.
	Disabled *Token
	// Reused is the token whose former secret was sent, which is accepted no
	// more since it was rotated; ReusedDigest is that secret's. The answer is as
	// to an unknown one.
	Reused       *Token
	ReusedDigest Digest
	// Leaked is the known token whose secret was found in the query string.
	Leaked *Token
}
