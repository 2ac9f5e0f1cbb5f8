package usage

import "time"

// Report is how a token was used: at an organization, or everywhere.
type Report struct {
	// Since is from when on usage is shown: from when it is known, or asked for.
	Since         time.Time  `json:"since"`
	LastUsedAt    *time.Time `json:"last_used_at,omitempty"`    // the last request that was allowed
	LastRefusedAt *time.Time `json:"last_refused_at,omitempty"` // and refused
	// Days are all days since, those without requests too.
	Days      []DayUse      `json:"days"`
	Resources []ResourceUse `json:"resources"` // the most used first, at most 100
	Networks  []NetworkUse  `json:"networks"`  // the latest first, at most 100
	Reasons   []ReasonUse   `json:"reasons"`
}

// DayUse counts the requests of a day.
type DayUse struct {
	Day     string `json:"day"` // 2026-06-01
	Allowed int64  `json:"allowed"`
	Refused int64  `json:"refused"`
}

// ResourceUse counts the requests on a resource for a permission. Resource is
// [Other] for those that were too many to keep apart.
type ResourceUse struct {
	Type       string    `json:"type,omitempty"`
	Resource   string    `json:"resource,omitempty"`
	Permission string    `json:"permission,omitempty"`
	Allowed    bool      `json:"allowed"`
	Requests   int64     `json:"requests"`
	LastAt     time.Time `json:"last_at"`
}

// NetworkUse counts the requests from a network.
type NetworkUse struct {
	Network  string    `json:"network"`
	Requests int64     `json:"requests"`
	LastAt   time.Time `json:"last_at"`
}

// ReasonUse counts the requests that came out with a reason.
type ReasonUse struct {
	Reason   string    `json:"reason"`
	Allowed  bool      `json:"allowed"`
	Requests int64     `json:"requests"`
	LastAt   time.Time `json:"last_at"`
}

// Overview is how an organization's tokens were used, all together. Requests
// with unknown tokens, and without one, are not in it.
type Overview struct {
	// Since is from when on usage is shown: from when it is known, or asked for.
	Since time.Time `json:"since"`
	// KnownSince is from when on usage is known, however long ago that is; nil:
	// none is yet. A token that was not used since then may have been before.
	KnownSince *time.Time `json:"known_since,omitempty"`
	// Days are all days since, those without requests too.
	Days []OverviewDay `json:"days"`
	// Reasons are those of all days, the most frequent first.
	Reasons []ReasonUse `json:"reasons"`
}

// OverviewDay counts the requests of a day; Reasons are those of refusals.
type OverviewDay struct {
	DayUse
	Reasons map[string]int64 `json:"reasons,omitempty"`
}

// Event is an entry of a token's timeline.
type Event struct {
	Time time.Time `json:"time"`
	// Kind is audit (a change that somebody made), request (an approval request
	// was opened or ended beside a change of something else), usage (a day's
	// requests with one outcome) or finding.
	Kind string `json:"kind"`
	// What happened: the audit's action, "opened" or a decision, a reason, or the
	// finding's name.
	What         string         `json:"what"`
	Organization string         `json:"organization,omitempty"`
	By           string         `json:"by,omitempty"`
	Allowed      bool           `json:"allowed,omitempty"`
	Requests     int64          `json:"requests,omitempty"`
	Networks     int64          `json:"networks,omitempty"`
	Text         string         `json:"text,omitempty"`
	Details      map[string]any `json:"details,omitempty"`
}

// Kinds of a timeline's events.
const (
	EventAudit   = "audit"
	EventRequest = "request"
	EventUsage   = "usage"
	EventFinding = "finding"
)

// Discovered is an unknown token that was seen at an organization which only
// observes. Its digest is what an import takes to make it known.
type Discovered struct {
	Digest     string    `json:"digest"` // keyed, in hex
	Host       string    `json:"host,omitempty"`
	Network    string    `json:"network,omitempty"`
	Permission string    `json:"permission,omitempty"` // that the latest request asked for
	Requests   int64     `json:"requests"`
	FirstAt    time.Time `json:"first_at"`
	LastAt     time.Time `json:"last_at"`
}
