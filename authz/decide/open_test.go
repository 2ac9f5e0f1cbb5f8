package decide_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/decide"
)

// store opens requests when it is told to, with the answer that it is told.
type store struct {
	asked    chan [2]string
	answer   chan error
	declines bool // has nothing to ask
}

func newStore() *store { return &store{asked: make(chan [2]string, 4096), answer: make(chan error)} }

func (s *store) OpenRequest(ctx context.Context, token, organization string) (*authz.ApprovalRequest, error) {
	s.asked <- [2]string{token, organization}
	select {
	case err := <-s.answer:
		if err != nil {
			return nil, err
		}
		if s.declines {
			return nil, nil
		}
		return &authz.ApprovalRequest{ID: "q-" + token, State: authz.RequestOpen}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// waits are what somebody waits for, by how long: each ends when the test says so.
type waits struct {
	mu sync.Mutex
	by map[time.Duration]chan wait
}

type wait chan time.Time

func (w *waits) of(d time.Duration) chan wait {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[d] == nil {
		w.by[d] = make(chan wait, 4096)
	}
	return w.by[d]
}

func (w *waits) after(d time.Duration) <-chan time.Time {
	one := make(wait, 1)
	w.of(d) <- one
	return one
}

// next is the next wait of that span, once somebody waits.
func (w *waits) next(d time.Duration) wait { return <-w.of(d) }

func (w wait) over() { w <- time.Time{} }

// pending decides on a token that waits for an approval, with a slow store.
func pending(s *store, latest ...*authz.ApprovalRequest) (*decide.Pipeline, *waits, func(token string) *authz.Outcome) {
	w := sound()
	w.policy.decision = authz.Decision{Reason: "policy_denied", Reasons: []string{"policy_denied"}, RequestApproval: true}
	if len(latest) > 0 {
		w.inventory.authorization.Request = latest[0]
	}
	var mu sync.Mutex
	after := &waits{by: map[time.Duration]chan wait{}}
	p := decide.New(decide.Options{
		Policy: policy{w.ruleset()}, Inventory: w.inventory, Digester: digester{}, Opener: s, After: after.after, Clock: func() time.Time { return now },
	})
	return p, after, func(token string) *authz.Outcome {
		mu.Lock()
		other := *w.inventory.token
		other.ID = token
		w.inventory.token = &other
		mu.Unlock()
		return p.Decide(context.Background(), w.request)
	}
}

func inBackground(f func() *authz.Outcome) chan *authz.Outcome {
	out := make(chan *authz.Outcome, 1)
	go func() { out <- f() }()
	return out
}

// TestADecisionWaitsForTheStoreWithinItsBound: the answer names the request that
// was opened in that time, or says that it is opening. The bound is 50 ms.
func TestADecisionWaitsForTheStoreWithinItsBound(t *testing.T) {
	s := newStore()
	p, after, ask := pending(s)
	answer := inBackground(func() *authz.Outcome { return ask("t") })
	<-s.asked
	s.answer <- nil
	if got := (<-answer).Approval; got == nil || got.ID != "q-t" || got.State != authz.RequestOpen {
		t.Errorf("a store that answers: %+v", got)
	}
	after.next(50 * time.Millisecond) // which never ended

	answer = inBackground(func() *authz.Outcome { return ask("slow") })
	<-s.asked
	select {
	case o := <-answer:
		t.Fatalf("it did not wait: %+v", o.Approval)
	default:
	}
	after.next(50 * time.Millisecond).over()
	o := <-answer
	if got := o.Approval; got == nil || got.State != authz.RequestOpening || o.Decision.Allowed || o.Decision.Reason != "policy_denied" {
		t.Errorf("a slow store: %+v, %+v", o.Decision, got)
	}
	// Who comes meanwhile waits for the same work, and is told of its end.
	again := inBackground(func() *authz.Outcome { return ask("slow") })
	second := after.next(50 * time.Millisecond)
	s.answer <- nil
	if got := (<-again).Approval; got == nil || got.ID != "q-slow" {
		t.Errorf("who came meanwhile: %+v", got)
	}
	second.over()
	p.Close()
	if len(s.asked) > 0 || p.OpeningFailures() != 0 {
		t.Errorf("the store was asked %d times more, %d failures", len(s.asked), p.OpeningFailures())
	}
}

// TestAFailingStoreIsTriedAgainInTheBackground, ever more slowly, and each
// failure is counted.
func TestAFailingStoreIsTriedAgainInTheBackground(t *testing.T) {
	s := newStore()
	p, after, ask := pending(s)
	answer := inBackground(func() *authz.Outcome { return ask("t") })
	<-s.asked
	s.answer <- errors.New("disk full")
	after.next(50 * time.Millisecond).over()
	if got := (<-answer).Approval; got == nil || got.State != authz.RequestOpening || got.ID != authz.RequestID("t", "o", 0) {
		t.Errorf("a failing store: %+v", got)
	}
	for i, pause := range []int{20, 40, 80, 160, 320, 640, 1280, 2560, 5000, 5000} {
		after.next(time.Duration(pause) * time.Millisecond).over()
		if got := <-s.asked; got != [2]string{"t", "o"} {
			t.Errorf("tried again for %v", got)
		}
		if got := p.OpeningFailures(); got != int64(i+1) {
			t.Errorf("%d failures are counted, not %d", got, i+1)
		}
		if i < 9 {
			s.answer <- errors.New("disk full")
		}
	}
	// A later hit waits for the same attempt.
	later := inBackground(func() *authz.Outcome { return ask("t") })
	after.next(50 * time.Millisecond)
	s.answer <- nil
	if got := (<-later).Approval; got == nil || got.ID != "q-t" {
		t.Errorf("after the store came back: %+v", got)
	}
	p.Close()
	if len(s.asked) > 0 || p.OpeningFailures() != 10 {
		t.Errorf("the store was asked %d times more, %d failures", len(s.asked), p.OpeningFailures())
	}
}

// TestWhatWaitsForTheStoreIsBounded: 1024 requests; one more is answered at
// once, counted, and left to its next hit.
func TestWhatWaitsForTheStoreIsBounded(t *testing.T) {
	s := newStore()
	p, after, ask := pending(s)
	for i := range 1024 {
		answer := inBackground(func() *authz.Outcome { return ask(fmt.Sprint(i)) })
		<-s.asked
		after.next(50 * time.Millisecond).over()
		<-answer
	}
	if p.OpeningFailures() != 0 {
		t.Fatalf("%d failures within the bound", p.OpeningFailures())
	}
	if got := ask("one more").Approval; got == nil || got.State != authz.RequestOpening || len(s.asked) > 0 || p.OpeningFailures() != 1 {
		t.Errorf("beyond the bound: %+v, %d asked, %d failures", got, len(s.asked), p.OpeningFailures())
	}
	for range 1024 {
		s.answer <- nil
	}
	p.Close()
}

// TestARequestIsNamedBeforeItIsOpen by the round that the snapshot knows; where
// the store has nothing to ask, no id is told that nothing will have.
func TestARequestIsNamedBeforeItIsOpen(t *testing.T) {
	for name, c := range map[string]struct {
		latest   *authz.ApprovalRequest
		declines bool
		want     authz.ApprovalRequest
	}{
		"the first":                  {nil, false, authz.ApprovalRequest{ID: authz.RequestID("t", "o", 0), State: "opening"}},
		"after one that was decided": {&authz.ApprovalRequest{ID: "q", Round: 4, State: "decided"}, false, authz.ApprovalRequest{ID: authz.RequestID("t", "o", 5), Round: 5, State: "opening"}},
		"after a withdrawn one":      {&authz.ApprovalRequest{ID: "q", Round: 1, State: "withdrawn"}, false, authz.ApprovalRequest{ID: authz.RequestID("t", "o", 2), Round: 2, State: "opening"}},
		"a withdrawn one that rests": {&authz.ApprovalRequest{ID: "q", Round: 1, State: "withdrawn"}, true, authz.ApprovalRequest{ID: "q", Round: 1, State: "withdrawn"}},
		"no room for another":        {nil, true, authz.ApprovalRequest{State: "opening"}},
	} {
		s := newStore()
		s.declines = c.declines
		p, after, ask := pending(s, c.latest)
		answer := inBackground(func() *authz.Outcome { return ask("t") })
		<-s.asked
		bound := after.next(50 * time.Millisecond)
		if c.declines {
			s.answer <- nil
		} else {
			bound.over()
		}
		if got := (<-answer).Approval; got == nil || *got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if !c.declines {
			s.answer <- nil
		}
		p.Close()
	}
}

// TestWhatTheStoreDeclinedIsNotAskedAgainForASecond: neither the same token, nor,
// after four of an owner's tokens, the others of the owner. What the store does
// not know it is asked about for every token.
func TestWhatTheStoreDeclinedIsNotAskedAgainForASecond(t *testing.T) {
	s := newStore()
	s.declines = true
	clock := now
	p, _, ask := pending(s)
	defer p.Close()
	p.Clock = func() time.Time { return clock }
	declined := func(token string) bool {
		answer := inBackground(func() *authz.Outcome { return ask(token) })
		select {
		case <-s.asked:
			s.answer <- nil
			<-answer
			return true
		case o := <-answer:
			if got := o.Approval; got == nil || got.ID != "" || got.State != authz.RequestOpening || o.Decision.Allowed {
				t.Errorf("%s: %+v", token, o.Approval)
			}
			return false
		}
	}
	for _, step := range []struct {
		token string
		after time.Duration
		asks  bool
	}{
		{"a", 0, true},
		{"a", 0, false},
		{"a", 999 * time.Millisecond, false},
		{"b", 0, true},
		{"b", 0, false},
		{"a", time.Millisecond, true},
		{"b", 0, true},
		{"c", 0, true},
		{"d", 0, true},
		{"e", 0, false},
		{"f", 999 * time.Millisecond, false},
		{"e", time.Millisecond, true},
		{"a", 0, true},
	} {
		clock = clock.Add(step.after)
		if got := declined(step.token); got != step.asks {
			t.Errorf("%s after %s: asked %v", step.token, clock.Sub(now), got)
		}
	}
}
