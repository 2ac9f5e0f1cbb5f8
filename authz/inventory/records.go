package inventory

import (
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// Organization is an organization or a user namespace, as stored.
type Organization struct {
	ID, Name, Type  string
	OwnerID         string // of a user namespace
	TokenPolicy     string
	NextTokenPolicy string
	EnforceAt       time.Time
	Enforcement     string
	ManagedBy       string
	Settings        map[string]any
	CreatedAt       time.Time
	Version         int64
	Deleted         bool
}

// Policies returns the policy in force at a time and the one that follows, if
// a change is dated.
func (o *Organization) Policies(now time.Time) (present, next string) {
	if o.NextTokenPolicy != "" && !now.Before(o.EnforceAt) {
		return o.NextTokenPolicy, ""
	}
	return o.TokenPolicy, o.NextTokenPolicy
}

// User is a person or a service account.
type User struct {
	ID, Name, Type, Email string
	CreatedAt             time.Time
}

// Period is a time during which a user had a role in an organization. The
// periods of a membership are its history; the last one is open.
type Period struct {
	OrganizationID, UserID string
	Role                   string
	Since, Until           time.Time // Until is zero while it lasts
}

// Token is a token, as stored.
type Token struct {
	ID          string
	Digest      authz.Digest
	DisplayName string
	Last4       string
	Kind        string
	OwnerID     string
	Source      string
	Grants      []authz.Grant
	Global      []string
	Purpose     string
	Contact     string
	CreatedAt   time.Time
	ExpiresAt   time.Time
	Disabled    bool
	Deleted     bool // a tombstone: unknown to requests, kept for its authorizations
	Version     int64
}

// On returns the grants that reach an organization.
func (t *Token) On(organizationID string) []authz.Grant {
	var on []authz.Grant
	for _, g := range t.Grants {
		if g.Entity.Namespace == organizationID {
			on = append(on, g)
		}
	}
	return on
}

// Authorization is what holds between a token and an organization, as stored.
type Authorization struct {
	TokenID, OrganizationID string
	State                   string
	Grants                  []authz.Grant
	ExpiresAt               time.Time
	Suspended               bool
	ChangedAt               time.Time
	ChangedBy               string
	Comment                 string
}

// Request is an approval request, as stored.
type Request struct {
	ID                      string
	TokenID, OrganizationID string
	Round                   int
	State                   string // open, decided, withdrawn
	Grants                  []authz.Grant
	OpenedAt                time.Time
	OpenedBy                string
	DecidedAt               time.Time
	DecidedBy               string
	Decision                string
	Comment                 string
}

// Records are rows of every kind: a snapshot, or what changed since one.
type Records struct {
	Organizations  []*Organization
	Users          []*User
	Periods        []*Period
	Tokens         []*Token
	Authorizations []*Authorization
	Requests       []*Request
}

// Event is something that people may have to be told; it is written to the
// outbox together with what caused it.
type Event struct {
	Kind         string // approval_requested, token_approved, token_denied, token_revoked
	Organization string // id
	Token        string // id
	Request      string // id
	// Key makes an event unique: the same one is told once.
	Key string
}

// AuditEntry is what the audit log keeps of a command.
type AuditEntry struct {
	Actor          Actor
	Action         string
	OrganizationID string
	TokenID        string
	Details        map[string]any
}

// Change is what a command writes, in one transaction. An empty one (no audit)
// writes nothing.
type Change struct {
	Records Records
	Audit   *AuditEntry
	Events  []Event
	// Subject says which rows the command's result shows.
	Subject Subject
}

// Subject points at what a command was about.
type Subject struct {
	OrganizationID string
	UserID         string
	TokenID        string
	RequestID      string
	Imported       int
}

// State is what the rules read. A method returns nil where there is nothing.
type State interface {
	OrganizationByName(name string) (*Organization, error)
	OrganizationByID(id string) (*Organization, error)
	UserByName(name string) (*User, error)
	// Periods returns the history of a membership, oldest first.
	Periods(organizationID, userID string) ([]*Period, error)
	// Members counts the present members of an organization.
	Members(organizationID string) (int, error)
	TokenByID(id string) (*Token, error)
	TokenByDigest(authz.Digest) (*Token, error)
	TokensOf(userID string) ([]*Token, error)
	Authorization(tokenID, organizationID string) (*Authorization, error)
	// LatestRequest returns the newest approval request of a pair.
	LatestRequest(tokenID, organizationID string) (*Request, error)
}

// Policies says which token policies there are: those of the active bundle.
type Policies interface {
	HasPolicy(name string) bool
	RequiresApproval(name string) bool
	PolicyNames() []string
}
