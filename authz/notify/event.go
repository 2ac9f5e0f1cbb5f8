package notify

import (
	"slices"
	"time"
)

// Kinds of events.
const (
	ApprovalRequested = "approval_requested"
	ApprovalReminder  = "approval_reminder"
	ApprovalEscalated = "approval_escalated"
	ApprovalChanged   = "approval_changed"
	ApprovalVoted     = "approval_voted"
	ApprovalAssigned  = "approval_assigned"
	OwnerAsked        = "owner_asked"
	TokenApproved     = "token_approved"
	TokenDenied       = "token_denied"
	TokenRevoked      = "token_revoked"
	TokenSuspended    = "token_suspended"
	TokenResumed      = "token_resumed"
	ApprovalEnds      = "approval_ends"
	ApprovalEnded     = "approval_ended"
	TokenRotated      = "token_rotated"
	TokenReused       = "token_reused"
	TokenExpires      = "token_expires"
	PolicyDated       = "policy_dated"
	PolicyMoved       = "policy_moved"
	PolicyComing      = "policy_coming"
	HygieneDigest     = "hygiene_digest"
	// AddressConfirmation asks whether an address is its user's.
	AddressConfirmation = "address_confirmation"
	Test                = "test"
)

// Audiences: for whom a message is written.
const (
	// Administrators of the organization.
	Administrators = "administrators"
	// Owner of the token.
	Owner = "owner"
	// Responsible are those who answer for the owner, a service account. They are
	// told what it is, by the same templates.
	Responsible = "responsible"
	// Addressee is whoever reads an address that is not confirmed.
	Addressee = "addressee"
	// Operators of patrol: the addresses of the configuration.
	Operators = "operators"
)

// audiences says who is told of which kind of event.
var audiences = map[string][]string{
	ApprovalRequested:   {Administrators, Owner},
	ApprovalReminder:    {Administrators},
	ApprovalEscalated:   {Operators},
	ApprovalChanged:     {Administrators},
	ApprovalVoted:       {Administrators},
	ApprovalAssigned:    {Administrators},
	OwnerAsked:          {Owner},
	TokenApproved:       {Owner},
	TokenDenied:         {Owner},
	TokenRevoked:        {Owner},
	TokenSuspended:      {Owner},
	TokenResumed:        {Owner},
	ApprovalEnds:        {Owner},
	ApprovalEnded:       {Owner},
	TokenRotated:        {Owner},
	TokenReused:         {Administrators, Owner},
	TokenExpires:        {Owner},
	PolicyDated:         {Owner},
	PolicyMoved:         {Owner},
	PolicyComing:        {Administrators},
	HygieneDigest:       {Administrators},
	AddressConfirmation: {Addressee},
	Test:                {Operators},
}

// Kinds lists the kinds of events, sorted.
func Kinds() []string {
	kinds := make([]string, 0, len(audiences))
	for k := range audiences {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	return kinds
}

// gathered are the kinds of which several may go into one message.
var gathered = map[string]bool{ApprovalRequested: true, ApprovalChanged: true, ApprovalReminder: true, TokenExpires: true, ApprovalEnds: true, PolicyDated: true}

// aboutPolicy are the kinds that tell of a dated change of policy.
var aboutPolicy = map[string]bool{PolicyDated: true, PolicyMoved: true, PolicyComing: true}

// late are the kinds that are told late where nobody planned when they were due.
var late = map[string]bool{ApprovalEnded: true, HygieneDigest: true}

// pendingOnly are the kinds that say nothing once the request is decided.
var pendingOnly = map[string]bool{
	ApprovalRequested: true, ApprovalChanged: true, ApprovalVoted: true, ApprovalAssigned: true, ApprovalReminder: true, ApprovalEscalated: true, OwnerAsked: true,
}

// Event is something that people may have to be told. Ids are the inventory's;
// an empty one means that the event is about none.
type Event struct {
	ID           int64
	Kind         string
	Organization string
	Token        string
	Request      string
	// Key makes an event unique: one that is there already is not added again.
	Key     string
	Created time.Time
	// Owner is the name of whom the event is about, where it is no single token.
	Owner string
	// At is the moment that the event is about, where it may be moved: what was
	// to be told of another one is not told. Of what was planned late it is when it
	// was due.
	At time.Time
}

// Channels on which messages go.
const (
	Mail    = "mail"
	Webhook = "webhook"
)

// Job is a message to one recipient, as queued.
type Job struct {
	ID       int64
	Event    Event
	Channel  string
	Audience string
	// Recipient is a mail address, or a webhook's name.
	Recipient string
	// Attempts that failed before this one.
	Attempts int
	// NextAt is when the job is due.
	NextAt time.Time
}
