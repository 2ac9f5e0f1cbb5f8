package notify_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/notify"
)

const day = 24 * time.Hour

// calendar has one request, opened at start; one approval and one token that
// end on day 10; a policy dated for day 20; and findings in acme.
type calendar struct{}

func (calendar) Open(context.Context) ([]notify.Dated, error) {
	return []notify.Dated{{Organization: "acme", Token: "open", Request: "r", At: start}}, nil
}

func ending(token string, from, before time.Time) ([]notify.Dated, error) {
	if end := start.Add(10 * day); !end.Before(from) && end.Before(before) {
		return []notify.Dated{{Organization: "acme", Token: token, At: end}}, nil
	}
	return nil, nil
}

func (calendar) ApprovalsEnding(_ context.Context, from, before time.Time) ([]notify.Dated, error) {
	return ending("approved", from, before)
}

func (calendar) TokensExpiring(_ context.Context, from, before time.Time) ([]notify.Dated, error) {
	return ending("expiring", from, before)
}

func (calendar) Policies(_ context.Context, before time.Time) ([]notify.Dated, error) {
	if at := start.Add(20 * day); at.Before(before) {
		return []notify.Dated{{Organization: "acme", At: at}}, nil
	}
	return nil, nil
}

func (calendar) Stopped(context.Context, string) ([]string, error) { return []string{"bob"}, nil }

func (calendar) Told(context.Context) ([]notify.Told, error) { return nil, nil }

func (calendar) Findings(context.Context) ([]string, error) { return []string{"acme"}, nil }

func TestWhatTimeBringsIsToldOnce(t *testing.T) {
	q := newQueue()
	p := notify.NewPlanner(q, calendar{})
	got := map[string][]int{}
	for hour := range 24 * 22 {
		now := start.Add(time.Duration(hour) * time.Hour)
		if err := p.Plan(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		events, _ := q.Events(t.Context(), now, 1000*day, 100)
		for _, e := range events {
			got[e.Kind] = append(got[e.Kind], hour/24)
		}
	}
	want := map[string][]int{
		notify.ApprovalReminder:  {3, 6, 9, 12, 15, 18, 21},
		notify.ApprovalEscalated: {14},
		notify.ApprovalEnds:      {3, 9},
		notify.ApprovalEnded:     {10},
		notify.TokenExpires:      {3, 9},
		notify.PolicyDated:       {6, 17, 19},
		notify.PolicyComing:      {6, 17, 19},
		notify.HygieneDigest:     {5, 12, 19}, // Mondays, at midnight
	}
	for kind, days := range want {
		if !slices.Equal(got[kind], days) {
			t.Errorf("%s came on days %v, want %v", kind, got[kind], days)
		}
	}
}
