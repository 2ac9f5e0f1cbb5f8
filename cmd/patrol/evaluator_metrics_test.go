package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// clashing and alternating are paths on which the policy of evaluatorPolicy fails,
// and on which it answers otherwise each time.
const (
	clashing    = "/api/models/acme/clash"
	alternating = "/api/models/acme/turns"
)

const evaluatorPolicy = `package local.checks.a

path := input.attributes.request.http.path

reasons contains "policy_denied" if {
	path == "` + clashing + `"
	clash
}

clash := true if input.token

clash := false if input.route

reasons contains "policy_denied" if {
	path == "` + alternating + `"
	test.turns(path)
}
`

// TestMetricsTellWhatEvaluates: how often the compiled policy is held against OPA's
// interpreter, was left to it, and differed; and which of the two serves. A
// built-in that answers otherwise each time, and does not say so, makes them differ.
func TestMetricsTellWhatEvaluates(t *testing.T) {
	var turns atomic.Int64 // below 0: all alike, as at activation
	turns.Store(-1 << 40)
	rego.RegisterBuiltin1(&rego.Function{Name: "test.turns", Decl: types.NewFunction(types.Args(types.S), types.B)},
		func(rego.BuiltinContext, *ast.Term) (*ast.Term, error) {
			n := turns.Add(1)
			return ast.BooleanTerm(n > 0 && n%2 == 1), nil
		})
	w := startApp(t, func(c *Config) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "local/checks/a/check.rego"), evaluatorPolicy)
		c.Policy.Bundles, c.Policy.CompareEvery = []string{dir}, 1
	})
	w.people(t)
	secret := credential.Generate()
	token := w.do(t, inventory.IssueToken{
		Owner: "bob", DisplayName: "ci", Kind: authz.KindFineGrained, Digest: w.digester.Secret(secret), Last4: secret.Last4(),
		Grants: []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.content.read"}}},
	}).Token.ID
	w.do(t, inventory.Approve{Organization: "acme", Token: token})
	w.after(t, time.Second)
	conn := w.overSocket(t)
	ask := func(path, reason string) {
		t.Helper()
		if got := checkWith(t, conn, path, secret).GetDynamicMetadata().GetFields()["reason"].GetStringValue(); got != reason {
			t.Errorf("%s: %s, want %s", path, got, reason)
		}
	}
	const (
		compared, differed = "patrol_evaluator_comparisons_total", "patrol_evaluator_differences_total"
		left               = `patrol_evaluator_fallbacks_total{cause="conflict"}`
		compiled, topdown  = `patrol_evaluator_info{evaluator="compiled"}`, `patrol_evaluator_info{evaluator="topdown"}`
	)
	// come waits until a metric is what it has to be, for it is counted beside the
	// requests.
	come := func(name string, least float64) map[string]float64 {
		t.Helper()
		for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			if got := w.scraped(t); got[name] >= least {
				return got
			} else if time.Since(begun) > 30*time.Second {
				t.Fatalf("%s is %v, not %v", name, got[name], least)
			}
		}
	}
	are := func(got, want map[string]float64) {
		t.Helper()
		for name, v := range want {
			if got[name] != v {
				t.Errorf("%s is %v, not %v", name, got[name], v)
			}
		}
	}
	before := w.scraped(t)[compared] // questions are compared, too
	for range 4 {
		ask("/api/models/acme/m", "approved")
	}
	are(come(compared, before+4), map[string]float64{compiled: 1, topdown: 0, left: 0, differed: 0})

	ask(clashing, authz.ReasonPolicyError)
	are(come(left, 1), map[string]float64{compiled: 1, topdown: 0, left: 1, differed: 0})

	turns.Store(0)
	ask(alternating, authz.ReasonPolicyDenied)
	are(come(differed, 1), map[string]float64{compiled: 0, topdown: 1, left: 1, differed: 1})
	log, err := os.ReadFile(w.logs)
	if err != nil || !strings.Contains(string(log), `level=ERROR msg="the compiled policy is switched off: it differs from OPA's interpreter, which serves from now on" difference="approved (allowed true) by the interpreter, and compiled policy_denied (allowed false)"`) {
		t.Errorf("the log says %s, %v", log, err)
	}
}
