package authz

// Reasons that Go gives before or instead of Rego. Their texts are in the
// binary, so that they exist with no bundle.
const (
	ReasonRequestMalformed     = "request_malformed"
	ReasonCredentialMalformed  = "credential_malformed"
	ReasonOverloaded           = "overloaded"
	ReasonInventoryUnavailable = "inventory_unavailable"
	ReasonPolicyError          = "policy_error"
)

// Reasons by Rego that Go has to know: the safety net answers with them, and
// the answer to the client depends on some of them.
const (
	ReasonRouteUnknown           = "route_unknown"
	ReasonCredentialMissing      = "credential_missing"
	ReasonTokenUnknown           = "token_unknown"
	ReasonTokenExpired           = "token_expired"
	ReasonOrganizationUnknown    = "organization_unknown"
	ReasonOwnerNotMember         = "owner_not_member"
	ReasonTokenRevoked           = "token_revoked"
	ReasonTokenSuspended         = "token_suspended"
	ReasonApprovalPending        = "approval_pending"
	ReasonApprovalDenied         = "approval_denied"
	ReasonInsufficientPermission = "insufficient_permission"
	ReasonPolicyDenied           = "policy_denied"
	ReasonUnmanaged              = "unmanaged"
	ReasonObserved               = "observed"
	ReasonGracePeriod            = "grace_period"
)

// Reason is an entry of the catalogue: how a reason is told to clients. The
// catalogue is data in the bundle; the entries of the reasons before Rego are
// in [BuiltinReasons].
type Reason struct {
	// Code is the inner code: what metrics and dynamic metadata carry.
	Code string `json:"-"`
	// Outside is the code that clients see, where it is another one.
	Outside string `json:"outside,omitempty"`
	// Allow marks a reason of an allow.
	Allow      bool   `json:"allow,omitempty"`
	HTTPStatus int    `json:"http_status,omitempty"`
	GRPCStatus int    `json:"grpc_status,omitempty"`
	Title      string `json:"title"`
	// Sentence stands alone, without a full stop; {placeholders} are filled
	// from the facts (see [Placeholders]) and from the decision's params.
	Sentence string `json:"sentence,omitempty"`
	// Link is a help link; may hold placeholders.
	Link string `json:"link,omitempty"`
	// Waivable by an exception.
	Waivable bool `json:"waivable,omitempty"`
	// Observable: waived in an organization that only observes.
	Observable bool `json:"observable,omitempty"`
	// Anonymous: what is public is served in spite of it, without the credential.
	Anonymous bool `json:"anonymous,omitempty"`
	// RetryAfter in seconds, for a 503.
	RetryAfter int `json:"retry_after,omitempty"`
	// Params are further placeholders, which a decision of the bundle's own fills.
	Params []string `json:"params,omitempty"`
}

// Placeholders are what the facts fill in a reason's sentence and link.
var Placeholders = []string{
	"method", "path", "resource", "permission", "organization", "asked_organization",
	"token", "kind", "expires_at", "since", "comment", "asked",
}

// OutsideCode is the code that clients see.
func (r *Reason) OutsideCode() string {
	if r.Outside != "" {
		return r.Outside
	}
	return r.Code
}

// Catalogue maps a reason's code to its entry.
type Catalogue map[string]*Reason

// Get returns the entry of a code: a builtin one, or the bundle's, or nil.
func (c Catalogue) Get(code string) *Reason {
	if r := BuiltinReasons[code]; r != nil {
		return r
	}
	return c[code]
}

// BuiltinReasons are the reasons before Rego. No bundle can reword them.
var BuiltinReasons = Catalogue{
	ReasonRequestMalformed: {
		Code: ReasonRequestMalformed, HTTPStatus: 400, GRPCStatus: 3, Title: "Malformed request",
		Sentence: "The request is malformed: {detail}",
	},
	ReasonCredentialMalformed: {
		Code: ReasonCredentialMalformed, HTTPStatus: 400, GRPCStatus: 3, Title: "Malformed credential",
		Sentence: "The credential is malformed: {detail}",
	},
	ReasonOverloaded: {
		Code: ReasonOverloaded, HTTPStatus: 503, GRPCStatus: 14, Title: "Overloaded", RetryAfter: 1,
		Sentence: "The authorization service is overloaded, try again",
	},
	ReasonInventoryUnavailable: {
		Code: ReasonInventoryUnavailable, HTTPStatus: 503, GRPCStatus: 14, Title: "Inventory unavailable", RetryAfter: 5,
		Sentence: "Access could not be decided because the token inventory is out of reach, try again",
	},
	ReasonPolicyError: {
		Code: ReasonPolicyError, HTTPStatus: 503, GRPCStatus: 14, Title: "Policy error", RetryAfter: 5,
		Sentence: "Access could not be decided because the policy could not be evaluated",
	},
}
