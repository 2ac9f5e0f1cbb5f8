package decide_test

import (
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

func TestTheSecretBeforeARotation(t *testing.T) {
	for name, c := range map[string]struct {
		until       time.Time
		enforcement string
		reason      string
		reused      bool
	}{
		"is accepted until the overlap ends": {now.Add(time.Millisecond), "enforce", "allowed", false},
		"and no longer":                      {now, "enforce", "token_unknown", true},
		"not at all where there was none":    {time.Time{}, "enforce", "token_unknown", true},
		"nor where everybody is let through": {now, "observe", "token_unknown", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := sound()
			w.inventory.organization.Enforcement = c.enforcement
			w.inventory.former, w.inventory.formerUntil, w.inventory.token = w.inventory.token, c.until, nil
			out := w.decide()
			if out.Decision.Reason != c.reason || out.Decision.Allowed != (c.reason == "allowed") || (out.Reused != nil) != c.reused {
				t.Errorf("%+v, reused %+v", out.Decision, out.Reused)
			}
			if c.reused && (out.Facts.Token != nil || out.ReusedDigest == authz.Digest{}) {
				t.Errorf("facts %+v", out.Facts)
			}
			if warned := len(out.Warnings) == 1 && out.Warnings[0].Topic == "token_rotated"; warned == c.reused {
				t.Errorf("warnings: %+v", out.Warnings)
			}
		})
	}
}

func TestAnOrganizationsFormerNameNamesTheSameResources(t *testing.T) {
	w := sound()
	w.inventory.organization.Name = "acme-labs"
	w.route.Resource = &authz.Resource{Type: "model", Name: "acme/m"}
	if got := w.decide().Facts.Route.Resource.Name; got != "acme-labs/m" || w.route.Resource.Name != "acme/m" {
		t.Errorf("the rules see %s; the route became %s", got, w.route.Resource.Name)
	}
}
