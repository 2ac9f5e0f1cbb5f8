package preview

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// Recorded is a decision that was recorded, with what it was made on.
type Recorded struct {
	RequestID string
	Time      time.Time
	// Organization that it was about, "" where it was about none.
	Organization string
	Was          authz.Decision
	// Facts with the request, as far as they were kept; nil where none were.
	Facts *authz.Facts
}

// Simulation says what rules would make of recorded decisions. Recorded decisions
// are judged by the function that judges requests, and what becomes of each is told
// as a preview tells it: [Breaks], [Starts], [Waived], [GoesOn], [Refused].
type Simulation struct {
	Revision string `json:"revision"` // of the bundle by which it was judged
	// Records that were read: each was judged, or not, or is none of the policy's.
	Records  int        `json:"records"`
	Since    *time.Time `json:"since,omitempty"` // the earliest
	Until    *time.Time `json:"until,omitempty"` // the latest
	Judged   int        `json:"judged"`
	Changed  int        `json:"changed"`
	Breaks   int        `json:"breaks"`       // allowed, and would be refused
	Starts   int        `json:"starts"`       // refused, and would be allowed
	Reworded int        `json:"other_reason"` // as before, for another reason
	// BeforePolicy were refused before a policy was asked.
	BeforePolicy int `json:"before_policy"`
	// Unjudged could not be judged, and are no allows.
	Unjudged int               `json:"unjudged"`
	Changes  []SimulatedChange `json:"changes"` // what breaks first, then the most frequent
	Errors   []SimulatedError  `json:"errors"`

	rules   *authz.Ruleset
	judge   func(context.Context, *authz.Ruleset, *authz.Facts) (authz.Decision, error)
	changes map[changeKey]*SimulatedChange
	errors  map[string]*SimulatedError
}

// SimulatedChange counts decisions that would come out otherwise.
type SimulatedChange struct {
	Organization string `json:"organization,omitempty"` // absent: none
	Outcome      string `json:"outcome"`
	From         string `json:"from"`
	To           string `json:"to"`
	Requests     int    `json:"requests"`
	// Examples are requests' ids, the first ones.
	Examples []string `json:"examples"`
}

// SimulatedError counts records that could not be judged.
type SimulatedError struct {
	Error   string `json:"error"`
	Records int    `json:"records"`
	// Places in what was read, the first ones.
	Places []string `json:"places"`
}

type changeKey struct{ organization, outcome, from, to string }

const (
	mostExamples = 3
	// mostKinds bounds how many kinds of errors are told apart.
	mostKinds  = 100
	otherKinds = "other errors"
)

// NewSimulation begins one. Judge decides on facts as the pipeline does on those
// of requests.
func NewSimulation(rules *authz.Ruleset, judge func(context.Context, *authz.Ruleset, *authz.Facts) (authz.Decision, error)) *Simulation {
	return &Simulation{Revision: rules.Revision, rules: rules, judge: judge, changes: map[changeKey]*SimulatedChange{}, errors: map[string]*SimulatedError{}}
}

// Add judges a recorded decision, and takes note of what would become of it.
// Place is where it was read.
func (s *Simulation) Add(ctx context.Context, r *Recorded, place string) {
	s.Records++
	if at := r.Time; !at.IsZero() {
		if s.Since == nil || at.Before(*s.Since) {
			s.Since = &at
		}
		if s.Until == nil || at.After(*s.Until) {
			s.Until = &at
		}
	}
	if r.Facts == nil && authz.BuiltinReasons[r.Was.Reason] != nil && r.Was.Reason != authz.ReasonPolicyError {
		s.BeforePolicy++
		return
	}
	if r.Facts == nil {
		s.fail("the record has no facts", place)
		return
	}
	would, err := s.judge(ctx, s.rules, r.Facts)
	if err != nil {
		s.fail(err.Error(), place)
		return
	}
	s.Judged++
	if r.Was.Allowed == would.Allowed && r.Was.Reason == would.Reason {
		return
	}
	s.changed(r, &would)
}

func (s *Simulation) changed(r *Recorded, would *authz.Decision) {
	s.Changed++
	outcome := outcomeOf(&r.Was, would)
	switch outcome {
	case Breaks:
		s.Breaks++
	case Starts:
		s.Starts++
	default:
		s.Reworded++
	}
	key := changeKey{r.Organization, outcome, r.Was.Reason, would.Reason}
	c := s.changes[key]
	if c == nil {
		c = &SimulatedChange{Organization: key.organization, Outcome: outcome, From: key.from, To: key.to, Examples: []string{}}
		s.changes[key] = c
	}
	c.Requests++
	if len(c.Examples) < mostExamples && r.RequestID != "" {
		c.Examples = append(c.Examples, r.RequestID)
	}
}

// Fail takes note of a record that cannot be read.
func (s *Simulation) Fail(err error, place string) {
	s.Records++
	s.fail(err.Error(), place)
}

func (s *Simulation) fail(why, place string) {
	s.Unjudged++
	if s.errors[why] == nil {
		if len(s.errors) >= mostKinds {
			why = otherKinds
		}
		if s.errors[why] == nil {
			s.errors[why] = &SimulatedError{Error: why, Places: []string{}}
		}
	}
	e := s.errors[why]
	e.Records++
	if len(e.Places) < mostExamples {
		e.Places = append(e.Places, place)
	}
}

// Finish puts the counts in order.
func (s *Simulation) Finish() {
	s.Changes, s.Errors = []SimulatedChange{}, []SimulatedError{}
	for c := range maps.Values(s.changes) {
		s.Changes = append(s.Changes, *c)
	}
	slices.SortFunc(s.Changes, func(a, b SimulatedChange) int {
		return cmp.Or(weight[b.Outcome]-weight[a.Outcome], b.Requests-a.Requests, strings.Compare(a.Organization, b.Organization), strings.Compare(a.From, b.From), strings.Compare(a.To, b.To))
	})
	for e := range maps.Values(s.errors) {
		s.Errors = append(s.Errors, *e)
	}
	slices.SortFunc(s.Errors, func(a, b SimulatedError) int { return cmp.Or(b.Records-a.Records, strings.Compare(a.Error, b.Error)) })
}
