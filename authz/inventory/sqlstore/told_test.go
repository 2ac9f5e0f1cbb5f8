package sqlstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// TestWhatWasToldIsForgotten: events whose messages are over, and what was given
// up; what waits, and what was told since, stays.
func TestWhatWasToldIsForgotten(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := t.Context()
		add := func(n int) {
			t.Helper()
			var list []inventory.Event
			for i := range n {
				list = append(list, inventory.Event{Kind: "x", Organization: c.acme, Key: fmt.Sprint(c.now().Unix(), "/", i)})
			}
			if err := c.AddEvents(ctx, list, c.now()); err != nil {
				t.Fatal(err)
			}
		}
		// tell addresses all events, each to one, and ends the messages.
		tell := func(state string) {
			t.Helper()
			for {
				events, err := c.LeaseEvents(ctx, c.now(), time.Minute, 100)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range events {
					if err := c.Address(ctx, e, []sqlstore.Delivery{{Channel: "mail", Audience: "owner", Recipient: "bob@example.com", NextAt: c.now()}}, "", c.now()); err != nil {
						t.Fatal(err)
					}
				}
				jobs, err := c.LeaseDeliveries(ctx, c.now(), time.Minute, 1000)
				if err != nil {
					t.Fatal(err)
				}
				for _, j := range jobs {
					if err := c.EndDeliveries(ctx, []int64{j.ID}, state, "", c.now()); err != nil {
						t.Fatal(err)
					}
				}
				if len(events)+len(jobs) == 0 {
					return
				}
			}
		}
		tell("sent") // acme's own
		had, err := c.ForgetEvents(ctx, c.now().Add(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		add(1201)
		tell("sent")
		c.forward(time.Hour)
		add(2)
		tell("dead")
		c.forward(time.Hour)
		add(3)
		tell("sent")
		c.forward(time.Second)
		add(1) // is in nobody's hands yet
		if n, err := c.ForgetEvents(ctx, c.now().Add(-90*time.Minute)); err != nil || n != 1201 {
			t.Errorf("%d were forgotten, want 1201 (%v; %d before)", n, err, had)
		}
		if n, err := c.ForgetEvents(ctx, c.now().Add(-30*time.Minute)); err != nil || n != 2 {
			t.Errorf("%d were forgotten, want the 2 that were given up (%v)", n, err)
		}
		if n, err := c.ForgetEvents(ctx, c.now().Add(time.Hour)); err != nil || n != 3 {
			t.Errorf("%d were forgotten, want 3 (%v)", n, err)
		}
		if sizes, err := c.OutboxSizes(ctx); err != nil || sizes["events"] != 1 || sizes["dead"] != 0 {
			t.Errorf("left: %v %v", sizes, err)
		}
	})
}

// TestUntilWhenItWasPlannedIsNoted for each part, for other servers, and never
// goes back.
func TestUntilWhenItWasPlannedIsNoted(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx, at := t.Context(), c.now().Truncate(time.Millisecond)
		noted := func(part string, want time.Time) {
			t.Helper()
			if got, err := c.Planned(ctx, part); err != nil || !got.Equal(want) {
				t.Errorf("%s were planned until %s, %v; want %s", part, got, err, want)
			}
		}
		noted("one", time.Time{})
		for _, until := range []time.Time{at, at.Add(time.Hour), at} {
			if err := c.SetPlanned(ctx, []string{"one", "two"}, until); err != nil {
				t.Fatal(err)
			}
		}
		noted("one", at.Add(time.Hour))
		noted("two", at.Add(time.Hour))
		noted("three", time.Time{})
	})
}
