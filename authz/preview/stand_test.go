package preview_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
	"github.com/patrol-authz/patrol/authz/preview"
)

// written writes a standing in a line: "allowed approved", with what is waived or
// will be added, whether it asks, and what comes out otherwise.
func written(s *preview.Standing) string {
	one := func(j *preview.Judged) string {
		text := "refused " + j.Reason
		if j.Allowed {
			text = "allowed " + j.Reason
		}
		if j.Allowed && len(j.Reasons) > 0 {
			text += " though " + strings.Join(j.Reasons, " ")
		}
		if len(j.Next) > 0 {
			text += " then " + strings.Join(j.Next, " ")
		}
		return text
	}
	text := one(&s.Judged)
	if s.Asks {
		text += ", asks"
	}
	for i := range s.Others {
		text += fmt.Sprintf("; %s %s: %s", s.Others[i].Permission, s.Others[i].On, one(&s.Others[i]))
	}
	return text
}

// stands says how all tokens of the lab stand in acme, by their names.
func (l *lab) stands() map[string]string {
	l.t.Helper()
	var ids []string
	for _, id := range l.ids {
		ids = append(ids, id)
	}
	all, err := l.Stand(l.t.Context(), "acme", ids, preview.FewTries)
	l.check(err)
	out := map[string]string{}
	for name, id := range l.ids {
		if s := all[id]; s != nil {
			out[name] = written(s)
		}
	}
	return out
}

// TestHowEachTokenStands at present: as its requests are decided.
func TestHowEachTokenStands(t *testing.T) {
	l := newLab(t)
	estate(l)
	l.do(inventory.AddMember{Organization: "acme", User: "dora", Role: "read"})
	l.issue("dora", "beyond", authz.KindFineGrained, inventorytest.On("acme", "repo.write"))
	l.issue("dora", "unscoped", authz.KindWrite)
	l.issue("bob", "model", authz.KindFineGrained, authz.Grant{Entity: authz.Entity{Type: "model", Name: "acme/m"}, Permissions: []string{"repo.write"}})
	with := func(base map[string]string, changes ...string) map[string]string {
		out := map[string]string{}
		for name, text := range base {
			out[name] = text
		}
		for i := 0; i < len(changes); i += 2 {
			out[changes[i]] = changes[i+1]
		}
		return out
	}
	free := map[string]string{
		"reads": "allowed allowed", "writes": "allowed allowed", "fine": "allowed allowed", "own": "allowed allowed", "elsewhere": "refused no_grant",
		"approved": "allowed allowed", "denied": "allowed allowed", "pending": "allowed allowed", "model": "allowed allowed",
		"revoked": "refused token_revoked", "suspended": "refused token_suspended", "disabled": "refused token_unknown",
		// What its owner's role does not allow is refused; the rest of it works.
		"beyond": "allowed allowed; repo.write : refused insufficient_permission", "unscoped": "allowed allowed; repo.write : refused insufficient_permission",
	}
	approvals := with(free, "reads", "refused token_type_not_allowed", "writes", "refused token_type_not_allowed", "unscoped", "refused token_type_not_allowed",
		"fine", "refused approval_pending, asks", "model", "refused approval_pending, asks", "pending", "refused approval_pending, asks", "beyond", "refused approval_pending, asks",
		"own", "allowed admin_created", "approved", "allowed approved", "denied", "refused approval_denied")
	for _, c := range []struct {
		name   string
		before func()
		want   map[string]string
	}{
		{"under a policy that lets all in", nil, free},
		{"under one that asks for approvals", func() { l.policy(approval) }, approvals},
		{"where two people approve, nobody is exempt", func() {
			l.do(inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{inventory.SettingFourEyes: true}})
		}, with(approvals, "own", "refused approval_pending, asks")},
		{"by a limit of the organization", func() {
			l.do(inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{inventory.SettingFourEyes: nil, "max_token_lifetime_days": 30}})
		}, with(approvals, "fine", "refused lifetime_exceeded, asks", "model", "refused lifetime_exceeded, asks", "pending", "refused lifetime_exceeded, asks",
			"beyond", "refused lifetime_exceeded, asks", "own", "refused lifetime_exceeded", "approved", "refused lifetime_exceeded", "denied", "refused lifetime_exceeded")},
		{"in an organization that only observes", func() {
			l.do(inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"max_token_lifetime_days": nil}})
			l.do(inventory.SetPolicy{Organization: "acme", TokenPolicy: approval, Enforcement: authz.Observe})
		}, with(approvals, "reads", "allowed observed though token_type_not_allowed", "writes", "allowed observed though token_type_not_allowed",
			"unscoped", "allowed observed though token_type_not_allowed; repo.write : allowed observed though token_type_not_allowed insufficient_permission",
			"fine", "allowed observed though approval_pending, asks", "model", "allowed observed though approval_pending, asks",
			"pending", "allowed observed though approval_pending, asks", "beyond", "allowed observed though approval_pending insufficient_permission, asks",
			"elsewhere", "allowed observed though no_grant approval_pending insufficient_permission")},
		{"before the day of another policy", func() {
			l.do(inventory.SetPolicy{Organization: "acme", TokenPolicy: open, Enforcement: authz.Enforce})
			l.do(inventory.SetPolicy{Organization: "acme", TokenPolicy: scoped, EnforceAt: l.now.AddDate(0, 0, 30)})
		}, with(free, "reads", "allowed grace_period then token_type_not_allowed", "writes", "allowed grace_period then token_type_not_allowed",
			"unscoped", "allowed grace_period then token_type_not_allowed; repo.write : refused insufficient_permission then token_type_not_allowed")},
		{"after it", func() { l.now = l.now.AddDate(0, 0, 31) }, with(free,
			"reads", "refused token_type_not_allowed", "writes", "refused token_type_not_allowed", "unscoped", "refused token_type_not_allowed")},
		{"of who has left", func() {
			l.do(inventory.RemoveMember{Organization: "acme", User: "dora"})
			l.do(inventory.DeleteToken{Token: l.ids["unscoped"]})
			delete(l.ids, "unscoped")
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.before != nil {
				c.before()
			}
			got := l.stands()
			if c.want == nil {
				if got["beyond"] != "refused owner_not_member" || len(got) != len(l.ids) {
					t.Errorf("they stand %v", got)
				}
				return
			}
			for name, want := range c.want {
				if got[name] != want {
					t.Errorf("%s: %s, want %s", name, got[name], want)
				}
			}
		})
	}
}

// TestTheBundlesOwnRulesDecideHowATokenStands: an operator's rule, and an exception
// with its end.
func TestTheBundlesOwnRulesDecideHowATokenStands(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{
		"local/checks/freeze/check.rego": "# METADATA\n# title: Freeze\n# description: Nothing is written.\npackage local.checks.freeze\n\nreasons contains \"frozen\" if {\n\tinput.organization.name == \"acme\"\n\tinput.route.permission == \"repo.write\"\n}\n",
		"local/catalogue/data.json":      `{"frozen": {"http_status": 403, "grpc_status": 7, "title": "Frozen", "sentence": "Nothing is written to {organization} now"}}`,
		"local/exceptions/data.json":     `{"old": {"owner": "sec", "ticket": "T-1", "until": "2026-07-01T00:00:00Z", "reasons": ["token_type_not_allowed"], "owners": ["bob"]}}`,
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := newLab(t, dir)
	l.Sentence = func(o *authz.Outcome) string {
		told, _ := answer.Told(o, answer.Options{})
		return told
	}
	l.issue("bob", "reads", authz.KindRead)
	l.issue("bob", "fine", authz.KindFineGrained)
	l.issue("bob", "model", authz.KindFineGrained, authz.Grant{Entity: authz.Entity{Type: "model", Name: "acme/m"}, Permissions: []string{"repo.write"}})
	l.policy(scoped)
	want := map[string]string{
		"reads": "allowed exception though token_type_not_allowed", "fine": "allowed allowed; repo.write : refused frozen",
		"model": "allowed allowed; repo.write model acme/m: refused frozen",
	}
	if got := l.stands(); !reflect.DeepEqual(got, want) {
		t.Errorf("they stand %v", got)
	}
	all, err := l.Stand(t.Context(), "ACME", []string{l.ids["model"], "none"}, preview.ManyTries)
	if err != nil || len(all) != 1 || all[l.ids["model"]].Others[0].Message != "Nothing is written to acme now" {
		t.Errorf("the model's token stands %+v, %v", all, err)
	}
	l.now = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	if got := l.stands()["reads"]; got != "refused token_type_not_allowed" {
		t.Errorf("after the exception's end: %s", got)
	}
	if _, err := l.Stand(t.Context(), "nowhere", nil, 1); err == nil {
		t.Error("tokens stand in an organization that there is not")
	}
}

// TestOnHowMuchATokenIsJudgedIsBounded, and what is not tried is not told.
func TestOnHowMuchATokenIsJudgedIsBounded(t *testing.T) {
	l := newLab(t)
	var grants []authz.Grant
	for i := range 30 {
		grants = append(grants, authz.Grant{Entity: authz.Entity{Type: "model", Name: fmt.Sprintf("acme/m%d", i)}, Permissions: []string{"repo.content.read", "repo.write"}})
	}
	l.issue("bob", "many", authz.KindFineGrained, grants...)
	for most, want := range map[int]int{preview.FewTries: preview.FewTries, preview.ManyTries: preview.ManyTries, 100: 60} {
		all, err := l.Stand(t.Context(), "acme", []string{l.ids["many"]}, most)
		if s := all[l.ids["many"]]; err != nil || s.Tried != want || written(s) != "allowed allowed" {
			t.Errorf("at most %d: %+v, %v", most, s, err)
		}
	}
}

// BenchmarkStand judges a page of tokens: 50 that wait for an approval, which takes
// the longest.
func BenchmarkStand(b *testing.B) {
	for _, most := range []int{preview.FewTries, preview.ManyTries} {
		b.Run(fmt.Sprintf("%d tries", most), func(b *testing.B) {
			l := newLab(b)
			l.policy(approval)
			var ids []string
			for i := range 50 {
				name := fmt.Sprint("t", i)
				l.issue("bob", name, authz.KindFineGrained, authz.Grant{Entity: authz.Entity{Type: "model", Name: "acme/m"}, Permissions: []string{"repo.content.read", "repo.write", "discussion.write"}}, inventorytest.On("acme", "repo.content.read", "repo.write"))
				ids = append(ids, l.ids[name])
			}
			for b.Loop() {
				if all, err := l.Stand(b.Context(), "acme", ids, most); err != nil || len(all) != 50 {
					b.Fatal(len(all), err)
				}
			}
		})
	}
}
