package main

import (
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestAnOutageOfDaysLosesNoMail: an approval that ended and a digest that was due
// meanwhile are told once, late, with the day on which they were due.
func TestAnOutageOfDaysLosesNoMail(t *testing.T) {
	const day = 24 * time.Hour
	w, server := mailed(t)
	id := w.issueFor(t, "ci")
	end := w.Clock().Add(2 * day).UTC().Truncate(time.Second)
	w.do(t, inventory.Approve{Organization: "acme", Token: id, Version: 1, Until: end})
	row, err := w.Store.Organization(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	found := []hygiene.Finding{{Name: "no_expiry", Severity: "high", Title: "It never expires", Do: "Give it an end"}}
	if err := w.Store.SaveFindings(t.Context(), []hygiene.Result{{Pair: hygiene.Pair{Organization: row.ID, Token: id}, Findings: found}}); err != nil {
		t.Fatal(err)
	}
	w.Hygiene.Close() // it would judge by the real rules
	w.round(t, w.planner())
	server.subjects(t, 1)

	// From now on nobody plans, until a day that is no Monday.
	monday := w.Clock().UTC().Truncate(day).AddDate(0, 0, 1)
	for monday.Weekday() != time.Monday {
		monday = monday.AddDate(0, 0, 1)
	}
	w.offset.Add(int64(monday.Add(4*day + time.Hour).Sub(w.Clock())))
	for range 2 {
		w.round(t, w.planner()) // another planner: as after a restart
	}
	w.offset.Add(int64(time.Hour))
	w.round(t, w.planner())
	got := server.subjects(t, 0)
	for subject, text := range map[string]string{
		"bob@example.com: The approval of ci by acme has ended": "ended on " + end.Format(time.DateOnly),
		"alice@example.com: Token hygiene of acme: 1 finding":   "due on " + monday.Format(time.DateOnly),
	} {
		if got[subject] != 1 {
			t.Errorf("%q came %d times: %v", subject, got[subject], got)
			continue
		}
		to, subject, _ := strings.Cut(subject, ": ")
		if plain, html := mailParts(t, server.about(t, to, subject)); !strings.Contains(plain, text) || !strings.Contains(plain, "patrol did not run") || !strings.Contains(html, text) {
			t.Errorf("%q does not say that it is late, and when it was due:\n%s", subject, plain)
		}
	}
}
