package inventory

import (
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// OrganizationRow is an organization as administrators see it.
type OrganizationRow struct {
	ID              string         `json:"id"`
	Name            string         `json:"name"`
	Type            string         `json:"type"`
	TokenPolicy     string         `json:"token_policy"`
	NextTokenPolicy string         `json:"next_token_policy,omitempty"`
	EnforceAt       *time.Time     `json:"enforce_at,omitempty"`
	Enforcement     string         `json:"enforcement"`
	ManagedBy       string         `json:"managed_by,omitempty"`
	Settings        map[string]any `json:"settings,omitempty"`
	// UnreadSettings are the settings that neither patrol nor a rule of the active
	// bundle reads by name. Listings leave them out.
	UnreadSettings []string `json:"unread_settings,omitempty"`
	// Aliases are names that it had before; they lead to it still.
	Aliases   []string  `json:"aliases,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	Version   int64     `json:"version"`
}

// MemberRow is a member of an organization.
type MemberRow struct {
	Organization string    `json:"organization"`
	User         string    `json:"user"`
	UserID       string    `json:"user_id"`
	Type         string    `json:"type"`
	Role         string    `json:"role"`
	Email        string    `json:"email,omitempty"`
	Since        time.Time `json:"since"`
	// EmailConfirmedAt is since when the address is known to be the member's: mails
	// that tell of tokens go to confirmed ones only.
	EmailConfirmedAt *time.Time `json:"email_confirmed_at,omitempty"`
	// Responsible are the members who answer for a service account here, by name.
	Responsible []string `json:"responsible,omitempty"`
	// Version is another one after each change of the member; see [MemberVersion].
	Version int64 `json:"version"`
}

// Account is a service account in an organization, by their names.
type Account struct{ Organization, User string }

// TokenRow is a token as one organization's administrators see it. Where
// Organization is empty it is the operator's view of the whole token.
type TokenRow struct {
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	Last4       string `json:"last4"`
	Kind        string `json:"kind"`
	Owner       string `json:"owner"`
	// Responsible are the members who answer for the owner, a service account, at
	// the organization, by name. Listings leave them out.
	Responsible []string      `json:"responsible,omitempty"`
	Source      string        `json:"source"`
	Grants      []authz.Grant `json:"grants,omitempty"`
	Global      []string      `json:"global,omitempty"`
	// UnknownPermissions are those of the grants that the active bundle does not
	// know: they grant nothing. Listings leave them out.
	UnknownPermissions []string   `json:"unknown_permissions,omitempty"`
	Purpose            string     `json:"purpose,omitempty"`
	Contact            string     `json:"contact,omitempty"`
	CreatedAt          time.Time  `json:"created_at"`
	ExpiresAt          *time.Time `json:"expires_at,omitempty"`
	Disabled           bool       `json:"disabled,omitempty"`
	// RotatedAt is when its secret was last rotated. The secret before is
	// accepted until OldSecretUntil; ReusedAt is when one that no longer was
	// has last been used.
	RotatedAt      *time.Time        `json:"rotated_at,omitempty"`
	OldSecretUntil *time.Time        `json:"old_secret_until,omitempty"`
	ReusedAt       *time.Time        `json:"reused_at,omitempty"`
	Version        int64             `json:"version"`
	Organization   string            `json:"organization,omitempty"`
	Authorization  *AuthorizationRow `json:"authorization,omitempty"`
	// LastUsedAt is the last request that was allowed, LastRefusedAt the last one
	// that was refused: at the organization, or anywhere.
	LastUsedAt    *time.Time `json:"last_used_at,omitempty"`
	LastRefusedAt *time.Time `json:"last_refused_at,omitempty"`
	// Findings are the names of what the hygiene rules found at the organization.
	Findings []string `json:"findings,omitempty"`
	// Found are the same with what each says of itself, for pages.
	Found []Found `json:"-"`
}

// SaidPurpose is what the token is for: as its owner said it last, with a request,
// or when it was made.
func (t *TokenRow) SaidPurpose() string {
	if a := t.Authorization; a != nil && a.Request != nil && a.Request.Purpose != "" {
		return a.Request.Purpose
	}
	return t.Purpose
}

// Found is a finding of a token, as it is shown in a row.
type Found struct{ Name, Severity, Title string }

// AuthorizationRow is what holds between a token and an organization.
type AuthorizationRow struct {
	// Status is what administrators see: none, pending, pending_frozen,
	// approved, denied, revoked, suspended.
	Status       string        `json:"status"`
	State        string        `json:"state"`
	Suspended    bool          `json:"suspended,omitempty"`
	AdminCreated bool          `json:"admin_created,omitempty"`
	Grants       []authz.Grant `json:"grants,omitempty"`
	ExpiresAt    *time.Time    `json:"expires_at,omitempty"`
	ChangedAt    *time.Time    `json:"changed_at,omitempty"`
	Comment      string        `json:"comment,omitempty"`
	Request      *ApprovalRow  `json:"request,omitempty"`
}

// ApprovalRow is an approval request.
type ApprovalRow struct {
	ID           string        `json:"id"`
	Organization string        `json:"organization"`
	Token        string        `json:"token"`
	DisplayName  string        `json:"display_name"`
	Last4        string        `json:"last4"`
	Owner        string        `json:"owner"`
	State        string        `json:"state"`
	Grants       []authz.Grant `json:"grants"`
	Purpose      string        `json:"purpose,omitempty"`
	OpenedAt     time.Time     `json:"opened_at"`
	OpenedBy     string        `json:"opened_by"` // issue, import, update, hit, policy, member, owner, review
	DecidedAt    *time.Time    `json:"decided_at,omitempty"`
	DecidedBy    string        `json:"decided_by,omitempty"`
	Decision     string        `json:"decision,omitempty"` // approved, denied
	Comment      string        `json:"comment,omitempty"`
	// Version is the token's, for the answer to the request.
	Version int64 `json:"version"`
	// Group is the same for requests that ask for the same: they can be
	// reviewed once and decided on together.
	Group         string `json:"group"`
	Contact       string `json:"contact,omitempty"`
	Assignee      string `json:"assignee,omitempty"`
	Escalated     bool   `json:"escalated,omitempty"`
	WaitsForOwner bool   `json:"waits_for_owner,omitempty"`
	// Needs is how many people have to approve: 1, or 2 where the organization
	// asks for two; Votes are those who have.
	Needs          int             `json:"needs"`
	Votes          []Vote          `json:"votes,omitempty"`
	Notes          []Note          `json:"notes,omitempty"`
	RemindedAt     *time.Time      `json:"reminded_at,omitempty"`
	Recommendation *Recommendation `json:"recommendation,omitempty"`
}

// ApprovalGroup are open requests of an organization that ask for the same.
type ApprovalGroup struct {
	Group  string        `json:"group"`
	Count  int           `json:"count"`
	Owners int           `json:"owners"`
	Grants []authz.Grant `json:"grants"`
	Oldest time.Time     `json:"oldest"`
	// Recommendations counts what the review rules say of them.
	Recommendations map[string]int `json:"recommendations,omitempty"`
	// Requests are the oldest of them, at most 100: as many as one decision takes.
	Requests []GroupedRequest `json:"requests"`
}

// GroupedRequest is a request of a group, as it is decided on.
type GroupedRequest struct {
	Token       string `json:"token"`
	Version     int64  `json:"version"`
	Request     string `json:"request"`
	DisplayName string `json:"display_name"`
	Owner       string `json:"owner"`
}

// AuditRow is an entry of the audit log.
type AuditRow struct {
	Seq          int64          `json:"seq"`
	Time         time.Time      `json:"time"`
	Actor        Actor          `json:"actor"`
	Action       string         `json:"action"` // a command's Action
	Organization string         `json:"organization,omitempty"`
	Token        string         `json:"token,omitempty"`
	Details      map[string]any `json:"details,omitempty"`
}

// TokenName is how people know a token.
type TokenName struct{ DisplayName, Last4 string }

// ApprovalFilter narrows a listing of approval requests; empty members do not.
type ApprovalFilter struct {
	Status   string // open, decided, withdrawn; "" or all: any
	Owner    string
	Assignee string // a name; "-" for nobody
	Group    string
	// Recommendation is approve, deny or escalate.
	Recommendation string
	// Sort is "oldest" (the default) or "risk": what the review rules would deny
	// first, what they would approve last, the oldest of each first.
	Sort string
}

// Page bounds a listing: at most Limit rows (default 50, at most 1,000) that
// come after Cursor, as the listing before returned it.
type Page struct {
	Limit  int
	Cursor string
}

// TokenFilter narrows a listing of tokens. Revoked tokens are hidden unless
// Status is "all" or "revoked".
type TokenFilter struct {
	Status string
	Kind   string
	Owner  string
	Query  string // part of the name
	// Finding is the name of a finding; at an organization only.
	Finding string
	// Severity is the least of a finding; at an organization only. With Finding it
	// is that finding's.
	Severity string
	// Sort is one of the orders below, or empty for the newest first: -created, or,
	// where an owner, a status or a finding is that of very many, as they came to
	// the inventory.
	Sort string
}

// Orders of a listing of tokens; with a - before it the other way round. Those by
// last use and by findings are of an organization's listing only.
const (
	SortName     = "name"      // case does not count
	SortOwner    = "owner"     // by the owner's name
	SortCreated  = "created"   // the oldest first
	SortLastUsed = "last_used" // those that were never used first
	SortSeverity = "severity"  // of the gravest finding; those without one first
)

// AuditFilter narrows a listing of the audit log; empty members do not.
type AuditFilter struct {
	Actor  string // by name
	Action string // one of them, or a kind: "token" for "token.revoke"
	Token  string // the id of the token that it is about
	User   string // the member whom it is about
	Since  time.Time
	Until  time.Time // no more
}

// MemberFilter narrows a listing of members; empty members do not.
type MemberFilter struct {
	Role    string
	Type    string // user, service_account
	Address string // one of the states below
	Query   string // part of the name or the address
}

// States of a member's address.
const (
	AddressConfirmed   = "confirmed"
	AddressUnconfirmed = "unconfirmed"
	AddressNone        = "none"
)

// ReplicaRow is a patrol that serves from the same database, as it last said.
type ReplicaRow struct {
	ID        string    `json:"id"`
	Host      string    `json:"host"`
	Version   string    `json:"version"`
	Revision  string    `json:"revision,omitempty"`  // of the active policy
	Evaluator string    `json:"evaluator,omitempty"` // compiled or topdown
	Problem   string    `json:"problem,omitempty"`   // why it is not ready
	Change    int64     `json:"change"`              // the last change of the inventory that is in force there
	StartedAt time.Time `json:"started_at"`
	SeenAt    time.Time `json:"seen_at"`
}
