package engine_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
)

func routes(t *testing.T, rego string) *engine.Routes {
	t.Helper()
	compiler, err := ast.CompileModules(map[string]string{"route.rego": rego})
	if err != nil {
		t.Fatal(err)
	}
	r, err := engine.NewRoutes(t.Context(), engine.Options{Compiler: compiler, Store: inmem.New()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheRuleSaysWhatARequestIsAbout(t *testing.T) {
	r := routes(t, `package local.routing
route := {"organizations": [input.attributes.request.http.headers["x-tenant"]], "permission": "repo.write", "access": "organization",
	"pattern": "/by/header", "resource": {"type": "model", "id": "7", "name": "acme/m", "visibility": "public"}} if input.parsed_path`)
	f := inputtest.Facts()
	f.Request.(inputtest.Request).GetAttributes().GetRequest().GetHttp().Headers["x-tenant"] = "acme"
	got, err := r.Route(f.Request)
	want := &authz.Route{
		Organizations: []string{"acme"}, Permission: "repo.write", Access: "organization", Pattern: "/by/header",
		Resource: &authz.Resource{Type: "model", ID: "7", Name: "acme/m", Visibility: "public"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
}

func TestWithoutTheRuleThereIsNothingToAsk(t *testing.T) {
	if r := routes(t, "package local.routing\nother := 1"); r != nil {
		t.Error("there is a rule")
	}
	got, err := routes(t, "package local.routing\nroute := {} if input.nothing").Route(inputtest.Facts().Request)
	if got != nil || err != nil {
		t.Errorf("undefined: %+v %v", got, err)
	}
}

// What is no route is an error, and so refuses: never another route, never none.
func TestWhatTheRuleMustNotSay(t *testing.T) {
	for rego, want := range map[string]string{
		`route := true`:                                                       "of type boolean, not an object",
		`route := {"organisations": ["a"]}`:                                   "organisations",
		`route := {"organizations": "a"}`:                                     "organizations",
		`route := {"organizations": [1]}`:                                     "organizations",
		`route := {"permission": 1}`:                                          "permission",
		`route := {"access": true}`:                                           "access",
		`route := {"resource": "m"}`:                                          "resource",
		`route := {"resource": {"kind": "m"}}`:                                "kind",
		`route := {"resource": {"name": 1}}`:                                  "resource.name",
		"route := {}\nroute := {\"access\": \"public\"} if input.parsed_path": "conflict",
	} {
		got, err := routes(t, "package local.routing\n"+rego).Route(inputtest.Facts().Request)
		if got != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v %v", rego, got, err)
		}
	}
}
