package rego_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// TestNoDeletedFactTurnsARefusalIntoAnAllow deletes each key of sample inputs
// in turn, at every depth. An absent fact may refuse, or leave the decision
// undefined, which is policy_error; it never allows. Both evaluators are asked,
// and must agree.
func TestNoDeletedFactTurnsARefusalIntoAnAllow(t *testing.T) {
	b := load(t)
	ctx := context.Background()
	decision, err := rego.New(rego.Query("data.patrol.authz.decision"), rego.Compiler(compiler(t, b)),
		rego.Store(inmem.NewFromObject(b.Data))).PrepareForEval(ctx)
	if err != nil {
		t.Fatal(err)
	}
	fixture, err := rego.New(rego.Query("data.patrol.fixtures_test.request"), rego.Compiler(compiler(t, b)),
		rego.Store(inmem.NewFromObject(b.Data))).Eval(ctx)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(fixture[0].Expressions[0].Value)
	program, err := compiled.New(ctx, compiled.Options{
		Compiler: compiler(t, b), Data: ast.MustInterfaceToValue(b.Data).(ast.Object), Entrypoint: ast.MustParseRef("data.patrol.authz.decision"),
	})
	if err != nil {
		t.Fatal(err)
	}
	allowed := func(input any) (allow, defined bool) {
		rs, err := decision.Eval(ctx, rego.EvalInput(input))
		if err != nil {
			t.Fatalf("evaluate: %v", err)
		}
		if len(rs) > 0 {
			allow, defined = rs[0].Expressions[0].Value.(map[string]any)["allowed"] == true, true
		}
		m := program.Begin()
		defer m.End()
		v, err := m.Eval(ctx, compiled.Call{Input: m.FromTerm(ast.MustInterfaceToValue(input))})
		if (err == nil) != defined || v.Get("allowed").IsTrue() != allow || err != nil && !errors.Is(err, compiled.ErrUndefined) {
			t.Errorf("compiled: %v %v; by the interpreter allowed %t, defined %t", v, err, allow, defined)
		}
		return allow || v.Get("allowed").IsTrue(), defined
	}
	refusals, deletions := 0, 0
	for name, change := range variations() {
		var input map[string]any
		if err := json.Unmarshal(text, &input); err != nil {
			t.Fatal(err)
		}
		change(input)
		if allow, _ := allowed(input); allow {
			continue
		}
		refusals++
		each(input, "", func(path string) {
			deletions++
			if allow, _ := allowed(input); allow {
				t.Errorf("%s: refused, but allowed without %s", name, path)
			}
		})
	}
	t.Logf("%d refusals, %d deletions", refusals, deletions)
	if refusals < 100 || deletions < 3000 {
		t.Errorf("only %d refusals and %d deletions were tried", refusals, deletions)
	}
}

// each deletes every key at every depth, calls f, and puts it back.
func each(node any, path string, f func(path string)) {
	switch n := node.(type) {
	case map[string]any:
		keys := make([]string, 0, len(n))
		for k := range n {
			keys = append(keys, k)
		}
		for _, k := range keys {
			v := n[k]
			each(v, path+"/"+k, f)
			delete(n, k)
			f(path + "/" + k)
			n[k] = v
		}
	case []any:
		for _, v := range n {
			each(v, path+"/*", f)
		}
	}
}

// variations are changes to a sample input: policies by kinds by states by
// enforcement, and single facts gone wrong.
func variations() map[string]func(map[string]any) {
	out := map[string]func(map[string]any){}
	sub := func(in map[string]any, key string) map[string]any { return in[key].(map[string]any) }
	singles := map[string]func(map[string]any){
		"plain":     func(map[string]any) {},
		"expired":   func(in map[string]any) { sub(in, "token")["expired"] = true },
		"suspended": func(in map[string]any) { sub(in, "authorization")["suspended"] = true },
		"read role": func(in map[string]any) {
			sub(in, "membership")["role"] = "read"
			sub(in, "route")["permission"] = "repo.write"
		},
		"no member": func(in map[string]any) { delete(in, "membership") },
		"unknown":   func(in map[string]any) { delete(in, "token"); delete(in, "authorization"); delete(in, "membership") },
		"disabled": func(in map[string]any) {
			delete(in, "token")
			delete(in, "authorization")
			delete(in, "membership")
			sub(in, "credential")["disabled"] = true
		},
		"too old":  func(in map[string]any) { sub(sub(in, "organization"), "settings")["max_token_age_days"] = 1 },
		"no grant": func(in map[string]any) { sub(in, "authorization")["current"] = []any{} },
		"public read": func(in map[string]any) {
			sub(sub(in, "route"), "resource")["visibility"] = "public"
		},
		"public access": func(in map[string]any) { sub(in, "route")["access"] = "public"; delete(in, "token") },
		"dated": func(in map[string]any) {
			sub(in, "organization")["next_token_policy"] = "require_administrator_approval"
			sub(in, "organization")["enforce_at"] = "2026-12-24T00:00:00Z"
		},
	}
	policies := []string{"allow_user_access_tokens", "only_fine_grained_tokens", "do_not_require_administrator_approval", "require_administrator_approval"}
	for _, policy := range policies {
		for _, kind := range []string{"read", "write", "fine-grained"} {
			for _, state := range []string{"none", "approved", "denied", "revoked"} {
				for _, enforcement := range []string{"enforce", "observe"} {
					for name, single := range singles {
						out[policy+" "+kind+" "+state+" "+enforcement+" "+name] = func(in map[string]any) {
							sub(in, "organization")["token_policy"] = policy
							sub(in, "organization")["enforcement"] = enforcement
							sub(in, "token")["kind"] = kind
							sub(in, "authorization")["state"] = state
							sub(in, "authorization")["expired"] = false
							single(in)
						}
					}
				}
			}
		}
	}
	return out
}
