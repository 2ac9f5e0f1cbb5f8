package authz

import (
	"encoding/hex"
	"errors"
	"time"
)

// Token kinds. Read and write tokens are unscoped.
const (
	KindRead        = "read"
	KindWrite       = "write"
	KindFineGrained = "fine-grained"
)

// Organization types.
const (
	TypeOrganization = "organization"
	TypeUser         = "user" // a user namespace: belongs to one user, has no policy
)

// How strictly an organization's policy is applied.
const (
	Enforce = "enforce"
	Observe = "observe"
)

// Authorization states between one token and one organization.
const (
	StateNone     = "none"
	StateApproved = "approved"
	StateDenied   = "denied"
	StateRevoked  = "revoked"
)

// Approval request states.
const (
	RequestOpening   = "opening" // asked for, not yet acknowledged by the store
	RequestOpen      = "open"
	RequestFrozen    = "frozen" // open while the policy asks for no approval
	RequestDecided   = "decided"
	RequestWithdrawn = "withdrawn"
)

// Digest identifies a secret without holding it:
// HMAC-SHA256(key, SHA-256(secret)).
type Digest [32]byte

// MarshalText writes a digest in hex.
func (d Digest) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(d[:])), nil }

// UnmarshalText reads 64 hex digits.
func (d *Digest) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(d) {
		return errors.New("a digest is 64 hex digits")
	}
	copy(d[:], b)
	return nil
}

// Entity is what a grant is about. Organizations and users are identified by
// id, repositories by (organization id, type, name).
type Entity struct {
	Type string `json:"type"` // organization, user, model, dataset, space, collection, …
	ID   string `json:"id,omitempty"`
	Name string `json:"name"` // "acme", or "acme/model" for what lies in a namespace
	// Namespace is the id of the organization (or user namespace) that the
	// entity is or lies in; grants reach an organization by it, not by a name.
	Namespace string `json:"namespace,omitempty"`
}

// Grant gives permissions on one entity.
type Grant struct {
	Entity      Entity   `json:"entity"`
	Permissions []string `json:"permissions"`
}

// GrantSet is a list of grants, shared between the tokens that have equal
// ones. Frozen is the evaluator's own form of it, made once when it entered
// the snapshot; nil where nothing was frozen. A GrantSet is immutable.
type GrantSet struct {
	Grants []Grant
	Frozen any
	// Parts are the grants by the id of the namespace that they reach, filled
	// where a set reaches more than one.
	Parts map[string]*GrantSet
}

// All returns the grants of a set that may be nil.
func (s *GrantSet) All() []Grant {
	if s == nil {
		return nil
	}
	return s.Grants
}

// Owner is the person or service account to whom a token belongs.
type Owner struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"` // user or service_account
	// Ref is where the snapshot keeps the record; zero where none does.
	Ref uint32 `json:"-"`
}

// Token is the record behind a credential, as a snapshot fills it in for one
// request.
type Token struct {
	ID          string
	DisplayName string
	Last4       string
	Kind        string
	Owner       *Owner
	Source      string // issued, imported, jwt, introspection
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero: never
	Grants      *GrantSet
	Global      []string
	Disabled    bool // everywhere: answered as an unknown token
	// Ref is where the snapshot keeps the record; zero where none does.
	Ref uint32
}

// Expired says whether the token has ended at a time.
func (t *Token) Expired(now time.Time) bool {
	return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)
}

// Organization owns resources and has a token policy. It is immutable.
type Organization struct {
	ID   string
	Name string
	Type string
	// TokenPolicy is the policy in force; empty for a user namespace.
	TokenPolicy string
	// NextTokenPolicy takes over at EnforceAt; both are zero where no change
	// is dated.
	NextTokenPolicy string
	EnforceAt       time.Time
	Enforcement     string
	ManagedBy       string
	Settings        map[string]any
	// OwnerID is the user to whom a user namespace belongs.
	OwnerID string
	// Ref is where the snapshot keeps the record; zero where none does.
	Ref uint32
	// Frozen is the evaluator's own form, made when the record entered the
	// snapshot.
	Frozen any
	// After is the organization as it will be from EnforceAt on; nil where no
	// change is dated.
	After *Organization
}

// At returns the organization as it stands at a time: a dated change of
// policy takes effect by itself.
func (o *Organization) At(now time.Time) *Organization {
	if o != nil && o.After != nil && !now.Before(o.EnforceAt) {
		return o.After
	}
	return o
}

// Membership says that a user belongs to an organization.
type Membership struct {
	Role  string // admin, write, contributor, read, no_access
	Since time.Time
}

// ApprovalRequest is an open question to an organization's administrators.
type ApprovalRequest struct {
	ID string
	// Round is how many requests the token made of the organization before.
	Round    int
	State    string
	OpenedAt time.Time
	// Grants are the grants that were asked for when the request was opened.
	Grants *GrantSet
}

// Authorization is what holds between one token and one organization.
type Authorization struct {
	State     string
	Grants    *GrantSet // what was approved
	ExpiresAt time.Time // the approval's end; zero: none
	Suspended bool
	// AdminCreated: the owner was an administrator of the organization when
	// the token was made, and still is.
	AdminCreated bool
	// ChangedAt is when the state or the suspension last changed.
	ChangedAt time.Time
	// Comment is the administrators' word to the owner.
	Comment string
	// Request is the latest approval request, nil if there was none.
	Request *ApprovalRequest
}

// Access is what holds between a token and an organization, and what the token
// may use there, as a snapshot fills it in for one request; see [Facts] for the
// two sets.
type Access struct {
	Authorization Authorization
	// Request is where Authorization.Request points, where there is one.
	Request   ApprovalRequest
	Current   *GrantSet
	Effective *GrantSet
}
