package record

import (
	"encoding/json"
	"time"
)

// Refusal is one refusal.
type Refusal struct {
	RequestID  string    `json:"request_id"`
	DecisionID string    `json:"decision_id"`
	Time       time.Time `json:"time"`
	Request    Refused   `json:"request"`
	Reason     string    `json:"reason"`
	Reasons    []string  `json:"reasons,omitempty"`
	// Next are the reasons that the next, dated policy would add.
	Next       []string       `json:"next,omitempty"`
	Params     map[string]any `json:"params,omitempty"`
	HTTPStatus int            `json:"http_status,omitempty"`
	// Message is the sentence that the client was told.
	Message string `json:"message,omitempty"`
	// Organization, Token and Owner are there where they are known.
	Organization   string `json:"organization,omitempty"`
	OrganizationID string `json:"organization_id,omitempty"`
	Token          string `json:"token,omitempty"` // its id
	TokenName      string `json:"token_name,omitempty"`
	Owner          string `json:"owner,omitempty"`
	Approval       *Asked `json:"approval,omitempty"`
	Policy         string `json:"policy,omitempty"`
	Revision       string `json:"revision,omitempty"`
	Evaluator      string `json:"evaluator,omitempty"`
	// Overruled is the reason with which Rego allowed what the safety net
	// refused.
	Overruled string `json:"safety_net_overruled,omitempty"`
	// Error is why the policy could not be asked.
	Error string `json:"policy_error,omitempty"`
	// Microseconds that the decision took.
	Microseconds int64 `json:"duration_us"`
	// Facts is the input as the policy could read it, but for the request's own
	// part. Absent where there were none, or where they were too many to keep.
	Facts json.RawMessage `json:"facts,omitempty"`
}

// Refused is what is kept of a request.
type Refused struct {
	Method string `json:"method,omitempty"`
	// Path without its query.
	Path string `json:"path,omitempty"`
	// Query are the names of the query's parameters, those that are plain.
	Query []string `json:"query,omitempty"`
	// MoreQuery: there is more in the query than these.
	MoreQuery bool              `json:"more_query,omitempty"`
	Host      string            `json:"host,omitempty"`
	Protocol  string            `json:"protocol,omitempty"`
	Address   string            `json:"address,omitempty"`
	Network   string            `json:"network,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
}

// Asked is the approval request behind a pending answer.
type Asked struct {
	ID    string `json:"id,omitempty"`
	State string `json:"state"`
}
