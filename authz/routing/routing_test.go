package routing_test

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/routing"
)

// request is one whose body, if any, is said to be JSON, or what kind says.
type request struct{ method, path, host, body, kind string }

func (r request) Method() string { return r.method }
func (r request) Path() string   { return r.path }
func (r request) Host() string   { return r.host }
func (request) Scheme() string   { return "" }
func (request) Protocol() string { return "" }
func (request) ID() string       { return "" }
func (r request) Header(name string) (string, int) {
	if name != "content-type" || r.kind == "none" {
		return "", 0
	}
	return cmp.Or(r.kind, "application/json"), 1
}
func (request) EachHeader(func(string, string) bool) {}
func (r request) Body() authz.Body                   { return authz.Body{Bytes: []byte(r.body), Present: r.body != ""} }
func (request) Extension(string) (string, bool)      { return "", false }
func (request) Source() authz.Peer                   { return authz.Peer{} }
func (request) Destination() authz.Peer              { return authz.Peer{} }
func (request) Attributes() (map[string]any, error)  { return nil, nil }

func table(t testing.TB, entries ...any) *routing.Router {
	t.Helper()
	list, err := routing.Parse(entries, "routes")
	if err != nil {
		t.Fatal(err)
	}
	r, err := routing.New(list)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func entry(pattern string, more ...any) map[string]any {
	e := map[string]any{"pattern": pattern, "permission": "p", "organizations": map[string]any{"from": "query", "name": "o", "default": "x"}}
	for i := 0; i+1 < len(more); i += 2 {
		e[more[i].(string)] = more[i+1]
	}
	return e
}

func TestALiteralBeatsAVariableSegmentBySegment(t *testing.T) {
	r := table(t, entry("/{a}/{b}/resolve/{rest...}"), entry("/datasets/{a}/resolve/{rest...}"), entry("/{a}/{b}.git/{rest...}"), entry("/{a}/{rest...}"), entry("/"))
	for path, want := range map[string]string{
		"/x/y/resolve/z":        "/{a}/{b}/resolve/{rest...}",
		"/datasets/y/resolve/z": "/datasets/{a}/resolve/{rest...}",
		"/x/y.git/info":         "/{a}/{b}.git/{rest...}",
		"/x/.git/info":          "/{a}/{rest...}",
		"/x/y":                  "/{a}/{rest...}",
		"/":                     "/",
	} {
		got, err := r.Route(request{method: "GET", path: path})
		if err != nil || got == nil || got.Pattern != want {
			t.Errorf("%s: %+v %v; want %s", path, got, err, want)
		}
	}
	if got, err := r.Route(request{method: "GET", path: "/x"}); got != nil || err != nil {
		t.Errorf("/x: %v %v; want no route", got, err)
	}
}

// Who escapes a letter of a literal reaches the same route: another one could
// ask for less.
func TestAnEscapedLiteralIsTheSameLiteral(t *testing.T) {
	r := table(t, entry("/o/{name}/settings/tokens", "permission", "more"), entry("/o/{name}/{rest...}"), entry("/{a}/{b}.git"))
	for path, want := range map[string]string{
		"/o/x/settings/tokens":       "/o/{name}/settings/tokens",
		"/o/x/settings/t%6fkens":     "/o/{name}/settings/tokens",
		"/%6F/x/s%65ttings/token%73": "/o/{name}/settings/tokens",
		"/x/y.g%69t":                 "/{a}/{b}.git",
	} {
		got, err := r.Route(request{method: "GET", path: path})
		if err != nil || got == nil || got.Pattern != want {
			t.Errorf("%s: %+v %v; want %s", path, got, err, want)
		}
	}
}

func TestOnlyIdenticalEntriesAreRefused(t *testing.T) {
	a, _ := routing.Parse([]any{entry("/{a}"), entry("/{a}")}, "routes")
	if _, err := routing.New(a); err == nil {
		t.Error("two identical routes were taken")
	}
	table(t, entry("/{a}"), entry("/{a}", "methods", []any{"GET"}))
}

func TestAnOddFormIsForRoutesThatAllowIt(t *testing.T) {
	r := table(t, entry("/npm/{name}", "allow", []any{"encoded_slash"}), entry("/other/{name}"))
	got, err := r.Route(request{method: "GET", path: "/npm/@scope%2fname"})
	if err != nil || got == nil {
		t.Errorf("the route that allows it: %v %v", got, err)
	}
	if _, err := r.Route(request{method: "GET", path: "/other/@scope%2fname"}); err == nil {
		t.Error("the route that does not allow it took it")
	}
	if _, err := r.Route(request{method: "GET", path: "/npm/..%2fname"}); err == nil {
		t.Error("a dot segment behind an encoded slash was taken")
	}
}

func TestHosts(t *testing.T) {
	r := table(t, entry("/a", "hosts", []any{"Hub.Example", "*.hub.example"}))
	for host, want := range map[string]bool{"hub.example": true, "HUB.example.:443": true, "x.hub.example": true, "hub.example.evil": false, "evilhub.example": false, "": false} {
		got, _ := r.Route(request{method: "GET", path: "/a", host: host})
		if (got != nil) != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

// Envoy joins two Host headers by a comma, and the upstream may believe either.
func TestADoubtfulHostIsRefusedBeforeTableAndRule(t *testing.T) {
	r := table(t, entry("/a"))
	sources := &routing.Sources{Router: r, Rule: func(authz.Request) (*authz.Route, error) {
		t.Error("the rule was asked")
		return nil, nil
	}}
	for _, host := range []string{"hub.example,other.example", "hub.example, other", "user@hub.example", "hub.example/x", "hub.example\\x", "hub example", "hub.ex\x00ample", "h\xfcb"} {
		for _, router := range []authz.Router{r, sources} {
			_, err := router.Route(request{method: "GET", path: "/a", host: host})
			var refusal *authz.Refusal
			if !errors.As(err, &refusal) || refusal.Reason != authz.ReasonRequestMalformed {
				t.Errorf("%q: %v", host, err)
			}
		}
	}
	for _, host := range []string{"", "hub.example:443", "[2001:db8::1]:8080", "Hub_1.example."} {
		if got, err := r.Route(request{method: "GET", path: "/a", host: host}); got == nil {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestBadTablesNameTheEntry(t *testing.T) {
	for want, e := range map[string]any{
		"unknown":    map[string]any{"pattern": "/x", "unknown": 1},
		"slash":      map[string]any{"pattern": "x"},
		"access":     map[string]any{"pattern": "/x", "access": "open"},
		"permission": map[string]any{"pattern": "/{organization}"},
		"upper":      map[string]any{"pattern": "/x", "access": "public", "methods": []any{"get"}},
	} {
		_, err := routing.Parse([]any{e}, "local.routes")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "local.routes[0]") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A name of the query that an entry looks at is there once, and no other that some
// readers take for it: who writes it otherwise could ask for more than is looked at.
func TestANameOfTheQuery(t *testing.T) {
	r := table(t,
		map[string]any{"pattern": "/x", "permission": "admin", "query": map[string]any{"mode": "admin"}, "organizations": "acme"},
		map[string]any{"pattern": "/x", "permission": "read", "organizations": "acme"},
		map[string]any{"pattern": "/y", "permission": "read", "organizations": map[string]any{"from": "query", "name": "author"}})
	const malformed = ""
	for path, want := range map[string]string{
		"/x?mode=admin": "admin", "/x?mode=other": "read", "/x?a=b": "read", "/x": "read", "/y?author=acme": "read",
		"/x?Mode=admin": malformed, "/x?mode[]=admin": malformed, "/x?mode=x&MODE=admin": malformed, "/x?mode=admin&mode[0]=x": malformed,
		"/y?author=acme&Author=globex": malformed, "/y?author=acme&author[]=globex": malformed, "/y?author%5B%5D=globex&author=acme": malformed,
	} {
		got, err := r.Route(request{method: "GET", path: path})
		var refusal *authz.Refusal
		if want == malformed {
			if !errors.As(err, &refusal) || refusal.Reason != authz.ReasonRequestMalformed {
				t.Errorf("%s: %+v %v", path, got, err)
			}
		} else if err != nil || got == nil || got.Permission != want {
			t.Errorf("%s: %+v %v, want %s", path, got, err, want)
		}
	}
}

// What a body says is believed where every reader reads it so.
func TestAMemberOfTheBody(t *testing.T) {
	r := table(t,
		map[string]any{"pattern": "/flat", "permission": "p", "organizations": map[string]any{"from": "body", "name": "organization", "default": "nobody-in-particular"}},
		map[string]any{"pattern": "/deep", "permission": "p", "organizations": map[string]any{"from": "body", "name": "in.organization", "default": "nobody-in-particular"}})
	const none, malformed = "nobody-in-particular", ""
	for _, c := range []struct{ what, path, kind, body, want string }{
		{"a text", "/flat", "", `{"organization":"acme"}`, "acme"},
		{"a list", "/flat", "", `{"organization":["acme","globex"]}`, "acme globex"},
		{"nothing", "/flat", "", `{"name":"m"}`, none},
		{"null", "/flat", "", `{"organization":null}`, none},
		{"within", "/deep", "", `{"organization":"other","in":{"organization":"acme"}}`, "acme"},
		{"elsewhere, twice to some", "/flat", "", `{"in":{"organization":"acme","Organization":1}}`, malformed},
		{"elsewhere in another case", "/flat", "", `{"in":{"Organization":"acme"}}`, none},
		{"null within", "/deep", "", `{"in":null}`, none},
		{"JSON of another kind", "/flat", "application/vnd.git-lfs+json; charset=utf-8", `{"organization":"acme"}`, "acme"},
		{"another case", "/flat", "", `{"Organization":"acme"}`, malformed},
		{"another case, beside it", "/flat", "", `{"organization":"acme","ORGANIZATION":"globex"}`, malformed},
		{"the way to it in another case", "/deep", "", `{"In":{"organization":"acme"}}`, malformed},
		{"twice", "/flat", "", `{"organization":"acme","organization":"globex"}`, malformed},
		{"a number", "/flat", "", `{"organization":7}`, malformed},
		{"a list with a number", "/flat", "", `{"organization":["acme",7]}`, malformed},
		{"a list of lists", "/flat", "", `{"organization":[["acme"]]}`, malformed},
		{"an object", "/flat", "", `{"organization":{"name":"acme"}}`, malformed},
		{"a list without end", "/flat", "", `{"organization":["a","b"`, malformed},
		{"too many", "/flat", "", `{"organization":["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"]}`, malformed},
		{"too many to look at", "/flat", "", `{"organization":[` + strings.Repeat(`"a",`, 1000) + `"a"]}`, malformed},
		{"one, often", "/flat", "", `{"organization":[` + strings.Repeat(`"a",`, 17) + `"a"]}`, "a"},
		{"a bracket behind", "/flat", "", `{"organization":"acme"}}`, malformed},
		{"a value behind a bracket", "/flat", "", `{"organization":"acme"}]{"organization":"globex"}`, malformed},
		{"a form behind", "/flat", "", `{"name":"x"}}&organization=globex`, malformed},
		{"a name with a blank", "/flat", "", `{"organization":"acme","organization ":"globex"}`, malformed},
		{"a name with a zero", "/flat", "", `{"organization\u0000":"globex"}`, malformed},
		{"two values", "/flat", "", `{"name":"m"}{"organization":"acme"}`, malformed},
		{"no object", "/flat", "", `["organization"]`, malformed},
		{"no object within", "/deep", "", `{"in":["organization"]}`, malformed},
		{"too deep", "/flat", "", strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70), malformed},
		{"a form", "/flat", "application/x-www-form-urlencoded", `{"name":"m","x":"&organization=acme&"}`, malformed},
		{"nobody says what", "/flat", "none", `{"organization":"acme"}`, malformed},
		{"nothing at all", "/flat", "", "", malformed},
	} {
		got, err := r.Route(request{method: "POST", path: c.path, kind: c.kind, body: c.body})
		var refusal *authz.Refusal
		if c.want == malformed {
			if !errors.As(err, &refusal) || refusal.Reason != authz.ReasonRequestMalformed {
				t.Errorf("%s: %+v %v", c.what, got, err)
			}
		} else if err != nil || !slices.Equal(got.Organizations, strings.Fields(c.want)) {
			t.Errorf("%s: %+v %v, want %s", c.what, got, err, c.want)
		}
	}
}

// FuzzRoute: whatever the path, it is refused, unrouted, or routed with values
// that hold no separator or control character.
func FuzzRoute(f *testing.F) {
	for _, p := range []string{"/a/b", "//a", "/a/../b", "/a%2fb/c", "/a;x/b", "/%2e%2e/b", "/a/b?o=x;y", "/a%00/b", "/é/b"} {
		f.Add(p, `{"organization":"x"}`)
	}
	r := table(f, entry("/{organization}/{name}"), map[string]any{"pattern": "/body", "permission": "p", "organizations": map[string]any{"from": "body", "name": "organization"}})
	f.Fuzz(func(t *testing.T, path, body string) {
		got, err := r.Route(request{method: "GET", path: path, body: body})
		if err != nil {
			var refusal *authz.Refusal
			if !errors.As(err, &refusal) {
				t.Fatal(err)
			}
			return
		}
		if got == nil || got.Pattern == "/body" {
			return
		}
		raw, _, _ := strings.Cut(path, "?")
		if strings.Contains(raw, "//") || strings.Contains(raw, "/../") || strings.ContainsAny(raw, "\\;#\x00\r\n ") {
			t.Fatalf("%q was routed", path)
		}
	})
}
