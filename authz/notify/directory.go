package notify

import (
	"context"
	"strings"
	"time"
)

// Person is somebody whom messages go to. Email is empty where it is not
// confirmed: nothing on tokens goes there.
type Person struct {
	Name  string
	Email string
}

// Confirmation asks whether an address is its user's.
type Confirmation struct {
	User, Email string
	// Code is what a link to confirm it holds, and Until when it is good.
	Code  string
	Until time.Time
	Link  string // filled in by the sender
}

// Subject is what an event is about, as it stands now.
type Subject struct {
	Organization Organization
	// Token and its Owner; nil where the event is about none.
	Token *Token
	Owner Person
	// Responsible are those who answer for the owner, a service account.
	Responsible []Person
	// Confirm is the address in question; nil in other events.
	Confirm *Confirmation
	// Tokens are what the event is about where it is several; More are those that
	// are not listed.
	Tokens []Token
	More   int
	// Stops says what a dated change of policy will stop.
	Stops *Stops
	// Helpers are the names of administrators whom the owner may ask; none where
	// the owner is no member of the organization.
	Helpers []string
	// Findings of a digest, the worst first.
	Findings []Finding
}

// Organization is an organization as messages show it.
type Organization struct {
	ID, Name        string
	TokenPolicy     string
	NextTokenPolicy string
	EnforceAt       time.Time
	// Title and NextTitle are the policies' in words; "" where none is known.
	Title, NextTitle string
	// Observes: what the policy would refuse goes on.
	Observes bool
	// AsksFrom is from when on an approval is needed, where that is not yet.
	AsksFrom time.Time
	// Gather puts new requests to administrators together: "" at once, or
	// "hourly" or "daily" (organization setting notify_gather).
	Gather string
}

// Token is a token as messages show it: never its secret.
type Token struct {
	ID, Name, Last4, Kind, Owner string
	Purpose                      string
	// Grants in words, for example "repo.write on model acme/m".
	Grants             []string
	CreatedAt, Expires time.Time
	// Status between token and organization, as listings show it.
	Status string
	// Approved in words, and Until when; of an approval.
	Approved []string
	Until    time.Time
	// Comment is the administrators' word to the owner; By is who acted.
	Comment, By string
	// Excepted: an exception of the policy lets it in at present.
	Excepted bool
	// Request is the state of the approval request: open, decided, withdrawn.
	Request string
	AskedAt time.Time
	// Escalated: a reviewer has left the request to the administrators.
	Escalated bool
	// AgainFrom is from when on the owner may ask again after a denial.
	AgainFrom time.Time
	// OldUntil is until when the secret before is accepted too; zero: it is not.
	OldUntil time.Time
	// Why it will stop, in words, and whether an approval can be asked for.
	Why  string
	Asks bool
	// Assignee is who is to decide; Votes are those who have approved already.
	Assignee string
	Votes    []string
	// Recommendation of the review rules; nil: none was made.
	Recommendation *Recommendation
	Link           string // filled in by the sender
}

// Recommendation is what the review rules of the bundle say of a request.
type Recommendation struct {
	// Action is approve, deny or escalate: a person should look.
	Action  string
	Reasons []RecommendationReason
}

// RecommendationReason is what one rule has to say.
type RecommendationReason struct{ Rule, Action, Why string }

// words are a recommendation and its reasons for people.
func (r *Recommendation) words() string {
	if r == nil {
		return ""
	}
	text := r.Action
	if r.Action == "escalate" {
		text = "a person should look"
	}
	var why []string
	for _, one := range r.Reasons {
		why = append(why, one.Why)
	}
	return strings.TrimSuffix(text+": "+strings.Join(why, "; "), ": ")
}

// Stops says what a dated change of policy will stop, as things stand.
type Stops struct {
	Tokens, Owners int
	// Used of the tokens were used in the last Days.
	Used, Days int
	// Since is from when on usage is known; zero: none is.
	Since time.Time
	// Unknown tokens were seen in traffic and are in no inventory.
	Unknown int
}

// Finding is a hygiene problem.
type Finding struct {
	Title, Severity, Advice string
	Token                   Token
}

// Directory tells what an event is about and whom to reach.
type Directory interface {
	// Subject returns what an event is about as it stands now, or nil where it
	// is gone.
	Subject(ctx context.Context, e Event) (*Subject, error)
	// Administrators returns an organization's administrators who have a
	// confirmed address, in a stable order.
	Administrators(ctx context.Context, organizationID string) ([]Person, error)
}

// Queue keeps events and jobs durably. Leases end by themselves.
type Queue interface {
	// Events leases events that have not been addressed yet.
	Events(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]Event, error)
	// Addressed replaces an event by its jobs, once. Nobody says that an
	// audience could not be reached, for the audit log.
	Addressed(ctx context.Context, e Event, jobs []Job, nobody string, now time.Time) error
	// Jobs leases jobs that are due, the oldest first.
	Jobs(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]Job, error)
	// Done ends jobs: state is sent, skipped or dead.
	Done(ctx context.Context, ids []int64, state, problem string, now time.Time) error
	// Again puts jobs back, to be tried from next on.
	Again(ctx context.Context, ids []int64, problem string, next time.Time) error
	// Add adds events; those whose key is there already are left out.
	Add(ctx context.Context, events []Event, now time.Time) error
	// Planned returns until when a part of what time brings was planned, by
	// anybody; zero: never.
	Planned(ctx context.Context, part string) (time.Time, error)
	// SetPlanned notes that parts were planned until a time. An earlier time than
	// what is noted changes nothing.
	SetPlanned(ctx context.Context, parts []string, until time.Time) error
}

// States in which a job ends.
const (
	Sent    = "sent"
	Skipped = "skipped" // settled before it was told, or no longer the recipient's to know
	Dead    = "dead"    // given up; notify retry tries it again
)
