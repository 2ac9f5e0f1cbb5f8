package decide_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/decide"
	records "github.com/patrol-authz/patrol/authz/record"
	"github.com/patrol-authz/patrol/authz/routing"
)

// reading is a policy that looks at a request before it says yes.
type reading struct {
	yes
	looks func(authz.Request)
	saw   *authz.Facts
}

func (r *reading) Evaluate(ctx context.Context, f *authz.Facts) (authz.Decision, error) {
	r.saw = f
	if r.looks != nil {
		r.looks(f.Request)
	}
	if f.Route == nil {
		return authz.Decision{Reason: "route_unknown"}, nil
	}
	return r.yes.Evaluate(ctx, f)
}

// tables are the routes of other rules.
const tables = `
	/models/{organization}/{name} organization read
	/models organization read ?author
	/tools/{rest...} public
	/free unmanaged
	/git/{organization} organization read ?service=up
	/git/{organization} organization write ?service=down`

func table(t *testing.T, lines string) *routing.Router {
	t.Helper()
	var entries []routing.Entry
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		e := routing.Entry{Pattern: f[0], Access: f[1]}
		if len(f) > 2 {
			e.Permission = &routing.Source{Value: f[2]}
		}
		if len(f) > 3 {
			name, value, exact := strings.Cut(f[3][1:], "=")
			e.Query = map[string]string{name: "*"}
			if exact {
				e.Query[name] = value
			} else {
				e.Organizations = &routing.Source{From: "query", Name: name}
			}
		}
		entries = append(entries, e)
	}
	r, err := routing.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestARecordIsDecidedOnAgain(t *testing.T) {
	onAcme := func(pattern, permission string, organizations ...string) *authz.Route {
		return &authz.Route{Pattern: pattern, Access: "organization", Permission: permission, Organizations: append([]string{"acme"}, organizations...)}
	}
	models := onAcme("/models/{organization}/{name}", "read")
	for name, c := range map[string]struct {
		was    *authz.Route
		asked  records.Refused
		routes string // default: tables
		looks  func(authz.Request)
		change func(*authz.Facts)
		want   string // a reason, or what is lacking
	}{
		"as it was":                             {was: models, asked: records.Refused{Path: "/models/acme/m"}, want: "allowed"},
		"another permission of the route":       {was: onAcme("/models/{organization}/{name}", "write"), asked: records.Refused{Path: "/models/acme/m"}, want: "allowed"},
		"a route that is gone":                  {was: onAcme("/old/{organization}", "read"), asked: records.Refused{Path: "/old/acme"}, want: "route_unknown"},
		"none, as before":                       {asked: records.Refused{Path: "/nowhere"}, want: "route_unknown"},
		"none, and now a public one":            {asked: records.Refused{Path: "/tools/a"}, want: "allowed"},
		"none, and now an unmanaged one":        {asked: records.Refused{Path: "/free"}, want: "allowed"},
		"none, and now one of an organization":  {asked: records.Refused{Path: "/models/acme/m"}, want: "! the facts on acme"},
		"another organization":                  {was: models, asked: records.Refused{Path: "/models/globex/m"}, want: "! the facts on globex"},
		"unmanaged, and now public":             {was: &authz.Route{Access: "unmanaged", Pattern: "/tools/{rest...}"}, asked: records.Refused{Path: "/tools/a"}, want: "! the credential"},
		"malformed now":                         {was: models, asked: records.Refused{Path: "/models/acme%2fm/m"}, want: "request_malformed"},
		"an erased path":                        {was: models, asked: records.Refused{Path: "/models/acme/[redacted]"}, want: "! the whole path"},
		"a query that names the organization":   {was: onAcme("/models", "read"), asked: records.Refused{Path: "/models", Query: []string{"author"}}, want: "allowed"},
		"a query, and no route near":            {asked: records.Refused{Path: "/nowhere", Query: []string{"a"}}, want: "route_unknown"},
		"a query, and a route near":             {asked: records.Refused{Path: "/models", Query: []string{"author"}}, want: "! the query or the body, by which /models serves it"},
		"a query that tells the permission":     {was: onAcme("/git/{organization}", "write"), asked: records.Refused{Path: "/git/acme", Query: []string{"service"}}, want: "allowed"},
		"a query, and another permission":       {was: onAcme("/git/{organization}", "admin"), asked: records.Refused{Path: "/git/acme", Query: []string{"service"}}, want: "! the query or the body, by which another route"},
		"a query, and a route that comes first": {was: models, asked: records.Refused{Path: "/models/acme/m", Query: []string{"a"}}, routes: "/models/acme/{name} public\n" + tables, want: "! the query or the body, by which another route"},
		"what is not kept is read":              {was: models, asked: records.Refused{Path: "/models/acme/m"}, looks: func(r authz.Request) { r.Body() }, want: "! the body"},
		"what is not kept is read, and refused": {was: models, asked: records.Refused{Path: "/models/acme/m"}, looks: func(r authz.Request) { r.Header("x-team") }, want: "! the header x-team"},
		"several organizations":                 {was: onAcme("/models", "read", "globex"), asked: records.Refused{Path: "/models", Query: []string{"author"}}, want: "! the facts on each organization"},
		"the safety net":                        {was: models, asked: records.Refused{Path: "/models/acme/m"}, change: func(f *authz.Facts) { f.Authorization.Suspended = true }, want: "token_suspended"},
	} {
		w := sound()
		policy := &reading{yes: w.policy, looks: c.looks}
		rules := w.ruleset()
		rules.Evaluator, rules.Router = policy, table(t, tables)
		if c.routes != "" {
			rules.Router = table(t, c.routes)
		}
		c.asked.Method = "GET"
		f := &authz.Facts{
			Now: now, Credential: authz.CredentialFacts{State: "present", Scheme: "bearer"}, Route: c.was, Token: w.inventory.token,
			Organization: w.inventory.organization, Authorization: &authz.Authorization{State: "none"},
		}
		if c.was == nil {
			f.Organization, f.Authorization = nil, nil
		}
		if c.change != nil {
			c.change(f)
		}
		d, err := decide.Again(t.Context(), rules, f, (&records.Refusal{Request: c.asked}).Replay(false))
		what, lacks := strings.CutPrefix(c.want, "! ")
		var l *decide.Lacking
		switch {
		case lacks && (d.Allowed || !errors.As(err, &l) || !strings.Contains(err.Error(), what)):
			t.Errorf("%s: %+v %v, want %q", name, d, err, what)
		case !lacks && (err != nil || d.Reason != c.want):
			t.Errorf("%s: %+v %v, want %s", name, d, err, c.want)
		}
		if err == nil && d.Reason == "allowed" && policy.saw.Route.Access == "unmanaged" && policy.saw.Token != nil {
			t.Errorf("%s: the credential of an unmanaged route was looked at", name)
		}
		if !slices.Equal([]bool{f.Route == c.was, f.Token != nil}, []bool{true, true}) {
			t.Errorf("%s: the recorded facts were changed", name)
		}
	}
}

// A rule that says what a request is about may read what is not kept.
func TestARecordIsRoutedByARuleWhereThatReadsWhatIsKept(t *testing.T) {
	w := sound()
	rules := w.ruleset()
	rules.Evaluator = &reading{yes: w.policy}
	f := &authz.Facts{Now: now, Credential: authz.CredentialFacts{State: "present"}, Token: w.inventory.token}
	again := func(asked records.Refused, rule func(authz.Request)) (authz.Decision, error) {
		asked.Method, asked.Path = "GET", "/x"
		rules.Router = &routing.Sources{Router: table(t, tables), Rule: func(r authz.Request) (*authz.Route, error) {
			rule(r)
			return &authz.Route{Access: "public"}, nil
		}}
		return decide.Again(t.Context(), rules, f, (&records.Refusal{Request: asked}).Replay(false))
	}
	if d, err := again(records.Refused{}, func(r authz.Request) { r.Path() }); err != nil || !d.Allowed {
		t.Errorf("a rule that reads the path: %+v %v", d, err)
	}
	for name, c := range map[string]struct {
		asked records.Refused
		rule  func(authz.Request)
	}{
		"a rule that reads the body": {rule: func(r authz.Request) { r.Body() }},
		"a query":                    {asked: records.Refused{Query: []string{"a"}}, rule: func(authz.Request) {}},
	} {
		if d, err := again(c.asked, c.rule); err == nil || d.Allowed || !strings.Contains(err.Error(), "data.local.routing.route may read what is not known") {
			t.Errorf("%s: %+v %v", name, d, err)
		}
	}
}
