package main

import (
	"slices"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
)

func TestWhichTokensAreUnused(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ago := func(days int) *time.Time { at := now.AddDate(0, 0, -days); return &at }
	rows := []admin.Listed{
		{ID: "old and never used", CreatedAt: *ago(100)},
		{ID: "old and last used long ago", CreatedAt: *ago(200), LastUsedAt: ago(100)},
		{ID: "old and used lately", CreatedAt: *ago(200), LastUsedAt: ago(10)},
		{ID: "used to the day", CreatedAt: *ago(200), LastUsedAt: ago(90)},
		{ID: "new and never used", CreatedAt: *ago(10)},
	}
	var got []string
	for _, r := range unusedSince(rows, *ago(90)) {
		got = append(got, r.ID)
	}
	if want := []string{"old and never used", "old and last used long ago"}; !slices.Equal(got, want) {
		t.Errorf("unused for 90 days: %q, want %q", got, want)
	}
}
