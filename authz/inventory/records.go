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
	// Aliases are the names that it had before: they still lead to it.
	Aliases []string
}

// Policies returns the policy in force at a time and the one that follows, if
// a change is dated.
func (o *Organization) Policies(now time.Time) (present, next string) {
	if o.NextTokenPolicy != "" && !now.Before(o.EnforceAt) {
		return o.NextTokenPolicy, ""
	}
	return o.TokenPolicy, o.NextTokenPolicy
}

// AsksForApproval says whether the policy in force at a time asks for approvals, or
// the next one does: then from is the day from which on it does.
func (o *Organization) AsksForApproval(p Policies, now time.Time) (from time.Time, asks bool) {
	present, next := o.Policies(now)
	switch {
	case p.RequiresApproval(present):
		return time.Time{}, true
	case next != "" && p.RequiresApproval(next):
		return o.EnforceAt, true
	}
	return time.Time{}, false
}

// User is a person or a service account.
type User struct {
	ID, Name, Type, Email string
	CreatedAt             time.Time
	Address
}

// Types of users.
const (
	TypePerson         = "user"
	TypeServiceAccount = "service_account"
)

// Address is what is known of a user's address (User.Email). Mails that tell of
// tokens go to confirmed ones only.
type Address struct {
	// ConfirmedAt is since when it is known to be the user's; zero: it is not.
	ConfirmedAt time.Time
	// ConfirmedBy is how: one of the constants Confirmed….
	ConfirmedBy string
	// AskedAt is when a link to confirm it was last asked for. The link is good
	// for that time only: a later one replaces it, and using it ends it.
	AskedAt time.Time
}

// How an address came to be confirmed.
const (
	ConfirmedByAdministrator = "administrator" // on an operator's word, also of member sync and apply
	ConfirmedByDirectory     = "directory"     // SCIM
	ConfirmedByProvider      = "provider"      // the login provider's email_verified
	ConfirmedByLink          = "link"          // who has the mailbox followed the link
)

// Responsible are those who answer for a service account in an organization,
// by their ids; also who has left it meanwhile, and then does not.
type Responsible struct {
	OrganizationID, UserID string
	People                 []string
	// At is since when: until then those answered who were named before.
	At time.Time
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
	// Former are the secrets that it had before, newest first.
	Former []Former
}

// Former is a secret that a token had before it was rotated.
type Former struct {
	Digest authz.Digest `json:"digest"`
	// At is when it was rotated away, and Until the end of the overlap: from
	// then on it is not accepted, and using it is reported.
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	// ReusedAt is when its use after the overlap was last reported.
	ReusedAt time.Time `json:"reused_at,omitzero"`
}

// TokenVersion is what a token was at an earlier version: what a reviewer who
// saw that one has seen.
type TokenVersion struct {
	TokenID   string
	Version   int64
	Kind      string
	Grants    []authz.Grant
	ExpiresAt time.Time
	// ChangedAt and ChangedBy say when the version ended, and by whom.
	ChangedAt time.Time
	ChangedBy string
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
	OwnerID                 string // of the token
	Purpose                 string // as the owner gave it with this request
	Assignee                string // the name of who is to decide
	Review
}

// Review is what reviewers and owner have done about a request.
type Review struct {
	// Version is the token's when the request was opened or last refreshed.
	Version int64 `json:"version,omitempty"`
	// Escalated requests are for administrators: a reviewer decides no more.
	Escalated bool `json:"escalated,omitempty"`
	// WaitsForOwner: the owner was asked something and has not answered.
	WaitsForOwner bool      `json:"waits_for_owner,omitempty"`
	RemindedAt    time.Time `json:"reminded_at,omitzero"`
	// ByOwner: the owner withdrew it.
	ByOwner        bool            `json:"by_owner,omitempty"`
	Votes          []Vote          `json:"votes,omitempty"`
	Notes          []Note          `json:"notes,omitempty"`
	Recommendation *Recommendation `json:"recommendation,omitempty"`
}

// Vote is one person's approval where the organization asks for two.
type Vote struct {
	// Person identifies who voted; Name is how the audit shows them.
	Person string    `json:"person"`
	Name   string    `json:"name"`
	At     time.Time `json:"at"`
	// Grants, Until and Expires are what was agreed to: the grants, the
	// approval's end, and the token's own end as it was reviewed.
	Grants  []authz.Grant `json:"grants"`
	Until   time.Time     `json:"until,omitzero"`
	Expires time.Time     `json:"expires,omitzero"`
	Comment string        `json:"comment,omitempty"`
}

// Note is an entry of a request's thread.
type Note struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	Kind string    `json:"kind"` // comment, question, answer, purpose, assigned, reminded, escalated, changed
	Text string    `json:"text,omitempty"`
}

// Actions that a recommendation proposes.
const (
	RecommendApprove  = "approve"
	RecommendDeny     = "deny"
	RecommendEscalate = "escalate"
)

// Recommendation is what the review rules of the bundle say of a request.
type Recommendation struct {
	Action  string                 `json:"action"` // approve, deny, escalate
	Reasons []RecommendationReason `json:"reasons"`
	// UntilDays is how long an approval is proposed to last; 0: no end.
	UntilDays int       `json:"until_days,omitempty"`
	Revision  string    `json:"revision"` // of the bundle
	At        time.Time `json:"at"`
}

// RecommendationReason is what one rule has to say.
type RecommendationReason struct {
	Rule   string `json:"rule"`
	Action string `json:"action"`
	Why    string `json:"why"`
}

// Records are rows of every kind: a snapshot, or what changed since one.
type Records struct {
	Organizations  []*Organization
	Users          []*User
	Periods        []*Period
	Tokens         []*Token
	Authorizations []*Authorization
	Requests       []*Request
	// Versions and Responsible are written only: no snapshot holds them.
	Versions    []*TokenVersion
	Responsible []*Responsible
}

// Event is something that people may have to be told; it is written to the
// outbox together with what caused it.
type Event struct {
	// Kind is approval_requested, approval_voted, approval_changed,
	// approval_assigned, approval_reminder, approval_escalated, owner_asked,
	// token_approved, token_denied, token_revoked, token_suspended,
	// token_resumed, token_rotated, token_reused or address_confirmation.
	Kind         string
	Organization string // id
	Token        string // id
	Request      string // id
	// Key makes an event unique: the same one is told once.
	Key string
	// Owner is the name of whom the event is about, where it is no single token;
	// At is the moment that it is about, where there is one.
	Owner string
	At    time.Time
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
	// Also are the entries of what followed by itself, by another actor: what
	// the policy decided on a request when it was opened.
	Also   []*AuditEntry
	Events []Event
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
	// OrganizationByName finds an organization by its name or an alias.
	OrganizationByName(name string) (*Organization, error)
	OrganizationByID(id string) (*Organization, error)
	UserByName(name string) (*User, error)
	UserByID(id string) (*User, error)
	// Periods returns the history of a membership, oldest first.
	Periods(organizationID, userID string) ([]*Period, error)
	// Responsible returns the ids of those who were named to answer for a service
	// account in an organization; they do while they are members of it.
	Responsible(organizationID, userID string) ([]string, error)
	// Answered returns the ids of who was named to in any organization, now or until
	// after a moment, in order.
	Answered(userID string, after time.Time) ([]string, error)
	// Members counts the present members of an organization.
	Members(organizationID string) (int, error)
	// Administrators counts the present members with the role admin, of a type of user.
	Administrators(organizationID, kind string) (int, error)
	TokenByID(id string) (*Token, error)
	TokenByDigest(authz.Digest) (*Token, error)
	// TokenByFormer finds the token that had a secret before it was rotated.
	TokenByFormer(authz.Digest) (*Token, error)
	// TokenVersion returns what a token was at a version before the present one.
	TokenVersion(tokenID string, version int64) (*TokenVersion, error)
	TokensOf(userID string) ([]*Token, error)
	// TokensOn lists the tokens whose grants reach an organization; tombstones
	// may be left out.
	TokensOn(organizationID string) ([]*Token, error)
	// LastUsed is when a token was last used on an organization; zero: never.
	LastUsed(tokenID, organizationID string) (time.Time, error)
	Authorization(tokenID, organizationID string) (*Authorization, error)
	// LatestRequest returns the newest approval request of a pair.
	LatestRequest(tokenID, organizationID string) (*Request, error)
	// OpenRequests counts the open requests of an owner's tokens.
	OpenRequests(organizationID, ownerID string) (int, error)
	// AuthorizationsOn and RequestsOn list those of an organization; of the
	// requests, the open ones.
	AuthorizationsOn(organizationID string) ([]*Authorization, error)
	RequestsOn(organizationID string) ([]*Request, error)
}

// Policies says which token policies there are: those of the active bundle.
type Policies interface {
	HasPolicy(name string) bool
	RequiresApproval(name string) bool
	PolicyNames() []string
}

// SettingsReader is what Policies may also be: it knows which settings the active
// bundle reads, and what a setting may name.
type SettingsReader interface {
	// ReadsSetting says whether a rule reads a setting by name.
	ReadsSetting(name string) bool
	// ReviewRules lists the review rules; nil where they are not known.
	ReviewRules() []string
}
