package notify_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
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

// dueEvent is an event as a test reads it: its kind, and for when it was due.
type dueEvent struct {
	kind string
	due  time.Duration // since start; 0: it is told in time
}

// TestWhatWasDueWhilePatrolWasDownIsToldOnceAndLate: ends and digests, after a
// restart, also where the queue fails first.
func TestWhatWasDueWhilePatrolWasDownIsToldOnceAndLate(t *testing.T) {
	monday := 13*day - start.Sub(start.Truncate(24*time.Hour)) // the second one begins in the thirteenth day
	ended, digest := dueEvent{notify.ApprovalEnded, 10 * day}, dueEvent{notify.HygieneDigest, monday}
	inTime := func(kind string) dueEvent { return dueEvent{kind, 0} }
	for _, c := range []struct {
		name       string
		down, up   time.Duration // since start
		want       []dueEvent    // of what came between down and a day after up
		neverBegun bool
	}{
		{"for a day, with nothing due", 7 * day, 8 * day, nil, false},
		{"over an end", 9 * day, 11*day + 6*time.Hour, []dueEvent{{ended.kind, ended.due}}, false},
		{"over an end, for some hours", 10*day - time.Hour, 10*day + 2*time.Hour, []dueEvent{inTime(notify.ApprovalEnded)}, false},
		{"over both", 9 * day, 15 * day, []dueEvent{ended, digest}, false},
		{"until the day itself", 9 * day, monday + 2*time.Hour, []dueEvent{ended, inTime(notify.HygieneDigest)}, false},
		{"for weeks", 9 * day, 32 * day, []dueEvent{ended, {digest.kind, monday + 14*day}}, false},
		{"longer than anything is told late", 9 * day, 105 * day, []dueEvent{{digest.kind, monday + 91*day}}, false},
		{"that is, it never ran", 0, 15 * day, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := newQueue()
			if !c.neverBegun {
				p := notify.NewPlanner(q, calendar{})
				for at := time.Duration(0); at <= c.down; at += time.Hour {
					if err := p.Plan(t.Context(), start.Add(at)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, err := q.Events(t.Context(), start, 1000*day, 1000); err != nil {
				t.Fatal(err)
			}
			var got []dueEvent
			for at := c.up; at < c.up+day; at += time.Hour {
				now := start.Add(at)
				p := notify.NewPlanner(q, calendar{}) // another one each time: nothing is known by heart
				q.failing = errors.New("the database is gone")
				if err := p.Plan(t.Context(), now); err == nil {
					t.Fatal("the planner says nothing of a queue that fails")
				}
				q.failing = nil
				if err := p.Plan(t.Context(), now); err != nil {
					t.Fatal(err)
				}
				events, err := q.Events(t.Context(), now, 1000*day, 1000)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range events {
					if e.Kind != notify.ApprovalEnded && e.Kind != notify.HygieneDigest {
						continue
					}
					d := dueEvent{kind: e.Kind}
					if !e.At.IsZero() {
						d.due = e.At.Sub(start)
					}
					got = append(got, d)
				}
			}
			slices.SortFunc(got, func(x, y dueEvent) int {
				return cmp.Or(strings.Compare(x.kind, y.kind), cmp.Compare(y.due, x.due))
			})
			if !slices.Equal(got, c.want) {
				t.Errorf("came %v, want %v", got, c.want)
			}
		})
	}
}

// TestWhatIsToldLateSaysSo with the day on which it was due.
func TestWhatIsToldLateSaysSo(t *testing.T) {
	templates, err := notify.LoadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	for kind, audience := range map[string]string{notify.ApprovalEnded: notify.Owner, notify.HygieneDigest: notify.Administrators} {
		v := sampled(kind, audience, false)
		v.Token.Until = start.AddDate(0, 0, -5)
		for _, v.Due = range []time.Time{{}, v.Token.Until} {
			m, err := templates.Render(v)
			if err != nil {
				t.Fatal(err)
			}
			late := !v.Due.IsZero()
			for _, text := range []string{m.Text, m.HTML} {
				if strings.Contains(text, "patrol did not run") != late || late && !strings.Contains(text, v.Due.Format(time.DateOnly)) {
					t.Errorf("%s, late %v:\n%s", kind, late, text)
				}
			}
		}
	}
}
