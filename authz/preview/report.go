package preview

import "time"

// What becomes of a token. Every token that is not disabled is one of them.
const (
	// Breaks: something that it was tried on is allowed now and would be refused.
	Breaks = "breaks"
	// Starts: something is refused now and would be allowed.
	Starts = "starts"
	// Approved: it goes on because existing_tokens would approve it.
	Approved = "approved"
	// Waived: it goes on because what the policy has against it is waived:
	// the organization observes, or an exception holds.
	Waived = "waived"
	// GoesOn: it is allowed, as it is now.
	GoesOn = "goes_on"
	// Refused: it is refused, as it is now.
	Refused = "refused"
)

// Preview says whom a change would break.
type Preview struct {
	Organization string `json:"organization"`
	ManagedBy    string `json:"managed_by,omitempty" doc:"Who keeps the policy elsewhere"`
	Revision     string `json:"revision" doc:"The bundle by which it was judged"`
	// At is the moment for which it was judged: now, or the date of a dated change.
	At     time.Time     `json:"at" doc:"For when it was judged: now, or the date of a dated change"`
	From   Chosen        `json:"from"`
	To     Chosen        `json:"to"`
	Counts OutcomeCounts `json:"counts"`
	// Reasons are those for which tokens would break, the most frequent first.
	Reasons []ReasonCount `json:"reasons" doc:"For which tokens would break; a token counts under the first that applies"`
	// Waived are the reasons that would be waived.
	Waived []ReasonCount `json:"waived,omitempty" doc:"Why tokens would be refused if nothing were waived"`
	// Owners whose tokens would break, the most used first, at most [MostOwners].
	Owners   []OwnerCount     `json:"owners" doc:"Whose tokens would break, the most used first, at most 100"`
	Statuses []StatusCount    `json:"statuses" doc:"What becomes of tokens by the status that they have now"`
	Requests RequestCounts    `json:"requests"`
	Existing *ExistingOutcome `json:"existing_tokens,omitempty"`
	Coverage Coverage         `json:"coverage"`
	Tokens   []TokenOutcome   `json:"tokens" doc:"A page of them, the most used first"`
	Next     string           `json:"next,omitempty" doc:"The cursor of the page that follows"`
	Elapsed  int64            `json:"elapsed_ms"`
}

// Chosen is what an organization has chosen.
type Chosen struct {
	TokenPolicy string         `json:"token_policy"`
	Enforcement string         `json:"enforcement"`
	Settings    map[string]any `json:"settings,omitempty"`
}

// OutcomeCounts of tokens, by what becomes of them.
type OutcomeCounts struct {
	Tokens   int `json:"tokens" doc:"That reach the organization"`
	Breaks   int `json:"breaks"`
	Owners   int `json:"owners" doc:"Whose tokens break"`
	Used     int `json:"used" doc:"Of those that break, used in the days looked at"`
	Starts   int `json:"starts"`
	Approved int `json:"approved"`
	Waived   int `json:"waived"`
	GoesOn   int `json:"goes_on"`
	Refused  int `json:"refused" doc:"Refused as they are now"`
	Disabled int `json:"disabled" doc:"Disabled everywhere, and not judged"`
	// Unjudged could not be judged: see Coverage.Error.
	Unjudged int `json:"unjudged"`
}

// ReasonCount counts the tokens that a reason concerns.
type ReasonCount struct {
	Reason   string `json:"reason"`
	Title    string `json:"title,omitempty"`
	Tokens   int    `json:"tokens"`
	Owners   int    `json:"owners"`
	Used     int    `json:"used" doc:"Of these, used in the days looked at"`
	Requests int64  `json:"requests" doc:"That these made and were allowed"`
}

// OwnerCount is somebody whose tokens would break.
type OwnerCount struct {
	Owner    string         `json:"owner"`
	Tokens   int            `json:"tokens"`
	Used     int            `json:"used"`
	Requests int64          `json:"requests"`
	Reasons  map[string]int `json:"reasons"`
}

// StatusCount counts what becomes of the tokens that have a status now.
type StatusCount struct {
	Status   string `json:"status" doc:"none, pending, approved, approval_ended, denied, suspended, revoked"`
	Tokens   int    `json:"tokens"`
	Breaks   int    `json:"breaks"`
	Starts   int    `json:"starts"`
	Approved int    `json:"approved"`
	Waived   int    `json:"waived"`
	GoesOn   int    `json:"goes_on"`
	Refused  int    `json:"refused"`
}

// RequestCounts are approval requests after the change.
type RequestCounts struct {
	// Asking tokens would wait for an approval; of them, Open have a request
	// open already, and the others open one: at once, or when they are used.
	Asking int `json:"asking" doc:"Tokens that would have to be asked for"`
	Open   int `json:"open" doc:"Of these, with a request that is open already, or was frozen and resumes"`
}

// ExistingOutcome is what existing_tokens would do.
type ExistingOutcome struct {
	Mode     string `json:"mode"`
	Asked    int    `json:"asked,omitempty" doc:"Requests that would be opened at once"`
	Approved int    `json:"approved,omitempty" doc:"Tokens that would be approved"`
	Left     int    `json:"left,omitempty" doc:"Tokens that would have to ask still: not used of late, or decided on"`
}

// Coverage says what the report rests on.
type Coverage struct {
	Days int `json:"days"`
	// Since is from when on usage was looked at; nil: none was ever recorded.
	Since *time.Time `json:"since,omitempty" doc:"From when on usage is known and was looked at; absent: none was recorded"`
	// Used tokens were used in these days, NeverSeen ones never at all.
	Used      int `json:"used" doc:"Tokens that were used in these days, and were tried on what they were used for"`
	NeverSeen int `json:"never_seen" doc:"Tokens of which no use was ever recorded"`
	// Unknown tokens were discovered in traffic: nobody can say what becomes of them.
	Unknown         int   `json:"unknown" doc:"Tokens that were discovered in traffic and are in no inventory: enforced, each is refused"`
	UnknownRequests int64 `json:"unknown_requests"`
	// Error is why tokens could not be judged.
	Error string `json:"error,omitempty" doc:"Why tokens could not be judged"`
	// Truncated: more tokens than [MostTokens] would be listed.
	Truncated bool `json:"truncated,omitempty" doc:"The list of tokens was cut; the counts are whole"`
}

// TokenOutcome is a token, and what becomes of it.
type TokenOutcome struct {
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	Last4       string `json:"last4,omitempty"`
	Owner       string `json:"owner"`
	Kind        string `json:"kind"`
	Status      string `json:"status" doc:"That it has now"`
	Outcome     string `json:"outcome" doc:"breaks, starts, approved, waived, refused"`
	// Reason is the one that it would get, or that would be waived; Reasons are all.
	Reason  string   `json:"reason,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
	Before  string   `json:"before,omitempty" doc:"The reason that it gets now"`
	// Tried is on how much it was judged, and Broken how much of that breaks.
	Tried      int        `json:"tried" doc:"On how many uses it was judged"`
	Broken     int        `json:"broken" doc:"How many of these break"`
	Asks       bool       `json:"asks,omitempty" doc:"It would have to be asked for"`
	Requests   int64      `json:"requests" doc:"That it made and were allowed, in the days looked at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}
