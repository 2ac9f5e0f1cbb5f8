package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// callers of the matrix, beside "socket": the names of the bureau's tokens, and
// two that nobody issued.
var callers = []string{
	"socket", "operator", "admin", "ended", "reviewer", "reader", "admin_elsewhere", "member", "pending", "observed", "unscoped",
	"operators_other", "pretender", "revoked", "suspended", "disabled", "unknown", "nobody",
}

// Sorts of callers. Of each organization, those of acme and those of globex.
var (
	alive       = []string{"operator", "admin", "ended", "reviewer", "reader", "admin_elsewhere", "member", "pending", "observed", "unscoped", "operators_other", "pretender", "revoked", "suspended"}
	operators   = []string{"operator"}
	none        = []string{}
	ofReaders   = map[string][]string{acme: {"operator", "admin", "ended", "reviewer", "reader"}, globex: {"operator", "admin_elsewhere"}}
	ofReviewers = map[string][]string{acme: {"operator", "admin", "ended", "reviewer"}, globex: {"operator", "admin_elsewhere"}}
	ofWriters   = map[string][]string{acme: {"operator", "admin", "ended"}, globex: {"operator", "admin_elsewhere"}}
	ofMembers   = map[string][]string{acme: {"operator", "admin", "ended"}, globex: {"operator", "admin_elsewhere", "member"}}
)

// ofOwners are those whose tokens bob has, of whom the target is.
var ofOwners = both([]string{"operator", "member", "pending", "observed"})

func both(names []string) map[string][]string { return map[string][]string{acme: names, globex: names} }

// row says of an operation who is let through beside the socket, for each
// organization. Its body is one that changes nothing, or what an operation that
// judges its body needs.
type row struct {
	let  map[string][]string
	body func(b *bureau, organization string) any
}

// matrix has a row for each operation of the API.
var matrix = map[string]row{
	"list-notifications": {let: both(operators)}, "retry-notifications": {let: both(operators)}, "test-notifications": {let: both(operators)},
	"create-login-link": {let: both(none)},
	"whoami":            {let: both(alive)},
	"list-policies":     {let: both(alive)},
	"list-routes":       {let: both(operators)},
	"bundle-status":     {let: both(operators)}, "list-bundle-history": {let: both(operators)}, "roll-back-bundle": {let: both(none)}, "release-bundle": {let: both(none)},
	"get-shadow-bundle": {let: both(operators)}, "set-shadow-bundle": {let: both(none)}, "end-shadow-bundle": {let: both(none)}, "promote-shadow-bundle": {let: both(none)},
	"list-organizations": {let: both(operators)}, "create-organization": {let: both(operators)}, "delete-organization": {let: both(operators)},
	"get-organization": {let: ofMembers}, "get-token-policy": {let: ofMembers},
	"set-token-policy": {let: both(none)}, "preview-token-policy": {let: ofReaders, body: func(*bureau, string) any {
		return map[string]any{"token_policy": "only_fine_grained_tokens"}
	}},
	"list-members": {let: ofReaders}, "get-member": {let: ofReaders},
	"set-member": {let: ofWriters, body: func(*bureau, string) any { return map[string]any{"role": "read"} }}, "remove-member": {let: ofWriters},
	"ask-confirmation": {let: ofWriters}, "confirm-member": {let: both(operators)},
	"list-audit": {let: both(operators)}, "list-organization-audit": {let: ofReaders},
	"list-approvals": {let: ofReaders}, "approve-token": {let: ofReviewers}, "deny-token": {let: ofReviewers},
	"list-approval-groups": {let: ofReaders}, "comment-request": {let: ofReviewers}, "question-request": {let: ofReviewers}, "assign-request": {let: ofReviewers},
	"remind-request": {let: ofReviewers}, "escalate-request": {let: ofReviewers},
	"ask-request": {let: ofOwners}, "answer-request": {let: ofOwners}, "withdraw-request": {let: ofOwners},
	"change-settings": {let: both(none), body: nonsense}, "rename-organization": {let: both(operators)},
	"rotate-token": {let: both(operators)}, "update-token": {let: both(operators), body: nonsense},
	"list-organization-tokens": {let: ofReaders}, "get-organization-token": {let: ofReaders},
	"revoke-organization-token": {let: ofWriters}, "suspend-organization-token": {let: ofWriters}, "resume-organization-token": {let: ofWriters},
	"revoke-organization-tokens": {let: ofWriters, body: ids}, "suspend-organization-tokens": {let: ofWriters, body: ids}, "resume-organization-tokens": {let: ofWriters, body: ids},
	"approve-tokens": {let: ofReviewers, body: versions}, "deny-tokens": {let: ofReviewers, body: versions},
	"get-refusal": {let: both(operators)}, "list-refusals": {let: both(operators)}, "follow-decisions": {let: both(operators)}, "backup": {let: both(operators)}, "export-audit": {let: both(operators)},
	"get-audit-state": {let: both(operators)}, "sign-audit": {let: both(operators)},
	"list-tokens": {let: both(operators)}, "get-token": {let: both([]string{"operator", "member", "pending", "observed"})},
	"find-token":    {let: both(operators)},
	"import-tokens": {let: both(operators)}, "disable-token": {let: both(operators)}, "enable-token": {let: both(operators)}, "delete-token": {let: both(operators)},
	"disable-tokens": {let: both(operators), body: ids}, "enable-tokens": {let: both(operators), body: ids},
	"issue-token": {let: map[string][]string{acme: {"operator", "admin"}, globex: {"operator", "admin_elsewhere"}}, body: func(_ *bureau, o string) any {
		owner := map[string]string{acme: "alice", globex: "gail"}[o]
		return map[string]any{"owner": owner, "display_name": "x", "kind": "fine-grained", "grants": grantsOn([]string{"org.read"}, o)}
	}},
	"get-organization-token-usage": {let: ofReaders}, "get-organization-token-timeline": {let: ofReaders}, "get-organization-refusal": {let: ofReaders},
	"get-organization-usage": {let: ofReaders}, "list-replicas": {let: both(operators)},
	"list-findings": {let: ofReaders}, "list-discovered-tokens": {let: ofReaders},
	"list-token-refusals": {let: both([]string{"operator", "member", "pending", "observed"})},
	"get-token-usage":     {let: both([]string{"operator", "member", "pending", "observed"})}, "get-token-timeline": {let: both([]string{"operator", "member", "pending", "observed"})},
	"check": {let: ofReaders, body: func(_ *bureau, o string) any {
		return map[string]any{"method": "GET", "path": "/api/models/" + o + "/m"}
	}},
}

// nonsense is a body that whoever is let through hears of.
func nonsense(*bureau, string) any { return map[string]any{"no_such_member": 1} }

// Bodies of the bulk operations, on no token: whom the operation is not for is
// refused before.
func ids(*bureau, string) any { return map[string]any{"ids": []string{"none"}} }

func versions(*bureau, string) any {
	return map[string]any{"tokens": []any{map[string]any{"id": "none", "version": 1}}, "reason": "x"}
}

// operation is one of the OpenAPI document.
type operation struct{ id, method, path string }

func (b *bureau) operations() (all []operation) {
	b.t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		}
	}
	if err := json.Unmarshal(b.call("socket", "GET", "/api/openapi.json", nil).body, &doc); err != nil {
		b.t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			all = append(all, operation{o.OperationID, strings.ToUpper(method), path})
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.id, b.id) })
	if len(all) < 25 {
		b.t.Fatalf("only %d operations were found", len(all))
	}
	return all
}

// TestEachCallerMayWhatTheMatrixSays asks for every operation as every caller,
// on two organizations. Who is not let through changes nothing and learns
// nothing.
func TestEachCallerMayWhatTheMatrixSays(t *testing.T) {
	b := startBureau(t)
	asked := map[string]int{}
	rules, inRego := &askedRules{Asker: b.Bundles.Ruleset().Asker}, newRegoMatrix()
	b.Bundles.Ruleset().Asker = rules
	for _, o := range b.operations() {
		r, ok := matrix[o.id]
		if !ok {
			t.Errorf("the operation %s has no row in the matrix: say who is let through", o.id)
			continue
		}
		for _, organization := range []string{acme, globex} {
			target := ""
			for _, caller := range callers {
				want := caller == "socket" || slices.Contains(r.let[organization], caller)
				asked[fmt.Sprint("let through ", want)]++
				if target == "" {
					target = b.issueAs("target", inventory.IssueToken{Owner: "bob", Kind: "fine-grained", Grants: grantsOn([]string{"repo.write"}, acme, globex)})
				}
				rules.take()
				b.try(o, r, organization, caller, target, want)
				if err := inRego.add(caller, organization, b.named(target), rules.take()); err != nil {
					t.Fatal(err)
				}
				if want && o.method != http.MethodGet {
					target = "" // it may have changed
				}
			}
		}
	}
	for id := range matrix {
		if !slices.ContainsFunc(b.operations(), func(o operation) bool { return o.id == id }) {
			t.Errorf("the matrix has a row for %s, which is no operation", id)
		}
	}
	if err := inRego.check(); err != nil {
		t.Error(err)
	}
	t.Logf("asked: %v", asked)
}

// named replaces the ids, which each run has of its own.
func (b *bureau) named(target string) *strings.Replacer {
	pairs := []string{target, "target"}
	for name, id := range b.ids {
		if name != "target" {
			pairs = append(pairs, id, name)
		}
	}
	return strings.NewReplacer(pairs...)
}

func (b *bureau) try(o operation, r row, organization, caller, target string, want bool) {
	b.t.Helper()
	path := strings.NewReplacer("{organization}", organization, "{id}", target, "{user}", "zoe").Replace(o.path)
	var body any
	if r.body != nil {
		body = r.body(b, organization)
	} else if o.method == "PUT" || o.method == "POST" && !strings.HasPrefix(o.path, "/api/tokens/{id}") {
		body = `{"no_such_member":1}` // whoever is let through hears of it, and changes nothing
	}
	before := b.lastChange()
	a := b.call(caller, o.method, path, body)
	let := a.status < 400 || a.status == http.StatusNotFound || a.status == http.StatusConflict || a.status == http.StatusUnprocessableEntity
	if a.status >= 500 || let != want {
		b.t.Errorf("%s as %s in %s (%s %s): answered %d, let through should be %v: %s", o.id, caller, organization, o.method, path, a.status, want, a.body)
	}
	if o.method == http.MethodGet && b.lastChange().Seq != before.Seq {
		b.t.Errorf("%s as %s: a GET changed something: %+v", o.id, caller, b.lastChange())
	}
	if want {
		return
	}
	p := a.problem(b.t)
	if p.Code == "" || p.Detail == "" || p.RequestID == "" {
		b.t.Errorf("%s as %s: the refusal does not say why: %s", o.id, caller, a.body)
	}
	if a.status == http.StatusUnauthorized && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
		b.t.Errorf("%s as %s: 401 without a challenge", o.id, caller)
	}
	if strings.Contains(string(a.body), target) || strings.Contains(string(a.body), `"target"`) {
		b.t.Errorf("%s as %s: the refusal tells of the token: %s", o.id, caller, a.body)
	}
	if b.lastChange().Seq != before.Seq {
		b.t.Errorf("%s as %s in %s: refused, and yet it changed something: %+v", o.id, caller, organization, b.lastChange())
	}
}

// lastChange is the newest entry of the audit log that a caller made; what
// patrol does by itself meanwhile is nobody's.
func (b *bureau) lastChange() inventory.AuditRow {
	b.t.Helper()
	rows, _, err := b.Store.Audit(b.t.Context(), "", inventory.Page{Limit: 200})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range rows {
		if r.Actor.Kind != "system" {
			return r
		}
	}
	b.t.Fatal("the audit log has no change by anybody")
	return inventory.AuditRow{}
}

// TestAnotherOrganizationIsAsOneThatDoesNotExist: from the answers nobody can
// tell which organizations there are.
func TestAnotherOrganizationIsAsOneThatDoesNotExist(t *testing.T) {
	b := startBureau(t)
	for _, o := range b.operations() {
		if !strings.Contains(o.path, "{organization}") {
			continue
		}
		var answers []string
		for _, name := range []string{acme, "nowhere"} {
			path := strings.NewReplacer("{organization}", name, "{id}", b.ids["pending"], "{user}", "bob").Replace(o.path)
			a := b.call("admin_elsewhere", o.method, path, nil)
			p := a.problem(t)
			answers = append(answers, strings.ReplaceAll(fmt.Sprint(a.status, p.Code, p.Detail, p.Title, p.Present, p.Errors), name, "NAME"))
		}
		if answers[0] != answers[1] {
			t.Errorf("%s: %s\nand of one that does not exist: %s", o.id, answers[0], answers[1])
		}
	}
}

// TestATokenDecidesNeitherOnItselfNorOnItsOwnersTokens, and what an
// organization sees of a token is its own part.
func TestATokenDecidesNeitherOnItselfNorOnItsOwnersTokens(t *testing.T) {
	b := startBureau(t)
	own := b.issueAs("own", inventory.IssueToken{Owner: "alice", Kind: "fine-grained", Grants: grantsOn([]string{"repo.write"}, acme)})
	for _, id := range []string{own, b.ids["admin"]} {
		for _, action := range []string{"approve", "deny", "revoke", "suspend", "resume"} {
			body := map[string]any{}
			switch action {
			case "approve":
				body["version"] = 1
			case "deny":
				body["version"], body["reason"] = 1, "x"
			}
			a := b.call("admin", "POST", "/api/organizations/acme/settings/tokens/"+id+"/"+action, body)
			if p := a.problem(t); a.status != http.StatusForbidden || p.Code != "self_decision" {
				t.Errorf("%s: %d %s", action, a.status, a.body)
			}
		}
	}
	if a := b.call("operator", "POST", "/api/tokens/"+b.ids["operator"]+"/disable", nil); a.status != http.StatusForbidden {
		t.Errorf("an operator's token disables itself: %d", a.status)
	}
	if a := b.call("admin", "POST", "/api/organizations/acme/settings/tokens/"+b.ids["pending"]+"/approve", map[string]any{"version": 1}); a.status != http.StatusOK {
		t.Errorf("another's token is not approved: %d %s", a.status, a.body)
	}
	last := b.lastChange()
	if last.Actor != (inventory.Actor{Kind: "token", Name: "alice"}) || last.Action != "approval.approve" {
		t.Errorf("the audit says %+v", last)
	}
}

func TestAnOrganizationSeesItsOwnPartOfATokenThatOthersShare(t *testing.T) {
	b := startBureau(t)
	id := b.issueAs("shared", inventory.IssueToken{Owner: "bob", Kind: "fine-grained", Grants: grantsOn([]string{"repo.write"}, acme, globex)})
	for _, path := range []string{"/api/organizations/acme/settings/tokens/" + id, "/api/organizations/acme/settings/tokens", "/api/organizations/acme/settings/approvals", "/api/organizations/acme/audit", "/api/organizations/acme/members"} {
		a := b.call("admin", "GET", path, nil)
		if a.status != http.StatusOK || strings.Contains(string(a.body), globex) || strings.Contains(string(a.body), "gail") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	// A token that only the other organization knows is none here.
	elsewhere := b.issueAs("elsewhere", inventory.IssueToken{Owner: "gail", Kind: "fine-grained", Grants: grantsOn([]string{"repo.write"}, globex)})
	for _, action := range []string{"", "/approve", "/deny", "/revoke", "/suspend", "/resume"} {
		method := http.MethodPost
		if action == "" {
			method = http.MethodGet
		}
		if a := b.call("admin", method, "/api/organizations/acme/settings/tokens/"+elsewhere+action, nil); a.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", action, a.status, a.body)
		}
	}
}

func TestATokenIssuesOnlyWithinItsOwnRights(t *testing.T) {
	b := startBureau(t)
	type asked struct {
		caller, name string
		status       int
		change       map[string]any
	}
	end := "2999-01-01T00:00:00Z"
	// What an approval ends, ends what it issues; elsewhere it ends nothing.
	approved := b.Clock().Add(time.Hour).Truncate(time.Second)
	b.issue("approved for an hour", "alice", []string{"org.tokens.write", "repo.write"}, acme, globex)
	b.do(t, inventory.AddMember{Organization: globex, User: "alice", Role: "admin"})
	b.do(t, inventory.Approve{Organization: acme, Token: b.ids["approved for an hour"], Until: approved})
	inTime, late := approved.UTC().Format(time.RFC3339), approved.Add(time.Second).UTC().Format(time.RFC3339)
	model := []authz.Grant{{Entity: authz.Entity{Type: "model", Name: "acme/m"}, Permissions: []string{"repo.write"}}}
	for _, c := range []asked{
		{"admin", "what it may itself", 200, nil},
		{"admin", "a part of it: one model", 200, map[string]any{"grants": model}},
		{"admin", "for somebody else", 403, map[string]any{"owner": "bob"}},
		{"admin", "an unscoped one", 403, map[string]any{"kind": "read", "grants": nil}},
		{"admin", "what it may not", 403, map[string]any{"grants": grantsOn([]string{"job.write"}, acme)}},
		{"admin", "what nobody knows", 403, map[string]any{"grants": grantsOn([]string{"no.such"}, acme)}},
		{"admin", "elsewhere", 403, map[string]any{"grants": grantsOn([]string{"repo.write"}, globex)}},
		{"admin", "nothing at all", 403, map[string]any{"grants": nil}},
		{"admin", "an operator's right", 403, map[string]any{"global": []string{"patrol.operate"}}},
		{"ended", "without an end", 403, nil},
		{"ended", "a later end", 403, map[string]any{"expires_at": end}},
		{"approved for an hour", "without an end", 403, nil},
		{"approved for an hour", "an end after its approval's", 403, map[string]any{"expires_at": late}},
		{"approved for an hour", "an end in two organizations", 403, map[string]any{"expires_at": late, "grants": grantsOn([]string{"repo.write"}, globex, acme)}},
		{"approved for an hour", "one that ends with its approval", 200, map[string]any{"expires_at": inTime}},
		{"approved for an hour", "without an end, elsewhere", 200, map[string]any{"grants": grantsOn([]string{"repo.write"}, globex)}},
		{"reviewer", "with no right to issue", 403, map[string]any{"grants": grantsOn([]string{"org.tokens.review"}, acme)}},
		{"pending", "while it waits itself", 403, map[string]any{"owner": "bob"}},
		{"operator", "for anybody", 200, map[string]any{"owner": "bob"}},
	} {
		body := map[string]any{"owner": "alice", "display_name": "x", "kind": "fine-grained", "grants": grantsOn([]string{"repo.write"}, acme)}
		for k, v := range c.change {
			body[k] = v
			if v == nil {
				delete(body, k)
			}
		}
		if a := b.call(c.caller, "POST", "/api/tokens", body); a.status != c.status {
			t.Errorf("%s issues %s: %d %s", c.caller, c.name, a.status, a.body)
		}
	}
}

// TestWhatAnObservingOrganizationWaivesMakesNobodyAnAdministrator: there every
// token is let through, whatever it may.
func TestWhatAnObservingOrganizationWaivesMakesNobodyAnAdministrator(t *testing.T) {
	b := startBureau(t)
	a := b.call("observed", "GET", "/api/organizations/watched/settings/tokens", nil)
	if p := a.problem(t); a.status != http.StatusForbidden || p.Code != "waived" {
		t.Errorf("%d %s", a.status, a.body)
	}
}
