package hygiene_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"
	oparego "github.com/open-policy-agent/opa/v1/rego"

	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/rego"
)

// base asks the base bundle.
type base struct{ query oparego.PreparedEvalQuery }

func newBase(t testing.TB) *base {
	t.Helper()
	l, err := bundle.NewFSLoader(rego.Base())
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.NewCustomReader(l).Read()
	if err != nil {
		t.Fatal(err)
	}
	q, err := oparego.New(oparego.Query("data."+strings.ReplaceAll(hygiene.Entry, "/", ".")), oparego.ParsedBundle("base", &b)).PrepareForEval(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return &base{q}
}

func (b *base) Ask(ctx context.Context, _ string, input, out any) error {
	rs, err := b.query.Eval(ctx, oparego.EvalInput(input))
	if err != nil {
		return err
	}
	text, err := json.Marshal(rs[0].Expressions[0].Value)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}

func day(n int) time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, n) }

// TestDocumentsReachTheRules: each fact has the name that the rules read it by.
func TestDocumentsReachTheRules(t *testing.T) {
	rules := newBase(t)
	tidy := func() *hygiene.Document {
		return &hygiene.Document{
			Now:           day(0),
			Organization:  &hygiene.Organization{ID: "o1", Name: "acme", Type: "organization"},
			Token:         &hygiene.Token{ID: "t1", Kind: "fine-grained", CreatedAt: day(-100), ExpiresAt: day(100), Owner: hygiene.Owner{Name: "bob"}},
			Membership:    &hygiene.Membership{Role: "write", Since: day(-200)},
			Authorization: &hygiene.Authorization{State: "none"},
			Usage:         &hygiene.Usage{Since: day(-200), LastUsedAt: day(-1)},
		}
	}
	acme := hygiene.Entity{Type: "organization", Name: "acme"}
	for _, c := range []struct {
		want, message string
		change        func(d *hygiene.Document)
	}{
		{"", "", func(*hygiene.Document) {}},
		{"not_rotated", "Its secret is 300 days old", func(d *hygiene.Document) { d.Token.CreatedAt = day(-300) }},
		{"", "", func(d *hygiene.Document) { d.Token.CreatedAt, d.Token.RotatedAt = day(-300), day(-3) }},
		{"unused", "It was not used here for 95 days", func(d *hygiene.Document) { d.Usage.LastUsedAt = day(-95) }},
		{"expires_soon", "It expires in 3 days, and was used 1 days ago", func(d *hygiene.Document) { d.Token.ExpiresAt = day(3) }},
		{"no_expiry", "It never expires", func(d *hygiene.Document) { d.Token.ExpiresAt = time.Time{} }},
		{"unscoped_write", "It may write to everything that bob may write to", func(d *hygiene.Document) { d.Token.Kind = "write" }},
		{"grants_never_used", "1 of its permissions here were not used for 30 days", func(d *hygiene.Document) {
			d.Token.Grants = []hygiene.Grant{{acme, []string{"job.write", "repo.write"}}}
			d.Usage.Allowed = []hygiene.Allowed{{ResourceType: "model", Resource: "acme/m", Permission: "repo.write", Count: 1, LastAt: day(-1)}}
		}},
		{"denied_outside_grants", "12 requests in 7 days asked for more than it may", func(d *hygiene.Document) {
			d.Usage.Refused = []hygiene.Refused{{"insufficient_permission", 12, day(-1)}}
		}},
		{"many_networks", "It came from 25 networks in 7 days", func(d *hygiene.Document) {
			for i := range 25 {
				d.Usage.Networks = append(d.Usage.Networks, hygiene.Network{string(rune('a' + i)), day(-1)})
			}
		}},
		{"seen_in_query", "Its secret was in a query string 2 times, last on 2026-05-31; it may be in logs and histories", func(d *hygiene.Document) {
			d.Usage.Refused = []hygiene.Refused{{"seen_in_query", 2, day(-1)}}
		}},
		{"used_after_revocation", "It was still used 4 times after it was revoked, last on 2026-05-31", func(d *hygiene.Document) {
			d.Authorization.State = "revoked"
			d.Usage.Refused = []hygiene.Refused{{"token_revoked", 4, day(-1)}}
		}},
		{"used_after_revocation", "It was still used 1 times after it was rotated, last on 2026-05-30", func(d *hygiene.Document) { d.Token.ReusedAt = day(-2) }},
		{"owner_gone", "Its owner bob is no member of the organization", func(d *hygiene.Document) { d.Membership = nil }},
		{"nobody_responsible", "It belongs to the service account bob, for which nobody answers", func(d *hygiene.Document) { d.Token.Owner.Type = "service_account" }},
		{"", "", func(d *hygiene.Document) { d.Membership, d.Token.Disabled = nil, true }},
	} {
		d := tidy()
		c.change(d)
		found, err := hygiene.Evaluate(context.Background(), rules, d)
		if err != nil {
			t.Errorf("%s: %v", c.want, err)
			continue
		}
		var names []string
		for _, f := range found {
			names = append(names, f.Name)
		}
		if strings.Join(names, " ") != c.want {
			t.Errorf("found %q, want %q", names, c.want)
		} else if len(found) == 1 && (found[0].Message != c.message || found[0].Do == "" || found[0].Title == "") {
			t.Errorf("%s says %q, want %q", c.want, found[0].Message, c.message)
		}
	}
}

// answer is a rule's answer, as JSON.
type answer string

func (a answer) Ask(_ context.Context, _ string, _, out any) error {
	if a == "" {
		return errors.New("undefined")
	}
	return json.Unmarshal([]byte(a), out)
}

func TestFindingsAreReadAndOrdered(t *testing.T) {
	found, err := hygiene.Evaluate(context.Background(), answer(`{
		"a": {"severity": "low", "sentence": "{n} of {list}, {other}", "details": {"n": 1000000, "list": ["x", "y"]}},
		"b": {"severity": "high", "title": "B", "do": "act"}, "c": {"severity": "medium"}}`), &hygiene.Document{})
	if err != nil || len(found) != 3 || found[0].Name != "b" || found[1].Name != "c" || found[2].Message != "1000000 of x, y, {other}" || found[2].Title != "a" {
		t.Errorf("found %+v (%v)", found, err)
	}
	for _, bad := range []answer{"", `{"a": {}}`, `{"a": {"severity": "terrible"}}`, `{"a": true}`, `[]`} {
		if found, err := hygiene.Evaluate(context.Background(), bad, &hygiene.Document{}); err == nil {
			t.Errorf("%s gave %+v", bad, found)
		}
	}
	if _, err := hygiene.Evaluate(context.Background(), nil, &hygiene.Document{}); err == nil {
		t.Error("without rules it finds something")
	}
}

func BenchmarkEvaluate(b *testing.B) {
	rules := newBase(b)
	d := &hygiene.Document{
		Now:           day(0),
		Organization:  &hygiene.Organization{ID: "o1", Name: "acme", Type: "organization"},
		Token:         &hygiene.Token{ID: "t1", Kind: "fine-grained", CreatedAt: day(-100), ExpiresAt: day(100), Owner: hygiene.Owner{Name: "bob"}},
		Membership:    &hygiene.Membership{Role: "write", Since: day(-200)},
		Authorization: &hygiene.Authorization{State: "none"},
		Usage:         &hygiene.Usage{Since: day(-200), LastUsedAt: day(-1)},
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := hygiene.Evaluate(context.Background(), rules, d); err != nil {
			b.Fatal(err)
		}
	}
}
