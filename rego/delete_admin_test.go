package rego_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// TestNoDeletedFactMakesAnAdministrator is the deletion test for the judgement
// on the admin API's callers.
func TestNoDeletedFactMakesAnAdministrator(t *testing.T) {
	b := load(t)
	ctx := context.Background()
	decision, err := rego.New(rego.Query("data.patrol.admin.decision"), rego.Compiler(compiler(t, b)),
		rego.Store(inmem.NewFromObject(b.Data))).PrepareForEval(ctx)
	if err != nil {
		t.Fatal(err)
	}
	allowed := func(input any) bool {
		rs, err := decision.Eval(ctx, rego.EvalInput(input))
		if err != nil {
			t.Fatalf("evaluate: %v", err)
		}
		return len(rs) == 1 && rs[0].Expressions[0].Value.(map[string]any)["allowed"] == true
	}
	refusals, deletions, allows := 0, 0, 0
	for name, input := range questions(t) {
		if allowed(input) {
			allows++
			continue
		}
		refusals++
		each(input, "", func(path string) {
			deletions++
			if allowed(input) {
				t.Errorf("%s: refused, but allowed without %s", name, path)
			}
		})
	}
	t.Logf("%d allows, %d refusals, %d deletions", allows, refusals, deletions)
	if allows < 20 || refusals < 200 || deletions < 4000 {
		t.Errorf("only %d allows, %d refusals and %d deletions were tried", allows, refusals, deletions)
	}
}

// questions are the operations by callers by what their tokens came to.
func questions(t *testing.T) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	changes := map[string]map[string]any{
		"plain":    {},
		"own":      {"target": map[string]any{"id": "t", "owner": "alice"}, "member": "alice"},
		"waived":   {"decision": map[string]any{"on": "organization", "allowed": true, "reason": "observed", "reasons": []any{"no_grant"}}},
		"refused":  {"decision": map[string]any{"on": "organization", "allowed": false, "reason": "no_grant", "reasons": []any{"no_grant"}}},
		"anywhere": {"decision": map[string]any{"on": "authenticated", "allowed": true, "reason": "allowed", "reasons": []any{}}},
		"beyond":   {"asked": map[string]any{"owner": "alice", "kind": "fine-grained", "grants": 1, "beyond": []any{"x"}, "global": []any{}, "person": true, "expires_at": "2027-02-01T00:00:00Z", "organizations": []any{"acme", "other"}, "readable": []any{"acme"}}},
		"late":     {"asked": map[string]any{"owner": "alice", "kind": "fine-grained", "grants": 1, "beyond": []any{}, "global": []any{}, "expires_at": "2027-02-01T00:00:00Z"}},
		"unended": {
			"operation": map[string]any{"id": "issue-token", "scope": "issue", "subject": "none", "in_body": true, "changes": true},
			"asked":     map[string]any{"owner": "alice", "kind": "fine-grained", "grants": 1, "beyond": []any{}, "global": []any{}, "organizations": []any{"acme"}, "expires_at": "2026-12-01T00:00:00Z"},
		},
		"for bob":   {"asked": map[string]any{"owner": "bob", "kind": "fine-grained", "grants": 1, "beyond": []any{}, "global": []any{}, "expires_at": "2026-12-01T00:00:00Z"}},
		"elsewhere": {"organization": ""},
	}
	for _, scope := range []string{"organization", "operator", "own", "any", "issue", "check"} {
		for _, subject := range []string{"none", "token", "member"} {
			for _, id := range []string{"list-organization-tokens", "approve-token", "set-token-policy", "set-member"} {
				for _, operator := range []bool{false, true} {
					for name, change := range changes {
						q := map[string]any{
							"operation": map[string]any{"id": id, "scope": scope, "permission": "org.write", "subject": subject, "in_body": id == "set-member", "changes": id != "list-organization-tokens"},
							"caller": map[string]any{"kind": "token", "owner": "alice", "system_owner": operator, "token": map[string]any{
								"id": "t0", "kind": "fine-grained", "global": []any{"patrol.operate"}, "ends": true, "expires_at": "2027-01-01T00:00:00Z",
							}},
							"decision":     map[string]any{"on": "organization", "allowed": true, "reason": "allowed", "reasons": []any{}},
							"organization": "acme", "target": map[string]any{"id": "t", "owner": "bob"}, "member": "bob",
							"asked": map[string]any{
								"owner": "alice", "kind": "fine-grained", "grants": 1, "beyond": []any{}, "global": []any{}, "person": false,
								"expires_at": "2026-12-01T00:00:00Z", "organizations": []any{"acme"}, "readable": []any{"acme"},
							},
						}
						maps.Copy(q, change)
						out[fmt.Sprintf("%s %s %s operator=%v %s", scope, subject, id, operator, name)] = ownCopy(t, q)
					}
				}
			}
		}
	}
	matrix, _ := readMatrix(t)
	for name, c := range matrix.Cases {
		for reason, operations := range c.Answers { // one of each stands for all
			q := map[string]any{"operation": matrix.Operations[operations[0]]}
			maps.Copy(q, c.Input)
			out[name+" "+reason] = ownCopy(t, q)
		}
	}
	return out
}

// ownCopy shares nothing with the other questions, since keys are deleted.
func ownCopy(t *testing.T, q map[string]any) (own map[string]any) {
	t.Helper()
	text, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &own); err != nil {
		t.Fatal(err)
	}
	return own
}
