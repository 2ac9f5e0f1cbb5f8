package rego_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// TestNoDeletedFactMakesAReviewRecommendApproval deletes each fact of requests
// that are not recommended for approval: none may come to be.
func TestNoDeletedFactMakesAReviewRecommendApproval(t *testing.T) {
	b := load(t)
	ctx := context.Background()
	evaluate := func(query string) rego.PreparedEvalQuery {
		q, err := rego.New(rego.Query(query), rego.Compiler(compiler(t, b)), rego.Store(inmem.NewFromObject(b.Data))).PrepareForEval(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	sample, err := evaluate("data.patrol.review_test.request").Eval(ctx)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(sample[0].Expressions[0].Value)
	recommendation := evaluate("data.patrol.review.recommendation")
	approves := func(input any) bool {
		rs, err := recommendation.Eval(ctx, rego.EvalInput(input))
		if err != nil {
			t.Fatal(err)
		}
		return len(rs) > 0 && rs[0].Expressions[0].Value.(map[string]any)["action"] == "approve"
	}
	set := func(in map[string]any, part, key string, value any) { in[part].(map[string]any)[key] = value }
	grant := func(entity string, permissions ...any) []any {
		return []any{map[string]any{"entity": map[string]any{"type": entity, "name": "acme/m", "namespace": "o1"}, "permissions": permissions}}
	}
	others, deletions := 0, 0
	for _, role := range []string{"admin", "write", "read", "no_access"} {
		for _, asked := range [][]any{grant("model", "repo.content.read"), grant("model", "repo.write"), grant("organization", "repo.write"), grant("organization", "org.write"), grant("model", "made.up")} {
			for _, previous := range []string{"none", "denied", "approved"} {
				for _, owner := range []string{"user", "service_account"} {
					for _, limit := range []any{0, 10} {
						var in map[string]any
						if err := json.Unmarshal(text, &in); err != nil {
							t.Fatal(err)
						}
						set(in, "membership", "role", role)
						set(in, "asked", "grants", asked)
						set(in, "asked", "previous", previous)
						set(in, "token", "owner", map[string]any{"name": "bob", "type": owner})
						set(in, "organization", "settings", map[string]any{"max_token_lifetime_days": limit})
						if approves(in) {
							continue
						}
						others++
						each(in, "", func(path string) {
							deletions++
							if approves(in) {
								t.Errorf("role %s, %s, %s: recommended for approval without %s", role, previous, owner, path)
							}
						})
					}
				}
			}
		}
	}
	t.Logf("%d requests that are not recommended, %d deletions", others, deletions)
	if others < 100 || deletions < 3000 {
		t.Errorf("only %d requests and %d deletions were tried", others, deletions)
	}
}
