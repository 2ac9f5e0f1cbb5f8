package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

func TestWhichTokensAreUnused(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ago := func(days int) *time.Time { at := now.AddDate(0, 0, -days); return &at }
	// Ids of tokens that came to the inventory 10 and 120 days ago.
	const lately, longAgo = "01a1d9ed-c200-7000-8000-000000000001", "019fa372-3a00-7000-8000-000000000001"
	rows := []admin.Listed{
		{ID: "old and never used", CreatedAt: *ago(100)},
		{ID: "old and last used long ago", CreatedAt: *ago(200), LastUsedAt: ago(100)},
		{ID: "old and used lately", CreatedAt: *ago(200), LastUsedAt: ago(10)},
		{ID: "used to the day", CreatedAt: *ago(200), LastUsedAt: ago(90)},
		{ID: "new and never used", CreatedAt: *ago(10)},
		{ID: lately, DisplayName: "old, and imported lately", CreatedAt: *ago(500)},
		{ID: longAgo, DisplayName: "old, and imported long ago", CreatedAt: *ago(500)},
	}
	var got []string
	for _, r := range unusedSince(rows, *ago(90)) {
		got = append(got, r.ID)
	}
	if want := []string{"old and never used", "old and last used long ago", longAgo}; !slices.Equal(got, want) {
		t.Errorf("unused for 90 days: %q, want %q", got, want)
	}
}

// TestUnusedForIsRefusedOfATimeWithoutUsage: an estate that was just imported is
// old, and nothing of its use is known: none of it is chosen, so none is revoked.
func TestUnusedForIsRefusedOfATimeWithoutUsage(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	api, ctx := w.api(t), context.Background()
	sum := sha256.Sum256([]byte("an-old-token-of-another-system-0002"))
	old := time.Now().AddDate(-2, 0, 0)
	if _, err := api.ImportTokens(ctx, []admin.ImportedToken{{SHA256: hex.EncodeToString(sum[:]), Owner: "bob", DisplayName: "estate", Kind: "read", CreatedAt: &old}}, false); err != nil {
		t.Fatal(err)
	}
	choose := func(span string) ([]admin.Listed, error) {
		return (&chosenTokens{Organization: "open-lab", UnusedFor: span}).choose(ctx, api, inventory.TokenFilter{Query: "estate"})
	}
	refusedWith := func(span, want string) {
		t.Helper()
		if rows, err := choose(span); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", span, rows, err, want)
		}
		cli := &CLI{Server: "unix:" + filepath.Join(w.Config.DataDir, "admin.sock"), Output: "table"}
		err := cli.onTokens(ctx, &chosenTokens{Organization: "open-lab", UnusedFor: span, Search: "estate", Yes: true}, "revoke", "revoked", nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("revoke --unused-for %s --yes: %v; want %q", span, err, want)
		}
	}
	refusedWith("90d", "no usage is known yet")
	w.after(t, -100*24*time.Hour)
	since := w.Clock()
	w.ask(t, "GET", "/api/models/open-lab/model", "{bob_write}", "q1")
	w.written(t)
	w.after(t, 0)
	refusedWith("200d", "usage is known since "+since.UTC().Format("2006-01-02"))
	if rows, err := choose("90d"); err != nil || len(rows) != 0 {
		t.Errorf("old, imported a moment ago, is unused for 90 days: %+v, %v", rows, err)
	}
	if rows, err := choose("1ms"); err != nil || len(rows) != 1 {
		t.Errorf("unused since it came: %+v, %v", rows, err)
	}
	if rows := must(api.OrganizationTokens(ctx, "open-lab", inventory.TokenFilter{Query: "estate", Status: "revoked"}))(t); len(rows) != 0 {
		t.Errorf("revoked: %+v", rows)
	}
}
