package routing_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/routing"
)

// told is a request with context_extensions.
type told struct {
	request
	extensions map[string]string
}

func (t told) Extension(key string) (string, bool) { v, ok := t.extensions[key]; return v, ok }

func threeRoutes(t *testing.T) *routing.Router {
	t.Helper()
	r, err := routing.New([]routing.Entry{
		{Pattern: "/api/models/{organization}/{name}", Permission: &routing.Source{Value: "repo.read"}, Resource: &routing.ResourceTemplate{Type: "model", Name: "{organization}/{name}"}},
		{Pattern: "/open", Access: "unmanaged"},
		{Pattern: "/odd/{organization}/{rest...}", Permission: &routing.Source{Value: "repo.read"}, Allow: []string{"encoded_slash"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// context_extensions say what the table doesn't, and never anything else than
// the table.
func TestExtensionsCompleteTheTableAndNeverContradictIt(t *testing.T) {
	s := &routing.Sources{Router: threeRoutes(t), Extensions: []string{"organization", "permission", "resource_type"}}
	model, elsewhere := "/api/models/acme/m", "/grpc.Service/Method"
	for name, c := range map[string]struct {
		path string
		told map[string]string
		want string // the pattern that came out; "" is none
	}{
		"nothing told":                   {model, nil, "/api/models/{organization}/{name}"},
		"the same organization":          {model, map[string]string{"organization": "acme", "permission": "repo.read"}, "/api/models/{organization}/{name}"},
		"the same, in other case":        {model, map[string]string{"organization": "ACME"}, "/api/models/{organization}/{name}"},
		"another organization":           {model, map[string]string{"organization": "other"}, ""},
		"another permission":             {model, map[string]string{"permission": "repo.write"}, ""},
		"another resource type":          {model, map[string]string{"resource_type": "dataset"}, ""},
		"a key that is not believed":     {model, map[string]string{"resource_name": "other/m", "access": "public"}, "/api/models/{organization}/{name}"},
		"an organization on an open one": {"/open", map[string]string{"organization": "acme"}, ""},
		"no table entry":                 {elsewhere, map[string]string{"organization": "acme", "permission": "repo.read"}, "context_extensions"},
		"no table entry, half told":      {elsewhere, map[string]string{"organization": "acme"}, ""},
		"no table entry, reserved name":  {elsewhere, map[string]string{"organization": "caller", "permission": "repo.read"}, ""},
		"no table entry, nothing told":   {elsewhere, nil, ""},
	} {
		got, err := s.Route(told{request{method: "POST", path: c.path}, c.told})
		if err != nil || (got == nil) != (c.want == "") || got != nil && got.Pattern != c.want {
			t.Errorf("%s: %+v %v, want %q", name, got, err, c.want)
		}
	}
	if _, err := s.Route(told{request{method: "GET", path: "/a%2fb"}, map[string]string{"organization": "acme", "permission": "repo.read"}}); err == nil {
		t.Error("an encoded slash was admitted by an extension")
	}
	if err := routing.CheckExtensions([]string{"organization", "access"}); err == nil {
		t.Error("access can be told by an extension")
	}
}

// The rule comes first, but never before the path was looked at, and what it
// says is complete or an error.
func TestTheRuleComesFirst(t *testing.T) {
	asked := ""
	s := &routing.Sources{Router: threeRoutes(t), Rule: func(r authz.Request) (*authz.Route, error) {
		asked = r.Path()
		switch r.Path() {
		case "/api/models/acme/m":
			return &authz.Route{Organizations: []string{"by-rule"}, Permission: "p"}, nil
		case "/half":
			return &authz.Route{Organizations: []string{"by-rule"}}, nil
		case "/nameless":
			return &authz.Route{Organizations: []string{""}, Permission: "p"}, nil
		case "/odd-access":
			return &authz.Route{Access: "open"}, nil
		case "/public":
			return &authz.Route{Access: "public"}, nil
		case "/fails":
			return nil, errors.New("broken")
		}
		return nil, nil
	}}
	route := func(path string) (*authz.Route, error) {
		return s.Route(told{request: request{method: "GET", path: path}})
	}
	got, err := route("/api/models/acme/m")
	if want := (&authz.Route{Organizations: []string{"by-rule"}, Permission: "p", Access: "organization", Pattern: "data.local.routing.route"}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the rule: %+v %v", got, err)
	}
	if got, err := route("/api/models/acme/n"); err != nil || got == nil || got.Organizations[0] != "acme" {
		t.Errorf("the table, where the rule says nothing: %+v %v", got, err)
	}
	if got, err := route("/public"); err != nil || got.Access != "public" {
		t.Errorf("an access: %+v %v", got, err)
	}
	for _, path := range []string{"/half", "/nameless", "/odd-access", "/fails"} {
		if _, err := route(path); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
	asked = ""
	for _, path := range []string{"//x", "/a/../b", "/a%2fb"} {
		if _, err := route(path); err == nil || asked != "" {
			t.Errorf("%s: %v, the rule was asked about %q", path, err, asked)
		}
	}
	if got, err := route("/odd/acme/a%2fb"); err != nil || got == nil || asked != "" {
		t.Errorf("an odd form that the table admits: %+v %v, asked %q", got, err, asked)
	}
}
