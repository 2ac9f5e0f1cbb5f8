package preview_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
	"github.com/patrol-authz/patrol/authz/preview"
	"github.com/patrol-authz/patrol/authz/usage"
)

// outcomes tells what becomes of each token, "name: outcome reason", sorted; of
// those that go on as they are nothing is told.
func outcomes(t *testing.T, l *lab, c preview.Change) []string {
	t.Helper()
	out := []string{}
	for _, outcome := range []string{preview.Breaks, preview.Starts, preview.Approved, preview.Waived, preview.Refused} {
		r, err := l.Preview(t.Context(), c, preview.Query{Outcome: outcome})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range r.Tokens {
			out = append(out, fmt.Sprintf("%s: %s %s", one.DisplayName, one.Outcome, one.Reason))
		}
	}
	slices.Sort(out)
	return out
}

// estate fills acme with tokens in every state.
func estate(l *lab) {
	l.issue("bob", "reads", authz.KindRead)
	l.issue("bob", "writes", authz.KindWrite)
	l.issue("carol", "fine", authz.KindFineGrained)
	l.issue("alice", "own", authz.KindFineGrained)
	l.issue("carol", "elsewhere", authz.KindFineGrained, inventorytest.On("globex", "org.read"))
	l.policy(approval)
	for _, name := range []string{"approved", "denied", "revoked", "suspended", "pending"} {
		l.issue("bob", name, authz.KindFineGrained)
	}
	l.approve("approved")
	l.approve("suspended")
	l.do(inventory.Deny{Organization: "acme", Token: l.ids["denied"], Reason: "no"})
	l.do(inventory.RevokeToken{Organization: "acme", Token: l.ids["revoked"]})
	l.do(inventory.SuspendToken{Organization: "acme", Token: l.ids["suspended"]})
	l.issue("bob", "disabled", authz.KindWrite)
	l.do(inventory.DisableToken{Token: l.ids["disabled"]})
	l.policy(open)
}

func TestWhatBecomesOfEachToken(t *testing.T) {
	l := newLab(t)
	estate(l)
	set := func(p inventory.SetPolicy) preview.Change {
		p.Organization = "acme"
		return preview.Change{Policy: p}
	}
	never := []string{"revoked: refused token_revoked", "suspended: refused token_suspended"}
	for _, c := range []struct {
		name   string
		before func()
		change preview.Change
		want   []string
	}{
		{"nothing but fine-grained tokens", nil, set(inventory.SetPolicy{TokenPolicy: scoped}), []string{
			"reads: breaks token_type_not_allowed", "writes: breaks token_type_not_allowed",
		}},
		{"approvals: what was approved goes on, what was denied is denied, an administrator's own are exempt", nil, set(inventory.SetPolicy{TokenPolicy: approval}), []string{
			"denied: breaks approval_denied", "fine: breaks approval_pending", "pending: breaks approval_pending",
			"reads: breaks token_type_not_allowed", "writes: breaks token_type_not_allowed",
		}},
		{"approvals by two people: nothing is exempt", nil, preview.Change{
			Policy: inventory.SetPolicy{Organization: "acme", TokenPolicy: approval}, Settings: map[string]any{"four_eyes": true},
		}, []string{
			"denied: breaks approval_denied", "fine: breaks approval_pending", "own: breaks approval_pending", "pending: breaks approval_pending",
			"reads: breaks token_type_not_allowed", "writes: breaks token_type_not_allowed",
		}},
		{"observed, nothing breaks but what nothing waives", nil, set(inventory.SetPolicy{TokenPolicy: approval, Enforcement: authz.Observe}), []string{
			"denied: breaks approval_denied", "fine: waived approval_pending", "pending: waived approval_pending",
			"reads: waived token_type_not_allowed", "writes: waived token_type_not_allowed",
		}},
		{"a limit on the age of tokens", func() { l.now = l.now.Add(3 * 24 * time.Hour) }, preview.Change{
			Policy: inventory.SetPolicy{Organization: "acme"}, Settings: map[string]any{"max_token_age_days": 2},
		}, []string{
			"approved: breaks lifetime_exceeded", "denied: breaks lifetime_exceeded", "fine: breaks lifetime_exceeded", "own: breaks lifetime_exceeded",
			"pending: breaks lifetime_exceeded", "reads: breaks lifetime_exceeded", "writes: breaks lifetime_exceeded",
		}},
		{"a dated change, with what ends before it anyway", func() {
			l.do(inventory.IssueToken{Owner: "carol", DisplayName: "short", Kind: authz.KindRead, Digest: inventorytest.Digest(500), ExpiresAt: l.now.Add(24 * time.Hour)})
		}, set(inventory.SetPolicy{TokenPolicy: scoped, EnforceAt: start.AddDate(0, 0, 30)}), []string{
			"reads: breaks token_type_not_allowed", "short: refused token_expired", "writes: breaks token_type_not_allowed",
		}},
		{"the dated change that is set", func() {
			l.do(inventory.SetPolicy{Organization: "acme", TokenPolicy: scoped, EnforceAt: start.AddDate(0, 0, 30)})
		}, set(inventory.SetPolicy{}), []string{
			"reads: breaks token_type_not_allowed", "short: refused token_expired", "writes: breaks token_type_not_allowed",
		}},
		{"an approval is no more asked for", func() { l.policy(approval) }, set(inventory.SetPolicy{TokenPolicy: open}), []string{
			"denied: starts allowed", "fine: starts allowed", "pending: starts allowed", "reads: starts allowed", "short: starts allowed", "writes: starts allowed",
		}},
		{"enforced after all", func() {
			l.do(inventory.SetPolicy{Organization: "acme", TokenPolicy: scoped, Enforcement: authz.Observe})
		}, set(inventory.SetPolicy{Enforcement: authz.Enforce}), []string{
			"reads: breaks token_type_not_allowed", "short: breaks token_type_not_allowed", "writes: breaks token_type_not_allowed",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.before != nil {
				c.before()
			}
			at := l.follower.Snapshot().Change()
			got := outcomes(t, l, c.change)
			want := append(slices.Clone(c.want), never...)
			if slices.Sort(want); !slices.Equal(got, want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
			}
			l.check(l.follower.CatchUp(t.Context()))
			if now := l.follower.Snapshot().Change(); now != at {
				t.Errorf("the preview changed something: change %d, then %d", at, now)
			}
		})
	}
}

// The preview's word must be what the pipeline says once the change is made.
func TestWhatWasForetoldComesTrue(t *testing.T) {
	l := newLab(t)
	estate(l)
	for _, to := range []string{scoped, approval, open} {
		r, err := l.Preview(t.Context(), preview.Change{Policy: inventory.SetPolicy{Organization: "acme", TokenPolicy: to}}, preview.Query{})
		if err != nil {
			t.Fatal(err)
		}
		l.policy(to)
		again, err := l.Preview(t.Context(), preview.Change{Policy: inventory.SetPolicy{Organization: "acme", Enforcement: authz.Enforce}}, preview.Query{Outcome: preview.Refused})
		if err != nil {
			t.Fatal(err)
		}
		refused := map[string]string{}
		for _, one := range again.Tokens {
			refused[one.ID] = one.Reason
		}
		for _, one := range r.Tokens {
			if refused[one.ID] != one.Reason {
				t.Errorf("%s under %s: %s was foretold, it is %q", one.DisplayName, to, one.Reason, refused[one.ID])
			}
		}
		if got := again.Counts.Refused; got != r.Counts.Refused+r.Counts.Breaks {
			t.Errorf("%s: %d are refused, %d were foretold", to, got, r.Counts.Refused+r.Counts.Breaks)
		}
	}
}

func TestExistingTokens(t *testing.T) {
	l := newLab(t)
	estate(l)
	l.used("fine", 5, 7, "repo.write")
	l.used("denied", 5, 3, "repo.write")
	l.issue("carol", "idle", authz.KindFineGrained)
	l.used("idle", 60, 9, "repo.write")
	change := func(e inventory.ExistingTokens) preview.Change {
		return preview.Change{Policy: inventory.SetPolicy{Organization: "acme", TokenPolicy: approval, Existing: &e}}
	}
	r, err := l.Preview(t.Context(), change(inventory.ExistingTokens{Mode: "ask"}), preview.Query{})
	l.check(err)
	// fine and idle are asked for; the request on pending is open already.
	if want := (preview.ExistingOutcome{Mode: "ask", Asked: 2}); *r.Existing != want {
		t.Errorf("ask: %+v, want %+v", *r.Existing, want)
	}
	if want := (preview.RequestCounts{Asking: 3, Open: 1}); r.Requests != want {
		t.Errorf("requests: %+v, want %+v", r.Requests, want)
	}
	approve := change(inventory.ExistingTokens{Mode: "approve_used_within", Days: 30, Until: l.now.AddDate(0, 3, 0)})
	r, err = l.Preview(t.Context(), approve, preview.Query{Outcome: preview.Approved})
	l.check(err)
	if want := (preview.ExistingOutcome{Mode: "approve_used_within", Approved: 1, Left: 2}); *r.Existing != want || len(r.Tokens) != 1 || r.Tokens[0].DisplayName != "fine" {
		t.Errorf("approve: %+v %+v, want %+v of fine", *r.Existing, r.Tokens, want)
	}
	// What was foretold is what the command does.
	l.do(approve.Policy)
	rows, _, err := l.store.Tokens(t.Context(), "acme", inventory.TokenFilter{Status: "approved"}, inventory.Page{})
	l.check(err)
	var names []string
	for _, row := range rows {
		names = append(names, row.DisplayName)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"approved", "fine"}) {
		t.Errorf("approved are %v", names)
	}
}

func TestCountsAndCoverage(t *testing.T) {
	l := newLab(t)
	estate(l)
	l.used("reads", 2, 40, "repo.content.read")
	l.used("reads", 60, 1000, "repo.content.read") // too long ago
	l.used("writes", 3, 2, "repo.write")
	l.used("fine", 45, 5, "repo.write")
	l.write(&usage.Batch{Unknown: []usage.Unknown{
		{Organization: l.acme, Digest: inventorytest.Digest(900), Count: 12, First: l.now, Last: l.now},
		{Organization: l.acme, Digest: inventorytest.Digest(901), Count: 1, First: l.now.AddDate(0, 0, -60), Last: l.now.AddDate(0, 0, -60)},
	}})
	r, err := l.Preview(t.Context(), preview.Change{Policy: inventory.SetPolicy{Organization: "acme", TokenPolicy: approval}}, preview.Query{})
	l.check(err)
	if want := (preview.OutcomeCounts{Tokens: 10, Breaks: 5, Owners: 2, Used: 2, GoesOn: 2, Refused: 2, Disabled: 1}); r.Counts != want {
		t.Errorf("counts\n%+v, want\n%+v", r.Counts, want)
	}
	if want := []preview.ReasonCount{
		{Reason: "approval_pending", Title: "Approval pending", Tokens: 2, Owners: 2},
		{Reason: "token_type_not_allowed", Title: "Token type not allowed", Tokens: 2, Owners: 1, Used: 2, Requests: 42},
		{Reason: "approval_denied", Title: "Approval denied", Tokens: 1, Owners: 1},
	}; !reflect.DeepEqual(r.Reasons, want) {
		t.Errorf("reasons\n%+v, want\n%+v", r.Reasons, want)
	}
	if want := []preview.OwnerCount{
		{Owner: "bob", Tokens: 4, Used: 2, Requests: 42, Reasons: map[string]int{"token_type_not_allowed": 2, "approval_denied": 1, "approval_pending": 1}},
		{Owner: "carol", Tokens: 1, Reasons: map[string]int{"approval_pending": 1}},
	}; !reflect.DeepEqual(r.Owners, want) {
		t.Errorf("owners\n%+v, want\n%+v", r.Owners, want)
	}
	if want := []preview.StatusCount{
		{Status: "none", Tokens: 4, Breaks: 3, GoesOn: 1},
		{Status: "pending", Tokens: 1, Breaks: 1},
		{Status: "approved", Tokens: 1, GoesOn: 1},
		{Status: "denied", Tokens: 1, Breaks: 1},
		{Status: "suspended", Tokens: 1, Refused: 1},
		{Status: "revoked", Tokens: 1, Refused: 1},
	}; !reflect.DeepEqual(r.Statuses, want) {
		t.Errorf("statuses\n%+v, want\n%+v", r.Statuses, want)
	}
	c := r.Coverage
	if c.Days != 30 || c.Since == nil || !c.Since.Equal(l.now) || c.Used != 2 || c.NeverSeen != 7 || c.Unknown != 1 || c.UnknownRequests != 12 {
		t.Errorf("coverage: %+v since %v", c, c.Since)
	}
	if r.Tokens[0].DisplayName != "reads" || r.Tokens[0].Requests != 40 || r.Tokens[1].DisplayName != "writes" || r.Tokens[0].Before != "allowed" {
		t.Errorf("the most used come first: %+v", r.Tokens[:2])
	}
}

func TestPages(t *testing.T) {
	l := newLab(t)
	for i := range 25 {
		l.issue([]string{"bob", "carol"}[i%2], fmt.Sprintf("t%02d", i), authz.KindRead)
	}
	l.used("t07", 1, 5, "repo.content.read")
	change := preview.Change{Policy: inventory.SetPolicy{Organization: "acme", TokenPolicy: scoped}}
	var names []string
	for q := (preview.Query{Page: inventory.Page{Limit: 4}}); ; {
		r, err := l.Preview(t.Context(), change, q)
		l.check(err)
		for _, one := range r.Tokens {
			names = append(names, one.DisplayName)
		}
		if q.Cursor = r.Next; r.Next == "" {
			break
		}
	}
	if len(names) != 25 || names[0] != "t07" || len(slices.Compact(slices.Sorted(slices.Values(names)))) != 25 {
		t.Errorf("the pages hold %v", names)
	}
	r, err := l.Preview(t.Context(), change, preview.Query{Owner: "Carol", Reason: "token_type_not_allowed"})
	if l.check(err); len(r.Tokens) != 12 || r.Counts.Breaks != 25 {
		t.Errorf("%d of carol's tokens, %d in all", len(r.Tokens), r.Counts.Breaks)
	}
}

func TestAnOperatorsRuleIsJudgedByWhatTheTokenIsUsedFor(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		".manifest": `{"roots": ["local"], "rego_version": 1, "metadata": {"patrol": {"input_version": 1}}}`,
		"local/policies/no_writes/policy.rego": `# METADATA
# title: No writes
# description: Reading only.
# custom:
#   unscoped: Reading
#   fine_grained: Reading
package local.policies.no_writes

reasons contains "policy_denied" if input.route.permission == "repo.write"

requires_approval := false
`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := newLab(t, dir)
	l.issue("bob", "pulls", authz.KindWrite)
	l.issue("bob", "pushes", authz.KindWrite)
	l.issue("bob", "both", authz.KindFineGrained)
	l.used("pulls", 1, 3, "repo.content.read")
	l.used("pushes", 1, 3, "repo.write")
	r, err := l.Preview(t.Context(), preview.Change{Policy: inventory.SetPolicy{Organization: "acme", TokenPolicy: "no_writes"}}, preview.Query{})
	l.check(err)
	got := map[string]string{}
	for _, one := range r.Tokens {
		got[one.DisplayName] = fmt.Sprintf("%s %d/%d", one.Reason, one.Broken, one.Tried)
	}
	if want := map[string]string{"pushes": "policy_denied 1/1", "both": "policy_denied 1/2"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBadPreviews(t *testing.T) {
	l := newLab(t)
	for field, c := range map[string]struct {
		preview.Change
		preview.Query
	}{
		"body":                 {},
		"token_policy":         {Change: preview.Change{Policy: inventory.SetPolicy{TokenPolicy: "nonsense"}}},
		"enforcement":          {Change: preview.Change{Policy: inventory.SetPolicy{Enforcement: "sometimes"}}},
		"enforce_at":           {Change: preview.Change{Policy: inventory.SetPolicy{TokenPolicy: scoped, EnforceAt: start}}},
		"existing_tokens":      {Change: preview.Change{Policy: inventory.SetPolicy{TokenPolicy: scoped, Existing: &inventory.ExistingTokens{Mode: "ask"}}}},
		"existing_tokens.days": {Change: preview.Change{Policy: inventory.SetPolicy{TokenPolicy: approval, Existing: &inventory.ExistingTokens{Mode: "approve_used_within"}}}},
		"settings.four_eyes":   {Change: preview.Change{Settings: map[string]any{"four_eyes": "yes"}}},
		"days":                 {Change: preview.Change{Days: 91}},
		"outcome":              {Query: preview.Query{Outcome: "perhaps"}},
		"cursor":               {Query: preview.Query{Page: inventory.Page{Cursor: "x"}}},
	} {
		c.Policy.Organization = "acme"
		_, err := l.Preview(t.Context(), c.Change, c.Query)
		var invalid *inventory.Invalid
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	var missing *inventory.NotFound
	if _, err := l.Preview(t.Context(), preview.Change{Policy: inventory.SetPolicy{Organization: "nowhere", TokenPolicy: scoped}}, preview.Query{}); !errors.As(err, &missing) {
		t.Errorf("an unknown organization: %v", err)
	}
}

func TestAPreviewCanBeCancelled(t *testing.T) {
	l := newLab(t)
	l.issue("bob", "reads", authz.KindRead)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := l.Preview(ctx, preview.Change{Policy: inventory.SetPolicy{Organization: "acme", TokenPolicy: scoped}}, preview.Query{}); !errors.Is(err, context.Canceled) {
		text, _ := json.Marshal(r)
		t.Errorf("got %s %v", text, err)
	}
}
