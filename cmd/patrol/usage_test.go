package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	uses "github.com/patrol-authz/patrol/authz/usage"
)

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// written writes gathered usage now, and looks for findings.
func (w *world) written(t testing.TB) {
	t.Helper()
	if err := w.Usage.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := w.Hygiene.RefreshChanged(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestRequestsAreCountedAndTold(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	api, ctx, id := w.api(t), context.Background(), w.ids["bob_fine"]
	for range 3 {
		w.ask(t, "GET", "/api/models/acme/model", "{bob_fine}", "q1")
	}
	w.written(t)
	w.do(t, inventory.Approve{Organization: "acme", Token: id, Version: 1})
	for range 2 {
		if reason := w.ask(t, "GET", "/api/models/acme/model", "{bob_fine}", "q2"); reason != "approved" {
			t.Fatalf("answered %s", reason)
		}
	}
	w.written(t)
	r := must(api.TokenUsage(ctx, "acme", id, 7))(t)
	if today := r.Days[6]; today.Allowed != 2 || today.Refused != 3 || len(r.Days) != 7 || r.LastUsedAt == nil {
		t.Errorf("usage: %+v", r)
	}
	if len(r.Networks) != 1 || r.Networks[0].Network != "192.0.2.0/24" || r.Resources[0].Resource != "acme/model" || r.Resources[0].Permission != "repo.content.read" {
		t.Errorf("usage: %+v", r)
	}
	if s := sparkline([]int64{0, 1, 50, 100}); s != "·▁▄█" {
		t.Errorf("the line is %s", s)
	}
	var told []string
	for _, e := range must(api.Timeline(ctx, "acme", id, 7))(t) {
		told = append(told, e.Kind+" "+e.What)
	}
	for _, want := range []string{"usage approved", "usage approval_pending", "audit approval.approve", "request opened", "audit token.issue"} {
		if !slices.Contains(told, want) {
			t.Errorf("the timeline %q does not tell %s", told, want)
		}
	}
	rows := must(api.OrganizationTokens(ctx, "acme", inventory.TokenFilter{Owner: "bob"}))(t)
	at := slices.IndexFunc(rows, func(l admin.Listed) bool { return l.ID == id })
	if at < 0 || rows[at].LastUsedAt == nil || w.Clock().Sub(*rows[at].LastUsedAt) > time.Minute {
		t.Errorf("the listing shows %+v", rows)
	}
}

func TestWhatTrafficShowsIsFound(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	api, ctx := w.api(t), context.Background()
	leaked := w.secrets["bob_fine"].Reveal()
	w.ask(t, "GET", "/api/models/acme/model?access_token="+leaked, "", "q1")
	w.ask(t, "GET", "/api/models/acme/model", "{bob_revoked}", "q2")
	w.ask(t, "GET", "/api/models/acme/model", "{bob_disabled}", "q3")
	w.written(t)
	if err := w.Hygiene.RefreshChanged(ctx); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, r := range must(api.Findings(ctx, "acme", hygiene.Filter{Severity: "high"}))(t) {
		found[r.Token] = append(found[r.Token], r.Name)
		if strings.Contains(r.Message, leaked) {
			t.Error("a finding shows a secret")
		}
	}
	for name, want := range map[string]string{"bob_fine": "seen_in_query", "bob_revoked": "used_after_revocation", "bob_disabled": "used_after_revocation"} {
		if !slices.Contains(found[w.ids[name]], want) {
			t.Errorf("%s: found %q, want %s", name, found[w.ids[name]], want)
		}
	}
	listed := must(api.OrganizationTokens(ctx, "acme", inventory.TokenFilter{Finding: "seen_in_query"}))(t)
	if len(listed) != 1 || listed[0].ID != w.ids["bob_fine"] || !slices.Contains(listed[0].Findings, "seen_in_query") {
		t.Errorf("by finding: %+v", listed)
	}
}

// TestARoundFindsWhatTimeBrings: nothing changes but the time, and a token is
// found to be unused; members who leave are found at once.
func TestARoundFindsWhatTimeBrings(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	ctx := context.Background()
	w.ask(t, "GET", "/api/models/open-lab/model", "{bob_write}", "q1")
	w.written(t)
	has := func(organization, token, finding string) bool {
		t.Helper()
		rows, _, err := w.Store.Findings(ctx, organization, hygiene.Filter{Finding: finding}, inventory.Page{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(rows, func(r hygiene.Row) bool { return r.Token == w.ids[token] })
	}
	w.Hygiene.Close() // rounds are made by hand from here on
	again := func() {
		t.Helper()
		w.Hygiene.Again()
		if err := w.Hygiene.Round(ctx); err != nil {
			t.Fatal(err)
		}
	}
	again()
	if !has("open-lab", "bob_write", "unscoped_write") || has("open-lab", "bob_write", "unused") {
		t.Error("of a token in use, not unscoped_write alone was found")
	}
	w.after(t, 100*24*time.Hour)
	if err := w.Hygiene.Round(ctx); err != nil {
		t.Fatal(err)
	}
	if !has("open-lab", "bob_write", "unused") {
		t.Error("after a hundred days it is not found unused")
	}
	w.do(t, inventory.RemoveMember{Organization: "open-lab", User: "bob"})
	if err := w.Hygiene.RefreshChanged(ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.Store.PruneFindings(ctx); err != nil {
		t.Fatal(err)
	}
	if has("open-lab", "bob_write", "unscoped_write") {
		t.Error("the findings of a token that reaches the organization no more are there")
	}
}

func TestAnEstateIsDiscoveredAndImported(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	api, ctx := w.api(t), context.Background()
	old := credential.NewSecret("an-old-token-of-another-system-0001")
	for range 3 {
		if reason := w.ask(t, "GET", "/api/models/watch-inc/model", old.Reveal(), "q1"); reason != "observed" {
			t.Fatalf("answered %s", reason)
		}
	}
	w.ask(t, "GET", "/api/models/acme/model", old.Reveal(), "q2") // enforced: not gathered
	w.written(t)
	rows := must(api.Discovered(ctx, "watch-inc"))(t)
	if len(rows) != 1 || rows[0].Requests != 3 || rows[0].Network != "192.0.2.0/24" || rows[0].Host != "hub.example" || rows[0].Permission != "repo.content.read" {
		t.Fatalf("discovered: %+v", rows)
	}
	if rows := must(api.Discovered(ctx, "acme"))(t); len(rows) != 0 {
		t.Errorf("discovered where the policy is enforced: %+v", rows)
	}
	for _, bad := range []admin.ImportedToken{
		{Owner: "bob", DisplayName: "x", Kind: "read"},
		{Digest: rows[0].Digest, SHA256: rows[0].Digest, Owner: "bob", DisplayName: "x", Kind: "read"},
		{Digest: "abc", Owner: "bob", DisplayName: "x", Kind: "read"},
	} {
		if _, err := api.ImportTokens(ctx, []admin.ImportedToken{bad}, false); err == nil || !strings.Contains(err.Error(), "tokens[0]") && !strings.Contains(err.Error(), "digest") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if n, err := api.ImportTokens(ctx, []admin.ImportedToken{{Digest: rows[0].Digest, Owner: "bob", DisplayName: "found", Kind: "read"}}, false); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if rows := must(api.Discovered(ctx, "watch-inc"))(t); len(rows) != 0 {
		t.Errorf("after the import: %+v", rows)
	}
	w.ask(t, "GET", "/api/models/open-lab/model", old.Reveal(), "q3")
	w.written(t)
	known := must(api.Tokens(ctx, inventory.TokenFilter{Query: "found"}))(t)
	if len(known) != 1 || known[0].LastUsedAt == nil {
		t.Errorf("the imported token: %+v", known)
	}
	if r := must(w.Store.TokenUsage(ctx, "", known[0].ID, 1))(t); len(r.Reasons) != 1 || r.Reasons[0] == (uses.ReasonUse{}) {
		t.Errorf("its usage: %+v", r)
	}
}

// TestAnOverlaysFindings: the example of docs/writing-rules.md, added while the
// server runs.
func TestAnOverlaysFindings(t *testing.T) {
	policy := t.TempDir()
	write(t, filepath.Join(policy, "local", "hygiene", "no_purpose", "finding.rego"), `package local.hygiene.no_purpose

finding := {"owner": input.token.owner.name} if {
	input.token
	not input.token.purpose
}
`)
	write(t, filepath.Join(policy, "local", "findings", "data.json"), `{"no_purpose": {"severity": "low", "title": "No purpose", "sentence": "{owner} wrote down no purpose", "do": "Ask for one"},
		"unscoped_write": {"off": true}}`)
	w := startApp(t, func(c *Config) { c.Policy.Bundles = []string{policy} })
	if s := w.Bundles.Status()[1]; s.Error != "" || len(s.Warnings) > 0 {
		t.Errorf("the overlay: %q, %q", s.Error, s.Warnings)
	}
	w.populate(t, filepath.Join(casesDir, "world.json"))
	w.Hygiene.Close()
	w.Hygiene.Again()
	if err := w.Hygiene.Round(context.Background()); err != nil {
		t.Fatal(err)
	}
	rows := must(w.api(t).Findings(context.Background(), "open-lab", hygiene.Filter{}))(t)
	at := slices.IndexFunc(rows, func(r hygiene.Row) bool { return r.Name == "no_purpose" && r.Token == w.ids["bob_write"] })
	if at < 0 || rows[at].Message != "bob wrote down no purpose" {
		t.Errorf("found %+v", rows)
	}
	if slices.ContainsFunc(rows, func(r hygiene.Row) bool { return r.Name == "unscoped_write" }) {
		t.Error("what was switched off is found")
	}
}
