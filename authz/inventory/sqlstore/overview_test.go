package sqlstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/usage"
)

func TestAnOrganizationsUseIsSummedUp(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		if r := must(c.OrganizationUsage(ctx, "acme", 3))(t); r.KnownSince != nil {
			t.Errorf("before the first request usage is known since %s", r.KnownSince)
		}
		elsewhere := c.count(0, "acme/m", "192.0.2.0/24", "allowed", 100)
		elsewhere.Organization = ""
		c.write(c.count(0, "acme/m", "192.0.2.0/24", "allowed", 3), c.count(0, "acme/n", "192.0.2.0/24", "allowed", 1), elsewhere)
		c.forward(24 * time.Hour)
		c.write(c.count(1, "acme/m", "198.51.100.0/24", "approval_pending", 5), c.count(1, "acme/n", "198.51.100.0/24", "approval_pending", 2))
		c.write(c.count(1, "acme/n", "198.51.100.0/24", "approval_pending", 1), c.count(1, "acme/n", "198.51.100.0/24", "no_grant", 1))
		r := must(c.OrganizationUsage(ctx, "acme", 3))(t)
		if len(r.Days) != 3 || r.Days[0].Allowed+r.Days[0].Refused != 0 || r.Days[1].Allowed != 4 || r.Days[2].Refused != 9 {
			t.Errorf("days: %+v", r.Days)
		}
		if why := r.Days[2].Reasons; len(why) != 2 || why["approval_pending"] != 8 || why["no_grant"] != 1 {
			t.Errorf("reasons of the last day: %v", why)
		}
		if len(r.Reasons) != 3 || r.Reasons[0].Reason != "approval_pending" || r.Reasons[0].Requests != 8 || !r.Reasons[0].LastAt.Equal(began.Add(25*time.Hour)) {
			t.Errorf("reasons: %+v", r.Reasons)
		}
		if !r.Since.Equal(began) {
			t.Errorf("known since %s", r.Since)
		}
		if r := must(c.OrganizationUsage(ctx, "acme", 1))(t); r.KnownSince == nil || !r.KnownSince.Equal(began) || r.Since.Equal(began) {
			t.Errorf("of one day: known since %v, shown since %s", r.KnownSince, r.Since)
		}
		if err := c.ForgetUsage(ctx, usage.DayOf(began)+1); err != nil {
			t.Fatal(err)
		}
		if r := must(c.OrganizationUsage(ctx, "acme", 3))(t); r.Days[1].Allowed != 0 || r.Days[2].Refused != 9 {
			t.Errorf("after the first day is forgotten: %+v", r.Days)
		}
		if _, err := c.OrganizationUsage(ctx, "nowhere", 3); !isNotFound(err) {
			t.Errorf("nowhere: %v", err)
		}
	})
}

func TestFindingsAreToldByTokenAndCounted(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		err := c.SaveFindings(ctx, []hygiene.Result{{Pair: hygiene.Pair{Organization: c.acme, Token: c.token}, Findings: []hygiene.Finding{
			{Name: "unused", Severity: hygiene.SeverityLow, Title: "Unused", Message: "Nobody used it", Do: "Revoke it", Details: map[string]any{"days": 90.0}},
			{Name: "no_expiry", Severity: hygiene.SeverityHigh, Title: "No expiry", Message: "It never ends", Do: "Give it an end"},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		rows := must(c.TokenFindings(ctx, "acme", c.token))(t)
		if len(rows) != 2 || rows[0].Name != "no_expiry" || rows[1].Details["days"] != 90.0 || !rows[1].FirstAt.Equal(began) {
			t.Errorf("findings: %+v", rows)
		}
		if rows := must(c.TokenFindings(ctx, "acme", "another"))(t); len(rows) != 0 {
			t.Errorf("another token has %+v", rows)
		}
		counts := must(c.CountFindingsOf(ctx, "acme"))(t)
		if len(counts) != 2 || counts[0] != (hygiene.Count{Finding: "no_expiry", Severity: "high", Title: "No expiry", Tokens: 1}) {
			t.Errorf("counts: %+v", counts)
		}
		whole := hygiene.Finding{Name: "exception_ended", Severity: hygiene.SeverityLow, Title: "Exception ended"}
		if err := c.SaveFindings(ctx, []hygiene.Result{{Pair: hygiene.Pair{Organization: c.acme}, Findings: []hygiene.Finding{whole}}}); err != nil {
			t.Fatal(err)
		}
		counts = must(c.CountFindingsOf(ctx, "acme"))(t)
		if len(counts) != 3 || counts[1] != (hygiene.Count{Finding: "exception_ended", Severity: "low", Title: "Exception ended", Organization: true}) {
			t.Errorf("with what was found of the organization itself: %+v", counts)
		}
	})
}

func TestWhatWaitsIsCounted(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		waiting := func(want int64, since time.Time) {
			t.Helper()
			n, oldest, err := c.Waiting(ctx, "acme")
			if err != nil || n != want || !oldest.Equal(since) {
				t.Errorf("%d wait since %s, %v; want %d since %s", n, oldest, err, want, since)
			}
		}
		waiting(1, began)
		do(t, c.Store, inventory.Approve{Organization: "acme", Token: c.token, Version: 1})
		waiting(0, time.Time{})
		if _, _, err := c.Waiting(ctx, "elsewhere"); !isNotFound(err) {
			t.Errorf("elsewhere: %v", err)
		}
	})
}

func TestTokensAreNamedAlsoWhenTheyAreDeleted(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		row := must(c.Token(ctx, "acme", c.token))(t)
		want := inventory.TokenName{DisplayName: row.DisplayName, Last4: row.Last4}
		do(t, c.Store, inventory.DeleteToken{Token: c.token})
		if names := must(c.TokenNames(ctx, []string{c.token, "no-such"}))(t); len(names) != 1 || names[c.token] != want || want.DisplayName == "" {
			t.Errorf("the names are %v, want %v", names, want)
		}
		if names := must(c.TokenNames(ctx, nil))(t); len(names) != 0 {
			t.Errorf("of nothing: %v", names)
		}
	})
}

func TestReplicasAreKnownWhileTheySaySo(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		put := func(id, problem string) {
			t.Helper()
			r := &inventory.ReplicaRow{ID: id, Host: "h-" + id, Version: "1", Revision: "r", Evaluator: "compiled", Problem: problem, Change: 7, StartedAt: began, SeenAt: c.now()}
			if err := c.PutReplica(ctx, r, c.now().Add(-time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		put("a", "")
		put("b", "not yet")
		c.forward(50 * time.Second)
		put("b", "")
		rows := must(c.Replicas(ctx))(t)
		if len(rows) != 2 || rows[0].Host != "h-a" || rows[1].Problem != "" || rows[1].Change != 7 || !rows[1].SeenAt.Equal(c.now()) || !rows[1].StartedAt.Equal(began) {
			t.Errorf("%+v", rows)
		}
		c.forward(20 * time.Second)
		put("b", "")
		if rows := must(c.Replicas(ctx))(t); len(rows) != 1 || rows[0].ID != "b" {
			t.Errorf("one that said nothing for more than a minute is still known: %+v", rows)
		}
		if err := c.ForgetReplica(ctx, "b"); err != nil {
			t.Fatal(err)
		}
		if rows := must(c.Replicas(ctx))(t); len(rows) != 0 {
			t.Errorf("one that ended is still known: %+v", rows)
		}
	})
}
