package preview

import (
	"context"
	"runtime"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Limits of a report.
const (
	DefaultDays = 30
	MaxDays     = 90 // usage is kept no longer
	MostOwners  = 100
	MostTokens  = 200_000 // that a list holds
)

// Change is what is thought of: a change of policy, enforcement and existing
// tokens, and settings beside it. One that changes nothing previews a dated
// change that is set already.
type Change struct {
	Policy   inventory.SetPolicy
	Settings map[string]any // nil takes one back
	// Days is how far back usage is looked at; 0: [DefaultDays].
	Days int
	// Owner is the name of whose tokens alone are judged; "": all.
	Owner string
}

// Query narrows the list of tokens; the counts are whole.
type Query struct {
	// Outcome is one of [Breaks] (the default), [Starts], [Approved], [Waived]
	// and [Refused].
	Outcome string
	Owner   string
	Reason  string
	inventory.Page
}

// Snapshot is the inventory in memory.
type Snapshot interface {
	TokenByID(id string, t *authz.Token) bool
	Organization(name string) *authz.Organization
	Membership(*authz.Organization, *authz.Owner) *authz.Membership
	Access(*authz.Token, *authz.Organization, *authz.Access)
	Change() int64
}

// Store reads what the snapshot does not hold.
type Store interface {
	// Would returns an organization as it is and as a change would leave it.
	Would(ctx context.Context, set inventory.SetPolicy, settings map[string]any) (before, after *inventory.Organization, err error)
	// Reached returns the tokens that reach an organization after one, by their
	// ids, with how they were used since a time; of one owner, by name, or of all.
	Reached(ctx context.Context, organization, owner, after string, since time.Time, size int) ([]Reached, error)
	// Known says since when usage is known (zero: none is), and how many tokens
	// in no inventory were seen since a time, with how many requests.
	Known(ctx context.Context, organization string, since time.Time) (usage time.Time, unknown int, requests int64, err error)
}

// Reached is a token that reaches an organization, and how it was used there.
type Reached struct {
	Token string // id
	// Seen: a use of it was recorded at some time, allowed or refused.
	Seen   bool
	UsedAt time.Time // the last request that was allowed; zero: never
	// Requests that were allowed since, and what for, the most frequent first.
	Requests int64
	Uses     []Use
}

// Use is what a token was used for.
type Use struct {
	Type, Resource, Permission string
	Requests                   int64
}

// MostUses is how many uses of a token matter.
const MostUses = 4

// Options of a Previewer; all are required but Workers and Clock.
type Options struct {
	Store    Store
	Snapshot func() Snapshot
	// Rules are those of the active bundle; nil while there is none.
	Rules func() *authz.Ruleset
	// Judge decides on facts as the pipeline does on those of requests.
	Judge func(context.Context, *authz.Ruleset, *authz.Facts) (authz.Decision, error)
	// Sentence is what a client is told that is refused; "" of nil.
	Sentence func(*authz.Outcome) string
	// Freeze builds an organization's part of the input ahead of time.
	Freeze func(*authz.Organization) any
	// Workers judge at the same time; default half of the processors: requests
	// go on meanwhile.
	Workers int
	Clock   func() time.Time
}

// Previewer makes reports, one at a time: they take the processor.
type Previewer struct {
	Options
	turn chan struct{}
	kept kept
}

// New makes a previewer.
func New(o Options) *Previewer {
	if o.Workers <= 0 {
		o.Workers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Previewer{Options: o, turn: make(chan struct{}, 1)}
}
