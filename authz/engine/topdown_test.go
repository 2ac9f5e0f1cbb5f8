package engine_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
)

// both evaluators are asked, and must agree.
type both struct {
	t        testing.TB
	compiled *engine.Evaluator
	topdown  *engine.Topdown
}

func (b both) Evaluate(ctx context.Context, f *authz.Facts) (authz.Decision, error) {
	b.t.Helper()
	got, gotErr := b.compiled.Evaluate(ctx, f)
	want, wantErr := b.topdown.Evaluate(ctx, f)
	if !reflect.DeepEqual(got, want) || (gotErr == nil) != (wantErr == nil) {
		b.t.Errorf("compiled %+v %v\ntopdown  %+v %v", got, gotErr, want, wantErr)
	}
	return want, wantErr
}

func policy(t testing.TB, o engine.Options, modules ...string) both {
	t.Helper()
	named := map[string]string{}
	for _, m := range modules {
		named[strings.Fields(m)[1]+".rego"] = m
	}
	compiler, err := ast.CompileModules(named)
	if err != nil {
		t.Fatal(err)
	}
	o.Compiler, o.Store = compiler, inmem.New()
	e, err := engine.NewTopdown(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return both{t, evaluator(t, o), e}
}

func decision(t *testing.T, rego string) (authz.Decision, error) {
	t.Helper()
	return policy(t, engine.Options{}, "package patrol.authz\n"+rego).Evaluate(t.Context(), inputtest.Facts())
}

func TestDecisionsThatAreUnderstood(t *testing.T) {
	type header = authz.HeaderValue
	cases := []struct {
		name, rego string
		want       authz.Decision
	}{
		{"true", `decision := true`, authz.Decision{Allowed: true, Reason: "allowed"}},
		{"false", `decision := false`, authz.Decision{Reason: "policy_denied", Reasons: []string{"policy_denied"}}},
		{
			"an object that says no more", `decision := {"allowed": false, "mine": 1}`,
			authz.Decision{Reason: "policy_denied", Reasons: []string{"policy_denied"}},
		},
		{
			"all of patrol's members", `decision := {"allowed": false, "reason": "approval_pending",
			"reasons": ["approval_pending", "b"], "next": {"n"}, "params": {"days": 3}, "request_approval": true,
			"anonymous": true, "exception": "e1"}`,
			authz.Decision{
				Reason: "approval_pending", Reasons: []string{"approval_pending", "b"}, Next: []string{"n"},
				RequestApproval: true, Anonymous: true, Exception: "e1", Params: map[string]any{"days": jsonNumber("3")},
			},
		},
		{
			"all of Envoy's members", `decision := {"allowed": true, "reason": "allowed",
			"headers": [{"x-a": "1"}, {"x-b": ["2", "3"]}], "response_headers_to_add": {"x-c": "4"},
			"request_headers_to_remove": ["x-d"], "query_parameters_to_set": {"q": ["5", "6"]},
			"query_parameters_to_remove": ["r"], "http_status": 418.0, "body": "b", "dynamic_metadata": {"k": "v"}}`,
			authz.Decision{},
		},
		{
			"a status and a body", `decision := {"allowed": false, "reason": "no_grant", "http_status": 404, "body": ""}`,
			authz.Decision{Reason: "no_grant", Envoy: &authz.EnvoyDecision{HTTPStatus: 404, HasBody: true}},
		},
		{
			"headers and query", `decision := {"allowed": true, "headers": [{"x-a": "1"}, {"x-b": ["2", "3"]}],
			"response_headers_to_add": {"x-c": "4"}, "request_headers_to_remove": ["x-d"],
			"query_parameters_to_set": {"q": ["5"]}, "query_parameters_to_remove": ["r"], "dynamic_metadata": {"k": "v"}}`,
			authz.Decision{Allowed: true, Reason: "allowed", Envoy: &authz.EnvoyDecision{
				Headers:         []header{{Name: "x-a", Value: "1"}, {Name: "x-b", Value: "2"}, {Name: "x-b", Value: "3"}},
				ResponseHeaders: []header{{Name: "x-c", Value: "4"}}, RequestHeadersRemove: []string{"x-d"},
				QuerySet: []header{{Name: "q", Value: "5"}}, QueryRemove: []string{"r"}, Metadata: map[string]any{"k": "v"},
			}},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := decision(t, c.rego)
			if reflect.DeepEqual(c.want, authz.Decision{}) {
				if err == nil {
					t.Errorf("a status that Envoy lacks was taken: %+v", got)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

// What is no decision is an error, never an allow.
func TestResultsThatAreNoDecision(t *testing.T) {
	for name, rego := range map[string]string{
		"undefined":              `decision := true if input.nothing`,
		"missing":                `other := true`,
		"a string":               `decision := "true"`,
		"null":                   `decision := null`,
		"a set":                  `decision := {true}`,
		"a number":               `decision := 1`,
		"without allowed":        `decision := {"reason": "allowed"}`,
		"allowed is a string":    `decision := {"allowed": "true"}`,
		"allowed is null":        `decision := {"allowed": null}`,
		"reason is a list":       `decision := {"allowed": true, "reason": ["allowed"]}`,
		"reasons is a string":    `decision := {"allowed": true, "reasons": "a"}`,
		"reasons holds a number": `decision := {"allowed": true, "reasons": [1]}`,
		"params is a list":       `decision := {"allowed": true, "params": []}`,
		"anonymous is a string":  `decision := {"allowed": true, "anonymous": "yes"}`,
		"headers is a string":    `decision := {"allowed": true, "headers": "x"}`,
		"a header is a number":   `decision := {"allowed": true, "headers": {"x": 1}}`,
		"headers holds a string": `decision := {"allowed": true, "headers": ["x"]}`,
		"status is a string":     `decision := {"allowed": false, "http_status": "403"}`,
		"status is unknown":      `decision := {"allowed": false, "http_status": 299}`,
		"body is an object":      `decision := {"allowed": false, "body": {}}`,
		"metadata is a list":     `decision := {"allowed": true, "dynamic_metadata": []}`,
		"query is a list":        `decision := {"allowed": true, "query_parameters_to_set": []}`,
		"two values":             "decision := true\ndecision := false if input.now",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := decision(t, rego); err == nil || got.Allowed {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
}

func TestAPolicyThatNeverEndsIsStopped(t *testing.T) {
	endless := `package patrol.authz
		decision := count([1 | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a + b < 0]) == 0`
	e := policy(t, engine.Options{Timeout: 50 * time.Millisecond}, endless)
	start := time.Now()
	got, err := e.Evaluate(t.Context(), inputtest.Facts())
	if err == nil || got.Allowed || time.Since(start) > 5*time.Second {
		t.Errorf("got %+v %v after %v", got, err, time.Since(start))
	}
	e = policy(t, engine.Options{Timeout: time.Minute}, endless)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start = time.Now()
	if got, err := e.Evaluate(ctx, inputtest.Facts()); err == nil || got.Allowed || time.Since(start) > 5*time.Second {
		t.Errorf("the caller's end: got %+v %v after %v", got, err, time.Since(start))
	}
}

func TestTheClockOfTheFactsIsThePolicysClock(t *testing.T) {
	d, err := decision(t, `decision := time.format(time.now_ns()) == "2026-11-24T12:00:00Z"`)
	if err != nil || !d.Allowed {
		t.Errorf("got %+v %v", d, err)
	}
}

// Of several decisions the first refusal is the answer; allows are put
// together in their order.
func TestSeveralDecisions(t *testing.T) {
	envoy := func(rego string) string { return "package envoy.authz\n" + rego }
	patrol := func(rego string) string { return "package patrol.authz\n" + rego }
	o := engine.Options{Decisions: []string{"envoy/authz/allow", "patrol/authz/decision"}}
	evaluate := func(a, b string) (authz.Decision, error) {
		return policy(t, o, envoy(a), patrol(b)).Evaluate(t.Context(), inputtest.Facts())
	}
	approved := `decision := {"allowed": true, "reason": "approved", "headers": {"x-b": "2"}, "request_approval": true}`

	d, err := evaluate(`allow := {"allowed": true, "headers": {"x-a": "1"}}`, approved)
	want := []authz.HeaderValue{{Name: "x-a", Value: "1"}, {Name: "x-b", Value: "2"}}
	if err != nil || !d.Allowed || d.Reason != "approved" || !d.RequestApproval || !reflect.DeepEqual(d.Envoy.Headers, want) {
		t.Errorf("both allow: %+v %v", d, err)
	}
	d, err = evaluate(`allow := false`, approved)
	if err != nil || d.Allowed || d.Reason != "policy_denied" || d.Envoy != nil {
		t.Errorf("the first refuses: %+v %v", d, err)
	}
	d, err = evaluate(`allow := {"allowed": true, "headers": {"x-a": "1"}}`, `decision := {"allowed": false, "reason": "no_grant"}`)
	if err != nil || d.Allowed || d.Reason != "no_grant" || d.Envoy != nil {
		t.Errorf("the second refuses: %+v %v", d, err)
	}
	if d, err = evaluate(`allow := true if input.nothing`, approved); !errors.Is(err, engine.ErrUndefined) || d.Allowed {
		t.Errorf("the first is undefined: %+v %v", d, err)
	}
	if d, err = evaluate(`allow := true`, `decision := 3`); err == nil || d.Allowed {
		t.Errorf("the second is no decision: %+v %v", d, err)
	}
}

// What a policy only asks for is there, or not, as in the whole input.
func TestWhatIsOnlyAskedForIsThere(t *testing.T) {
	for _, path := range []string{
		"attributes", "attributes.request", "attributes.request.http", "attributes.request.http.headers",
		"attributes.request.http.headers.accept", "attributes.request.http.path", "attributes.contextExtensions",
		"attributes.contextExtensions.team", "attributes.source", "attributes.source.address",
		"attributes.source.address.pipe", "attributes.source.address.socketAddress", "attributes.destination.principal",
		"token", "token.owner", "token.expired", "token.grants", "token.nothing", "organization", "organization.settings",
		"organization.next_token_policy", "authorization.request", "authorization.suspended", "route.resource.id",
		"membership", "client", "patrol", "version", "parsed_body", "parsed_body.type", "truncated_body", "now", "nothing",
	} {
		rego := "package patrol.authz\ndefault decision := false\ndecision if input." + path
		want, err := policy(t, engine.Options{AllFields: true}, rego).Evaluate(t.Context(), inputtest.Facts())
		if err != nil {
			t.Fatal(err)
		}
		got, err := policy(t, engine.Options{}, rego).Evaluate(t.Context(), inputtest.Facts())
		if err != nil || got.Allowed != want.Allowed {
			t.Errorf("input.%s: there %t, in the whole input %t %v", path, got.Allowed, want.Allowed, err)
		}
	}
}

// Rules and data are what an evaluator is made of: it does not start without.
func TestWithoutACompilerThereIsNoEvaluator(t *testing.T) {
	if _, err := engine.NewTopdown(t.Context(), engine.Options{}); err == nil {
		t.Error("no error")
	}
}

// OPA's own index would lose the refusal; see [compiled.Misindexed].
func TestARefusalThatOPAsIndexWouldNotFind(t *testing.T) {
	d, err := decision(t, `
default decision := {"allowed": true, "reason": "approved"}

decision := {"allowed": false, "reason": "denied", "waivable": false} if count(banned) > 0

banned contains grant.entity.id if {
	some grant in input.token.grants
	grant in input.authorization.grants
}`)
	if err != nil || d.Allowed {
		t.Errorf("%+v %v", d, err)
	}
}
