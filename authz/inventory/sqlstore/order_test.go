package sqlstore_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
	"github.com/patrol-authz/patrol/authz/usage"
)

// orderly fills acme with tokens of several owners, some used, some with
// findings; names and times are equal here and there.
func orderly(t *testing.T, c *counted) (ids []string) {
	t.Helper()
	for i := range 60 {
		owner := fmt.Sprintf("user-%d", i%7)
		if i < 7 {
			do(t, c.Store, inventory.AddMember{Organization: "acme", User: owner, Role: "write"})
		}
		in := sample(9000 + i)
		in.Owner, in.DisplayName, in.Kind, in.Grants = owner, fmt.Sprintf("%cTok%02d", "aBÄz"[i%3], i%17), authz.KindRead, nil
		in.CreatedAt = began.Add(-time.Duration(i*7919%23) * time.Hour)
		do(t, c.Store, inventory.ImportTokens{Tokens: []inventory.ImportToken{in}})
	}
	rows, _, err := c.Tokens(t.Context(), "acme", inventory.TokenFilter{Status: "all"}, inventory.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var results []hygiene.Result
	for i, r := range rows {
		ids = append(ids, r.ID)
		if i%3 == 0 {
			u := usage.Use{Token: r.ID, Organization: c.acme, Allowed: began.Add(time.Duration(i%5) * time.Minute)}
			if i%9 == 0 { // refused, never used
				u = usage.Use{Token: r.ID, Organization: c.acme, Refused: began}
			}
			if _, err := c.WriteUsage(t.Context(), &usage.Batch{Uses: []usage.Use{u}}); err != nil {
				t.Fatal(err)
			}
		}
		if i%2 == 0 {
			var found []hygiene.Finding
			for g, severity := range []string{hygiene.SeverityLow, hygiene.SeverityMedium, hygiene.SeverityHigh} {
				if i%(g+2) == 0 {
					found = append(found, hygiene.Finding{Name: fmt.Sprintf("f%d", g), Severity: severity}, hygiene.Finding{Name: fmt.Sprintf("g%d", g), Severity: severity})
				}
			}
			results = append(results, hygiene.Result{Pair: hygiene.Pair{Organization: c.acme, Token: r.ID}, Findings: found})
		}
	}
	if err := c.SaveFindings(t.Context(), results); err != nil {
		t.Fatal(err)
	}
	return ids
}

// grades is the gravest finding of each token, 0 for none.
func grades(t *testing.T, c *counted) map[string]int {
	t.Helper()
	out := map[string]int{}
	rows, _, err := c.Findings(t.Context(), "acme", hygiene.Filter{}, inventory.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		out[r.Token] = max(out[r.Token], hygiene.Rank(r.Severity)+1)
	}
	return out
}

func TestTokensAreListedInEachOrder(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		orderly(t, c)
		grade := grades(t, c)
		when := func(r *inventory.TokenRow) int64 {
			if r.LastUsedAt == nil {
				return 0
			}
			return r.LastUsedAt.UnixMilli()
		}
		for name, compare := range map[string]func(a, b *inventory.TokenRow) int{
			"name":      func(a, b *inventory.TokenRow) int { return cmp.Compare(lowered(a.DisplayName), lowered(b.DisplayName)) },
			"owner":     func(a, b *inventory.TokenRow) int { return cmp.Compare(a.Owner, b.Owner) },
			"created":   func(a, b *inventory.TokenRow) int { return a.CreatedAt.Compare(b.CreatedAt) },
			"last_used": func(a, b *inventory.TokenRow) int { return cmp.Compare(when(a), when(b)) },
			"severity":  func(a, b *inventory.TokenRow) int { return cmp.Compare(grade[a.ID], grade[b.ID]) },
		} {
			for _, down := range []string{"", "-"} {
				for filtered, f := range map[string]inventory.TokenFilter{
					"": {}, "all": {Status: "all"}, "owner": {Owner: "user-3"}, "finding": {Finding: "f2"}, "kind": {Kind: authz.KindRead, Query: "TOK0"}, "pending": {Status: "pending"},
					"grave": {Severity: "high"}, "any finding of owner": {Severity: "low", Owner: "user-3"}, "grave finding": {Finding: "f2", Severity: "medium"},
				} {
					// What is few is sorted; what is not is walked, in long or short windows.
					for _, way := range [][2]int{{8000, 1500}, {0, 1500}, {0, 4}} {
						sqlstore.SortUpTo(c.Store, way[0])
						sqlstore.LookThrough(c.Store, way[1])
						f.Sort = ""
						want := listed(t, c, f, 1000)
						slices.SortStableFunc(want, func(a, b inventory.TokenRow) int {
							d := cmp.Or(compare(&a, &b), strings.Compare(a.ID, b.ID))
							if down == "-" {
								return -d
							}
							return d
						})
						f.Sort = down + name
						for _, size := range []int{3, 1000} {
							got := listed(t, c, f, size)
							if !slices.EqualFunc(got, want, func(a, b inventory.TokenRow) bool { return a.ID == b.ID }) {
								t.Errorf("sort=%s, %s, %v, pages of %d: %d rows, want %d:\n%v\n%v", f.Sort, filtered, way, size, len(got), len(want), names(got), names(want))
							}
						}
					}
				}
			}
		}
		for sort, organization := range map[string]string{"colour": "acme", "last_used": "", "-severity": ""} {
			var invalid *inventory.Invalid
			if _, _, err := c.Tokens(t.Context(), organization, inventory.TokenFilter{Sort: sort}, inventory.Page{}); !errors.As(err, &invalid) || invalid.Field != "sort" {
				t.Errorf("sort=%s of %q: %v", sort, organization, err)
			}
		}
		_, next, err := c.Tokens(t.Context(), "acme", inventory.TokenFilter{Sort: "name"}, inventory.Page{Limit: 2})
		if err != nil || next == "" {
			t.Fatal(next, err)
		}
		for _, cursor := range []string{"x", "bm8", next + "x"} {
			if _, _, err := c.Tokens(t.Context(), "acme", inventory.TokenFilter{Sort: "name"}, inventory.Page{Cursor: cursor}); err == nil {
				t.Errorf("the cursor %q is none of ours", cursor)
			}
		}
		if _, _, err := c.Tokens(t.Context(), "acme", inventory.TokenFilter{Sort: "owner"}, inventory.Page{Cursor: next}); err == nil {
			t.Error("a cursor of another order is taken")
		}
	})
}

// TestTheNewestComesFirst where no order is asked for, by when tokens were made
// and not by when they came to the inventory; but what is too much to be sorted.
func TestTheNewestComesFirst(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		orderly(t, c)
		came := func(a, b inventory.TokenRow) int { return strings.Compare(b.ID, a.ID) }
		made := func(a, b inventory.TokenRow) int { return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), came(a, b)) }
		for filtered, f := range map[string]inventory.TokenFilter{
			"": {}, "kind": {Kind: authz.KindRead}, "severity": {Severity: "medium"}, "owner": {Owner: "user-3"}, "finding": {Finding: "f2"},
		} {
			for _, few := range []bool{true, false} {
				sqlstore.SortUpTo(c.Store, map[bool]int{true: 8000, false: 0}[few])
				order := made
				if !few && (filtered == "owner" || filtered == "finding") {
					order = came
				}
				for _, size := range []int{3, 1000} {
					if got := listed(t, c, f, size); !slices.IsSortedFunc(got, order) || len(got) < 2 {
						t.Errorf("%s, few %v, pages of %d: %d rows in another order: %v", filtered, few, size, len(got), names(got))
					}
				}
			}
		}
		if all := listed(t, c, inventory.TokenFilter{}, 1000); slices.IsSortedFunc(all, came) {
			t.Error("the two orders are one here: nothing is seen")
		}
	})
}

func TestTokensAreFoundBySeverity(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		orderly(t, c)
		grade := grades(t, c)
		for least, severity := range []string{"low", "medium", "high"} {
			want := 0
			for token, g := range grade {
				if g > least && token != "" {
					want++
				}
			}
			for _, few := range []int{8000, 0} {
				sqlstore.SortUpTo(c.Store, few)
				got := listed(t, c, inventory.TokenFilter{Severity: severity}, 7)
				if len(got) != want || want == 0 || slices.ContainsFunc(got, func(r inventory.TokenRow) bool { return grade[r.ID] <= least }) {
					t.Errorf("%s or graver: %d tokens, want %d", severity, len(got), want)
				}
			}
		}
		for organization, f := range map[string]inventory.TokenFilter{"": {Severity: "low"}, "acme": {Severity: "grave"}} {
			var invalid *inventory.Invalid
			if _, _, err := c.Tokens(t.Context(), organization, f, inventory.Page{}); !errors.As(err, &invalid) || invalid.Field != "severity" {
				t.Errorf("%+v of %q: %v", f, organization, err)
			}
		}
	})
}

func lowered(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func names(rows []inventory.TokenRow) (out []string) {
	for _, r := range rows {
		out = append(out, r.DisplayName+"/"+r.Owner)
	}
	return out
}

func listed(t *testing.T, c *counted, f inventory.TokenFilter, size int) (all []inventory.TokenRow) {
	t.Helper()
	for p := (inventory.Page{Limit: size}); ; {
		rows, next, err := c.Tokens(context.Background(), "acme", f, p)
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		all = append(all, rows...)
		if p.Cursor = next; next == "" {
			return all
		}
		if len(all) > 1000 {
			t.Fatalf("%+v: the listing has no end", f)
		}
	}
}

// risky recommends the same for each request, or nothing.
type risky struct {
	policies
	says string
}

func (r risky) Recommend(inventory.ReviewFacts) (*inventory.Recommendation, error) {
	if r.says == "" {
		return nil, nil
	}
	return &inventory.Recommendation{Action: r.says}, nil
}

func TestTheRiskiestRequestsComeFirst(t *testing.T) {
	counting(t, func(t *testing.T, c *counted) {
		says := []string{inventory.RecommendApprove, inventory.RecommendDeny, inventory.RecommendEscalate, ""}
		risk := map[string]int{inventory.RecommendDeny: 2, inventory.RecommendEscalate: 1, "": 1, inventory.RecommendApprove: 0}
		for i := range 23 {
			c.forward(time.Second)
			c.Policies = risky{says: says[i%4]}
			do(t, c.Store, issue("bob", byte(100+i)))
		}
		c.Policies = policies{}
		find := func(sort string, size int) (all []inventory.ApprovalRow) {
			for p := (inventory.Page{Limit: size}); ; {
				rows, next, err := c.FindApprovals(t.Context(), "acme", inventory.ApprovalFilter{Status: "open", Sort: sort}, p)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, rows...)
				if p.Cursor = next; next == "" || len(all) > 100 {
					return all
				}
			}
		}
		want := find("oldest", 1000)
		action := func(r *inventory.ApprovalRow) string {
			if r.Recommendation == nil {
				return ""
			}
			return r.Recommendation.Action
		}
		slices.SortStableFunc(want, func(a, b inventory.ApprovalRow) int { return risk[action(&b)] - risk[action(&a)] })
		for _, size := range []int{2, 5, 1000} {
			got := find("risk", size)
			if !slices.EqualFunc(got, want, func(a, b inventory.ApprovalRow) bool { return a.ID == b.ID }) || len(got) != 24 {
				t.Errorf("pages of %d: %d rows, want %d", size, len(got), len(want))
			}
		}
		if risk[action(&want[0])] != 2 || risk[action(&want[23])] != 0 {
			t.Error("nothing differs")
		}
		for _, bad := range [][2]string{{"colour", ""}, {"risk", "9/1.x"}, {"risk", "1.x"}} {
			if _, _, err := c.FindApprovals(t.Context(), "acme", inventory.ApprovalFilter{Sort: bad[0]}, inventory.Page{Cursor: bad[1]}); err == nil {
				t.Errorf("sort=%s cursor=%s is taken", bad[0], bad[1])
			}
		}
	})
}
