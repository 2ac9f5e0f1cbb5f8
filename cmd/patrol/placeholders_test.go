package main

import (
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
)

// TestEachPlaceholderThatTheGateTakesIsFilled: what a bundle may write into a
// sentence, the answer knows of a member.
func TestEachPlaceholderThatTheGateTakesIsFilled(t *testing.T) {
	now := time.Now()
	o := &authz.Outcome{Request: &asked{method: "PUT", path: "/x"}, Approval: &authz.ApprovalRequest{OpenedAt: now}, Facts: &authz.Facts{
		Now:           now,
		Route:         &authz.Route{Permission: "repo.write", Organizations: []string{"acme"}, Resource: &authz.Resource{Type: "model", Name: "acme/m"}},
		Organization:  &authz.Organization{Name: "acme"},
		Token:         &authz.Token{DisplayName: "ci", Kind: "write", ExpiresAt: now.Add(time.Hour)},
		Membership:    &authz.Membership{Role: "write"},
		Authorization: &authz.Authorization{State: authz.StateDenied, ChangedAt: now, Comment: "no"},
	}}
	for _, name := range authz.Placeholders {
		o.Reason = &authz.Reason{HTTPStatus: 403, Title: "title", Sentence: "<{" + name + "}>"}
		if got := answer.Sentence(o, answer.Options{}); len(strings.Trim(got, "<> ")) < 2 {
			t.Errorf("{%s} becomes %q", name, got)
		}
	}
}
