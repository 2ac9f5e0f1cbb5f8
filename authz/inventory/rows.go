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
	CreatedAt       time.Time      `json:"created_at"`
	Version         int64          `json:"version"`
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
}

// TokenRow is a token as one organization's administrators see it. Where
// Organization is empty it is the operator's view of the whole token.
type TokenRow struct {
	ID            string            `json:"id"`
	DisplayName   string            `json:"display_name"`
	Last4         string            `json:"last4"`
	Kind          string            `json:"kind"`
	Owner         string            `json:"owner"`
	Source        string            `json:"source"`
	Grants        []authz.Grant     `json:"grants,omitempty"`
	Global        []string          `json:"global,omitempty"`
	Purpose       string            `json:"purpose,omitempty"`
	Contact       string            `json:"contact,omitempty"`
	CreatedAt     time.Time         `json:"created_at"`
	ExpiresAt     *time.Time        `json:"expires_at,omitempty"`
	Disabled      bool              `json:"disabled,omitempty"`
	Version       int64             `json:"version"`
	Organization  string            `json:"organization,omitempty"`
	Authorization *AuthorizationRow `json:"authorization,omitempty"`
	// LastUsedAt is the last request that was allowed: at the organization, or
	// anywhere.
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	// Findings are the names of what the hygiene rules found at the organization.
	Findings []string `json:"findings,omitempty"`
}

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
	OpenedBy     string        `json:"opened_by"` // issue, import, hit, policy
	DecidedAt    *time.Time    `json:"decided_at,omitempty"`
	DecidedBy    string        `json:"decided_by,omitempty"`
	Decision     string        `json:"decision,omitempty"` // approved, denied
	Comment      string        `json:"comment,omitempty"`
	// Version is the token's, for the answer to the request.
	Version int64 `json:"version"`
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
}
