package authz_test

import (
	"regexp"
	"testing"

	"github.com/patrol-authz/patrol/authz"
)

// TestARequestsIDNeverChanges: clients and mails have been told of it.
func TestARequestsIDNeverChanges(t *testing.T) {
	uuid8 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for _, c := range []struct {
		token, organization string
		round               int
		want                string
	}{
		{"t", "o", 0, "cf2c58c9-bb72-8719-956f-f6a5d3d6b799"},
		{"t", "o", 1, "5b06eed4-2465-83ea-9f8d-d43a7909d821"},
		{"t", "p", 0, "e9e9993c-3fa9-8410-8420-4906f2c7e855"},
		{"u", "o", 0, "5d0ff321-c9eb-885e-b9c6-6ab5c96c8be8"},
		{"t", "o", 10, "9587581a-cbd9-8386-88a9-b9fba6b69c56"},
		{"01a20daf-8d3a-7c75-94a4-182374a6e5b3", "01a20daf-8d3a-7c75-94a4-182374a6e5b4", 2, "0841db20-6f03-8567-92c8-e90142598bc2"},
	} {
		got := authz.RequestID(c.token, c.organization, c.round)
		if got != c.want || !uuid8.MatchString(got) || seen[got] {
			t.Errorf("%s of %s, round %d: %s, want %s", c.token, c.organization, c.round, got, c.want)
		}
		seen[got] = true
	}
}
