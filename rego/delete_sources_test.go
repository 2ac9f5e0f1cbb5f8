package rego_test

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// TestNoDeletedClaimMakesATokenOfWhatIsNone, nor another token than it was but
// for what is told of it: the identity, the owner and the kind hang on no claim
// that may be absent.
func TestNoDeletedClaimMakesATokenOfWhatIsNone(t *testing.T) {
	b := load(t)
	ctx := context.Background()
	claims := map[string]any{
		"iss": "https://login.example", "sub": "bob", "client_id": "ci", "iat": 1000, "exp": 2000, "nbf": 1000, "active": true,
		"token_type": "Bearer", "scope": "organization:acme=repo.write",
	}
	for kind, name := range map[string]string{"jwt": "https://login.example", "introspection": "corp"} {
		query, err := rego.New(rego.Query("data.patrol.sources."+kind+".mapped"), rego.Compiler(compiler(t, b)), rego.Store(inmem.NewFromObject(b.Data))).PrepareForEval(ctx)
		if err != nil {
			t.Fatal(err)
		}
		mapped := func(input any) []any {
			rs, err := query.Eval(ctx, rego.EvalInput(input))
			if err != nil || len(rs) != 1 {
				t.Fatalf("evaluate: %v %v", rs, err)
			}
			return rs[0].Expressions[0].Value.([]any)
		}
		tokens, none := 0, 0
		for change, value := range map[string]any{"": nil, "sub": 7, "active": false, "token_type": "DPoP", "iss": "https://evil.example", "exp": "never", "nbf": 1501, "cnf": map[string]any{}, "client_id": ""} {
			var input map[string]any
			text, _ := json.Marshal(map[string]any{"now": 1500, "source": map[string]any{"kind": kind, "name": name}, "claims": claims})
			if err := json.Unmarshal(text, &input); err != nil {
				t.Fatal(err)
			}
			if change != "" {
				input["claims"].(map[string]any)[change] = value
			}
			before := mapped(input)
			each(input, "", func(path string) {
				after := mapped(input)
				switch {
				case len(before) == 0 && len(after) > 0 && path != "/claims/"+change:
					t.Errorf("%s %s=%v: no token, but one without %s", kind, change, value, path)
				case len(before) == 0:
					none++
				case len(after) > 0:
					tokens++
					was, is := before[0].(map[string]any), after[0].(map[string]any)
					if path != "/claims/client_id" && !reflect.DeepEqual(was["id"], is["id"]) || !reflect.DeepEqual(was["owner"], is["owner"]) || was["kind"] != is["kind"] {
						t.Errorf("%s without %s: %v became %v", kind, path, was, is)
					}
				}
			})
		}
		if tokens < 10 || none < 30 {
			t.Errorf("%s: only %d tokens and %d that are none were tried", kind, tokens, none)
		}
	}
}
