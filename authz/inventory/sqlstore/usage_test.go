package sqlstore_test

import (
	"context"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
	"github.com/patrol-authz/patrol/authz/usage"
)

// watch is a clock that a test moves.
type watch struct{ ns atomic.Int64 }

var began = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func (w *watch) now() time.Time           { return began.Add(time.Duration(w.ns.Load())) }
func (w *watch) forward(by time.Duration) { w.ns.Add(int64(by)) }

// counted is a store with acme, its member's pending token, and a clock.
type counted struct {
	*sqlstore.Store
	*watch
	t     *testing.T
	acme  string
	token string
}

// counting runs a test on each database, with acme in it.
func counting(t *testing.T, test func(t *testing.T, c *counted)) {
	t.Helper()
	onBoth(t, func(t *testing.T, d *database) {
		w := &watch{}
		d.Clock = w.now
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		token := acme(t, s)
		o, err := s.Organization(context.Background(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		test(t, &counted{s, w, t, o.ID, token.ID})
	})
}

func (c *counted) count(day int, resource, network, reason string, n int64) usage.Count {
	at := began.AddDate(0, 0, day)
	return usage.Count{
		Key: usage.Key{
			Day: usage.DayOf(at), Token: c.token, Organization: c.acme, ResourceType: "model", Resource: resource, Permission: "repo.write",
			Network: network, Reason: reason, Allowed: reason == "allowed",
		}, Count: n, First: at, Last: at.Add(time.Hour),
	}
}

func (c *counted) write(counts ...usage.Count) {
	c.t.Helper()
	b := &usage.Batch{Counts: counts}
	for _, n := range counts {
		u := usage.Use{Token: n.Token, Organization: n.Organization}
		if n.Allowed {
			u.Allowed = n.Last
		} else {
			u.Refused = n.Last
		}
		b.Uses = []usage.Use{u}
		if _, err := c.WriteUsage(context.Background(), &usage.Batch{Uses: b.Uses}); err != nil {
			c.t.Fatal(err)
		}
	}
	b.Uses = nil
	if _, err := c.WriteUsage(context.Background(), b); err != nil {
		c.t.Fatal(err)
	}
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestUsageAddsUpAndIsReported(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		c.write(c.count(0, "acme/m", "192.0.2.0/24", "allowed", 3), c.count(0, "acme/n", "192.0.2.0/24", "allowed", 1))
		c.forward(24 * time.Hour)
		c.write(c.count(1, "acme/m", "198.51.100.0/24", "allowed", 2), c.count(1, "acme/m", "198.51.100.0/24", "approval_pending", 5))
		c.write(c.count(1, "acme/m", "198.51.100.0/24", "allowed", 4))
		r := must(c.TokenUsage(ctx, "acme", c.token, 3))(t)
		if len(r.Days) != 3 || r.Days[2] != (usage.DayUse{Day: "2026-06-02", Allowed: 6, Refused: 5}) || r.Days[1].Allowed != 4 || r.Days[0].Day != "2026-05-31" {
			t.Errorf("days: %+v", r.Days)
		}
		if !r.Since.Equal(began) || !r.LastUsedAt.Equal(began.Add(25*time.Hour)) || !r.LastRefusedAt.Equal(began.Add(25*time.Hour)) {
			t.Errorf("since %s, used %s, refused %s", r.Since, r.LastUsedAt, r.LastRefusedAt)
		}
		if len(r.Resources) != 3 || r.Resources[0].Resource != "acme/m" || r.Resources[0].Requests != 9 || r.Resources[0].Allowed != true {
			t.Errorf("resources: %+v", r.Resources)
		}
		if len(r.Networks) != 2 || r.Networks[0].Network != "198.51.100.0/24" || r.Networks[0].Requests != 11 || len(r.Reasons) != 2 {
			t.Errorf("networks: %+v, reasons: %+v", r.Networks, r.Reasons)
		}
		if whole := must(c.TokenUsage(ctx, "", c.token, 1))(t); len(whole.Days) != 1 || whole.Days[0].Allowed != 6 {
			t.Errorf("everywhere: %+v", whole)
		}
		for _, bad := range [][2]string{{"acme", "no-such"}, {"elsewhere", c.token}, {"", "no-such"}} {
			if _, err := c.TokenUsage(ctx, bad[0], bad[1], 3); !isNotFound(err) {
				t.Errorf("%v: %v", bad, err)
			}
		}
		row := must(c.Token(ctx, "acme", c.token))(t)
		list, _, err := c.Tokens(ctx, "acme", inventory.TokenFilter{}, inventory.Page{})
		if err != nil || !row.LastUsedAt.Equal(began.Add(25*time.Hour)) || !list[0].LastUsedAt.Equal(*row.LastUsedAt) {
			t.Errorf("last used: %v and %+v (%v)", row.LastUsedAt, list, err)
		}
		if err := c.ForgetUsage(ctx, usage.DayOf(began)+1); err != nil {
			t.Fatal(err)
		}
		if r := must(c.TokenUsage(ctx, "acme", c.token, 3))(t); r.Days[1].Allowed != 0 || r.Days[2].Allowed != 6 {
			t.Errorf("after the first day is forgotten: %+v", r.Days)
		}
	})
}

func isNotFound(err error) bool {
	_, ok := err.(*inventory.NotFound) //nolint:errorlint // never wrapped
	return ok
}

func TestOneOrganizationSeesNothingOfAnothersUsage(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		do(t, c.Store, inventory.CreateOrganization{Name: "globex", TokenPolicy: "allow_user_access_tokens"})
		do(t, c.Store, inventory.AddMember{Organization: "globex", User: "bob", Role: "write"})
		c.write(c.count(0, "acme/m", "192.0.2.0/24", "allowed", 3))
		r := must(c.TokenUsage(ctx, "globex", c.token, 3))(t)
		if r.LastUsedAt != nil || len(r.Resources)+len(r.Networks)+len(r.Reasons) > 0 || r.Days[2].Allowed > 0 {
			t.Errorf("globex sees %+v", r)
		}
		for _, e := range must(c.Timeline(ctx, "globex", c.token, 3))(t) {
			if e.Organization == "acme" || e.Kind != usage.EventAudit {
				t.Errorf("globex's timeline tells %+v", e)
			}
		}
	})
}

func TestATimelineTellsEverythingInOrder(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		c.write(c.count(0, "acme/m", "192.0.2.0/24", "approval_pending", 3))
		c.forward(48 * time.Hour)
		do(t, c.Store, inventory.Approve{Organization: "acme", Token: c.token, Version: 1, Comment: "fine"})
		c.forward(24 * time.Hour)
		c.write(c.count(3, "acme/m", "192.0.2.0/24", "allowed", 3))
		if err := c.SaveFindings(ctx, []hygiene.Result{{Pair: hygiene.Pair{Organization: c.acme, Token: c.token}, Findings: []hygiene.Finding{{Name: "unused", Severity: "low", Message: "Idle"}}}}); err != nil {
			t.Fatal(err)
		}
		var told []string
		events := must(c.Timeline(ctx, "acme", c.token, 30))(t)
		for _, e := range events {
			told = append(told, e.Kind+" "+e.What)
		}
		want := []string{"usage allowed", "finding unused", "audit approval.approve", "usage approval_pending", "audit token.issue", "request opened"}
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		if e := events[2]; e.By != operator.Name || e.Organization != "acme" || e.Text != "fine" || events[0].Requests != 3 || events[0].Networks != 1 {
			t.Errorf("events: %+v", events)
		}
		if recent := must(c.Timeline(ctx, "", c.token, 1))(t); len(recent) != 2 {
			t.Errorf("of today: %+v", recent)
		}
	})
}

func TestFindingsAreReplacedAndKeepTheirBeginning(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		pair, whole := hygiene.Pair{Organization: c.acme, Token: c.token}, hygiene.Pair{Organization: c.acme}
		finding := func(name, severity, message string) hygiene.Finding {
			return hygiene.Finding{Name: name, Severity: severity, Title: name, Message: message, Do: "act", Details: map[string]any{"n": 1.0}}
		}
		save := func(p hygiene.Pair, list ...hygiene.Finding) {
			t.Helper()
			if err := c.SaveFindings(ctx, []hygiene.Result{{Pair: p, Findings: list}}); err != nil {
				t.Fatal(err)
			}
		}
		save(pair, finding("unused", "low", "Idle for 90 days"), finding("no_expiry", "medium", "Never"))
		save(whole, finding("exception_ended", "medium", "One"))
		c.forward(time.Hour)
		save(pair, finding("unused", "low", "Idle for 91 days"), finding("owner_gone", "high", "Gone"))
		rows, next, err := c.Findings(ctx, "acme", hygiene.Filter{}, inventory.Page{})
		var names []string
		for _, r := range rows {
			names = append(names, r.Name)
		}
		if err != nil || next != "" || strings.Join(names, " ") != "exception_ended owner_gone unused" {
			t.Fatalf("findings: %q, next %q (%v)", names, next, err)
		}
		if r := rows[2]; r.Message != "Idle for 91 days" || !r.FirstAt.Equal(began) || r.DisplayName != "ci" || r.Owner != "bob" || r.Token != c.token || r.Details["n"] != 1.0 || r.Do != "act" {
			t.Errorf("the finding is %+v", r)
		}
		if !rows[1].FirstAt.Equal(began.Add(time.Hour)) {
			t.Errorf("first found at %s", rows[1].FirstAt)
		}
		for filter, want := range map[hygiene.Filter]int{
			{}: 3, {Finding: "unused"}: 1, {Severity: "high"}: 1, {Severity: "medium"}: 2, {Severity: "low"}: 3, {Finding: "none"}: 0,
			{Finding: "unused", Severity: "low"}: 1, {Finding: "unused", Severity: "high"}: 0,
		} {
			rows, _, err := c.Findings(ctx, "acme", filter, inventory.Page{})
			if err != nil || len(rows) != want {
				t.Errorf("%+v: %d findings (%v), want %d", filter, len(rows), err, want)
			}
			var by []hygiene.Row
			for p := (inventory.Page{Limit: 1}); ; {
				one, next, err := c.Findings(ctx, "acme", filter, p)
				if err != nil {
					t.Fatal(err)
				}
				by = append(by, one...)
				if p.Cursor = next; next == "" {
					break
				}
			}
			if !reflect.DeepEqual(by, rows) {
				t.Errorf("%+v: by pages of one\n%+v, at once\n%+v", filter, by, rows)
			}
		}
		one, next, err := c.Findings(ctx, "acme", hygiene.Filter{}, inventory.Page{Limit: 2})
		rest, last, err2 := c.Findings(ctx, "acme", hygiene.Filter{}, inventory.Page{Limit: 2, Cursor: next})
		if err != nil || err2 != nil || len(one) != 2 || len(rest) != 1 || rest[0].Name != "unused" || last != "" {
			t.Errorf("by pages: %+v, %+v (%v, %v)", one, rest, err, err2)
		}
		list, _, err := c.Tokens(ctx, "acme", inventory.TokenFilter{Finding: "unused"}, inventory.Page{})
		if err != nil || len(list) != 1 || strings.Join(list[0].Findings, " ") != "owner_gone unused" {
			t.Errorf("listed by a finding: %+v (%v)", list, err)
		}
		for _, f := range []inventory.TokenFilter{{Finding: "no_expiry"}, {Finding: "unused", Owner: "alice"}, {Finding: "unused", Kind: "read"}, {Finding: "unused", Status: "approved"}} {
			if list, _, err := c.Tokens(ctx, "acme", f, inventory.Page{}); err != nil || len(list) != 0 {
				t.Errorf("listed by %+v: %+v (%v)", f, list, err)
			}
		}
		if counts := must(c.CountFindings(ctx))(t); len(counts) != 3 {
			t.Errorf("counts: %+v", counts)
		}
		do(t, c.Store, inventory.DeleteToken{Token: c.token})
		if err := c.PruneFindings(ctx); err != nil {
			t.Fatal(err)
		}
		if rows, _, err := c.Findings(ctx, "acme", hygiene.Filter{}, inventory.Page{}); err != nil || len(rows) != 1 || rows[0].Name != "exception_ended" {
			t.Errorf("after the token is deleted: %+v (%v)", rows, err)
		}
	})
}

func TestSubjectsAreEachTokenOfEachOrganization(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		do(t, c.Store, inventory.CreateOrganization{Name: "globex", TokenPolicy: "allow_user_access_tokens"})
		do(t, c.Store, inventory.AddMember{Organization: "globex", User: "bob", Role: "write"})
		for i := range 7 {
			in := issue("bob", byte(10+i))
			if i%2 == 0 {
				in.Kind, in.Grants = "write", nil // unscoped: it reaches both
			}
			do(t, c.Store, in)
		}
		leak := c.count(0, "", "192.0.2.0/24", "seen_in_query", 2)
		leak.Organization, leak.Permission, leak.ResourceType = "", "", ""
		c.write(c.count(0, "acme/m", "192.0.2.0/24", "allowed", 3), c.count(0, "acme/m", "192.0.2.0/24", "approval_pending", 1), leak)
		var all []hygiene.Subject
		for after := (hygiene.Pair{}); ; {
			list := must(c.Subjects(ctx, "", after, 3))(t)
			if len(list) == 0 {
				break
			}
			all = append(all, list...)
			after = list[len(list)-1].Pair
		}
		seen, organizations := map[hygiene.Pair]bool{}, 0
		for _, s := range all {
			if seen[s.Pair] {
				t.Errorf("%v comes twice", s.Pair)
			}
			seen[s.Pair] = true
			if s.Token == "" {
				organizations++
			} else if s.Document.Token.ID != s.Token || s.Document.Token.Owner.Name != "bob" || s.Document.Organization.ID != s.Organization || s.Document.Membership.Role != "write" {
				t.Errorf("%v: %+v", s.Pair, s.Document)
			}
		}
		if organizations != 2 || len(all) != 2+8+4 {
			t.Errorf("%d organizations, %d pairs", organizations, len(all))
		}
		own := must(c.SubjectsOf(ctx, c.token))(t)
		if len(own) != 1 {
			t.Fatalf("of the token: %+v", own)
		}
		u := own[0].Document.Usage
		if len(u.Allowed) != 1 || u.Allowed[0].Count != 3 || len(u.Refused) != 2 || len(u.Networks) != 1 || !u.LastUsedAt.Equal(began.Add(time.Hour)) || !u.Since.Equal(began) {
			t.Errorf("its usage: %+v", u)
		}
		if g := own[0].Document.Token.Grants; len(g) != 1 || g[0].Entity.Name != "acme" || own[0].Document.Authorization.State != "none" {
			t.Errorf("its grants: %+v", own[0].Document)
		}
		if only := must(c.Subjects(ctx, c.acme, hygiene.Pair{}, 100))(t); len(only) != 1+8 {
			t.Errorf("of acme alone: %d pairs", len(only))
		}
		do(t, c.Store, inventory.DeleteToken{Token: c.token})
		if own := must(c.SubjectsOf(ctx, c.token))(t); len(own) != 0 {
			t.Errorf("of a deleted token: %+v", own)
		}
	})
}

func TestRulesSeeARotationAndWhatCameAfter(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		if s := must(c.SubjectsOf(ctx, c.token))(t)[0].Document.Token; !s.RotatedAt.IsZero() || !s.ReusedAt.IsZero() {
			t.Errorf("before: %+v", s)
		}
		c.forward(time.Hour)
		do(t, c.Store, inventory.RotateToken{Token: c.token, Digest: authz.Digest{200}, Last4: "wxyz"})
		c.forward(time.Hour)
		do(t, c.Store, inventory.ReportReuse{Token: c.token, Digest: authz.Digest{1}})
		if s := must(c.SubjectsOf(ctx, c.token))(t)[0].Document.Token; !s.RotatedAt.Equal(began.Add(time.Hour)) || !s.ReusedAt.Equal(began.Add(2*time.Hour)) {
			t.Errorf("after: rotated %s, reused %s", s.RotatedAt, s.ReusedAt)
		}
	})
}

func TestALeaseHasOneHolder(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		for i, step := range []struct {
			holder string
			after  time.Duration
			want   bool
		}{{"a", 0, true}, {"b", 0, false}, {"a", 0, true}, {"b", 59 * time.Second, false}, {"b", time.Second, true}, {"a", 0, false}} {
			c.forward(step.after)
			if got := must(c.Lease(ctx, "l", step.holder, c.now().Add(time.Minute)))(t); got != step.want {
				t.Errorf("step %d: %s got %t", i, step.holder, got)
			}
		}
	})
}

func TestUnknownTokensAreListedUntilTheyAreImported(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		unknown := func(n byte, minute int) usage.Unknown {
			at := began.Add(time.Duration(minute) * time.Minute)
			return usage.Unknown{Organization: c.acme, Digest: authz.Digest{n, 9}, Host: "hub.example", Network: "192.0.2.0/24", Permission: "repo.write", Count: 2, First: at, Last: at}
		}
		for range 2 {
			if _, err := c.WriteUsage(ctx, &usage.Batch{Unknown: []usage.Unknown{unknown(1, 1), unknown(2, 2), unknown(3, 2)}}); err != nil {
				t.Fatal(err)
			}
		}
		one, next, err := c.Discovered(ctx, "acme", inventory.Page{Limit: 2})
		rest, last, err2 := c.Discovered(ctx, "acme", inventory.Page{Limit: 2, Cursor: next})
		if err != nil || err2 != nil || len(one) != 2 || len(rest) != 1 || last != "" {
			t.Fatalf("%+v, %+v (%v, %v)", one, rest, err, err2)
		}
		digest := authz.Digest{1, 9}
		if d := rest[0]; d.Digest != hex.EncodeToString(digest[:]) || d.Requests != 4 || d.Host != "hub.example" || !d.LastAt.Equal(began.Add(time.Minute)) {
			t.Errorf("the last is %+v", d)
		}
		do(t, c.Store, inventory.ImportTokens{Tokens: []inventory.ImportToken{{Digest: digest, Owner: "bob", DisplayName: "found", Kind: "read"}}})
		if rows, _, err := c.Discovered(ctx, "acme", inventory.Page{}); err != nil || len(rows) != 2 {
			t.Errorf("after one is imported: %+v (%v)", rows, err)
		}
		if _, _, err := c.Discovered(ctx, "acme", inventory.Page{Cursor: "x"}); err == nil {
			t.Error("a cursor of nobody's is taken")
		}
	})
}

// TestOnlyWhatExceedsTheRoomForUnknownTokensIsLeftOut: a flood of unknown tokens
// keeps those that are known from being counted no more than it keeps the most
// used of the new ones from what room there is.
func TestOnlyWhatExceedsTheRoomForUnknownTokensIsLeftOut(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		ctx := context.Background()
		do(t, c.Store, inventory.CreateOrganization{Name: "globex"})
		globex := must(c.Organization(ctx, "globex"))(t).ID
		digest := func(n int) authz.Digest { return authz.Digest{byte(n >> 8), byte(n), 9} } // in the order of n
		unknown := func(organization string, n, minute int, count int64) usage.Unknown {
			at := began.Add(time.Duration(minute) * time.Minute)
			return usage.Unknown{Organization: organization, Digest: digest(n), Host: "hub.example", Network: "192.0.2.0/24", Count: count, First: at, Last: at}
		}
		write := func(list ...usage.Unknown) []usage.Unknown {
			t.Helper()
			return must(c.WriteUsage(ctx, &usage.Batch{Unknown: list}))(t)
		}
		// kept are the digests that are listed, with their requests.
		kept := func(organization string) map[string]usage.Discovered {
			t.Helper()
			all := map[string]usage.Discovered{}
			for cursor := ""; ; {
				rows, next, err := c.Discovered(ctx, organization, inventory.Page{Limit: 1000, Cursor: cursor})
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range rows {
					all[d.Digest] = d
				}
				if cursor = next; next == "" {
					return all
				}
			}
		}
		of := func(n int) string { d := digest(n); return hex.EncodeToString(d[:]) }

		const room = 10_000
		first := make([]usage.Unknown, room-3) // 10, 12, 14 …
		for i := range first {
			first[i] = unknown(c.acme, 10+2*i, 1, 1)
		}
		if left := write(first...); len(left) > 0 {
			t.Fatalf("%d were left out", len(left))
		}
		// Five new ones, two that are known, and one of an organization that has room.
		left := write(unknown(c.acme, 10, 2, 4), unknown(c.acme, 11, 2, 1), unknown(c.acme, 13, 2, 9), unknown(c.acme, 14, 2, 5),
			unknown(c.acme, 15, 2, 2), unknown(c.acme, 17, 2, 1), unknown(c.acme, 19, 2, 3), unknown(globex, 11, 2, 1))
		if len(left) != 2 || left[0].Digest != digest(11) || left[1].Digest != digest(17) {
			t.Errorf("left out: %+v", left)
		}
		all := kept("acme")
		if len(all) != room || len(kept("globex")) != 1 {
			t.Errorf("%d are kept, %d of the other", len(all), len(kept("globex")))
		}
		for n, requests := range map[int]int64{10: 5, 12: 1, 14: 6, 13: 9, 15: 2, 19: 3} {
			if d := all[of(n)]; d.Requests != requests {
				t.Errorf("of %d there are %d requests, want %d", n, d.Requests, requests)
			}
		}
		if d := all[of(10)]; !d.LastAt.Equal(began.Add(2*time.Minute)) || !d.FirstAt.Equal(began.Add(time.Minute)) {
			t.Errorf("one that is known was first used %s, last %s", d.FirstAt, d.LastAt)
		}
		// Full: a flood is left out, and no more.
		if left := write(unknown(c.acme, 10, 1, 1), unknown(c.acme, 21, 3, 7)); len(left) != 1 || left[0].Digest != digest(21) {
			t.Errorf("left out: %+v", left)
		}
		if d := kept("acme")[of(10)]; d.Requests != 6 || !d.LastAt.Equal(began.Add(2*time.Minute)) {
			t.Errorf("one that is known, at an earlier time: %+v", d)
		}
		// Who imports what was found has room for more.
		do(t, c.Store, inventory.ImportTokens{Tokens: []inventory.ImportToken{{Digest: digest(12), Owner: "bob", DisplayName: "found", Kind: "read"}}})
		if left := write(unknown(c.acme, 21, 3, 7), unknown(c.acme, 23, 3, 1)); len(left) != 1 || left[0].Digest != digest(23) {
			t.Errorf("after one was imported, left out: %+v", left)
		}
		if all := kept("acme"); len(all) != room || all[of(21)].Requests != 7 {
			t.Errorf("after one was imported, %d are kept", len(all))
		}
	})
}
