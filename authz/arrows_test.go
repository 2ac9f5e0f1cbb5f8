package authz_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/patrol-authz/patrol/"

// arrows says what each room may import of the project. Arrows point inward:
// the vocabulary imports nothing, protocol rooms never import each other, and
// only cmd (and what stands outside, such as tests and the demo) wires.
var arrows = map[string][]string{
	"authz":                     {},
	"authz/credential":          {"authz"},
	"authz/routing":             {"authz"},
	"authz/input":               {"authz", "authz/input/", "authz/engine/compiled"},
	"authz/engine":              {"authz", "authz/input", "authz/engine/compiled"},
	"authz/engine/compiled":     {}, // a library
	"authz/dropin":              {"authz", "authz/input", "authz/input/protodoc", "authz/engine"},
	"authz/decide":              {"authz", "authz/credential", "authz/routing"},
	"authz/answer":              {"authz"},
	"authz/wire":                {"authz"},
	"authz/extauthz":            {"authz", "authz/answer", "authz/wire"},
	"authz/inventory":           {"authz"},
	"authz/inventory/sqlstore":  {"authz", "authz/hygiene", "authz/inventory", "authz/inventory/auditlog", "authz/inventory/sqlstore/db", "authz/preview", "authz/usage"},
	"authz/inventory/auditlog":  {"authz", "authz/inventory"},
	"authz/inventory/snapshot":  {"authz", "authz/inventory"},
	"authz/inventory/storetest": {"authz", "authz/inventory", "authz/inventory/auditlog"},
	"authz/notify":              {},
	"authz/telemetry":           {"authz"},
	"authz/usage":               {"authz"},
	"authz/record":              {"authz"},
	"authz/hygiene":             {"authz"},
	"authz/preview":             {"authz", "authz/inventory"},
	"authz/admin":               {"authz", "authz/credential", "authz/inventory", "authz/inventory/auditlog", "authz/record", "authz/usage", "authz/hygiene", "authz/preview"},
	"authz/admin/console":       {"authz", "authz/hygiene", "authz/inventory", "authz/preview", "authz/usage"},
	"authz/admin/client":        {"authz", "authz/credential", "authz/inventory", "authz/inventory/auditlog", "authz/record", "authz/usage", "authz/hygiene", "authz/preview", "authz/admin"},
	"bundles":                   {"authz"},
	"rego":                      {},
}

// forbidden are libraries that a room must not know.
var forbidden = map[string][]string{
	"authz/credential": {"google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/routing":    {"google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/decide":     {"google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/inventory":  {"database/sql", "google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/answer":     {"github.com/open-policy-agent/opa"},
	"authz/extauthz":   {"github.com/open-policy-agent/opa"},
	"authz/usage":      {"database/sql", "google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/record":     {"database/sql", "google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/hygiene":    {"database/sql", "google.golang.org/grpc"},
	"authz/preview":    {"database/sql", "google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/wire":       {"google.golang.org", "github.com/envoyproxy", "github.com/open-policy-agent"},
	"bundles":          {"google.golang.org/grpc"},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the packages: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestArrowsPointInward(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		room := strings.TrimPrefix(p.ImportPath, module)
		seen[room] = true
		allowed, known := arrows[room]
		if !known {
			for name, list := range arrows { // a room's inner rooms follow its rule
				if strings.HasPrefix(room, name+"/") && name != "authz" {
					allowed, known = append(append([]string{}, list...), name, name+"/"), true
				}
			}
		}
		if !known {
			if strings.HasPrefix(room, "authz/") {
				t.Errorf("%s is a room without arrows: say in this table what it may import", room)
			}
			continue
		}
		for _, i := range p.Imports {
			if inner, ok := strings.CutPrefix(i, module); ok && !permitted(allowed, inner) {
				t.Errorf("%s imports %s, which its arrows do not allow", room, inner)
			}
			if room == "authz" && strings.Contains(i, ".") {
				t.Errorf("authz imports %s; it knows the standard library only", i)
			}
			for _, f := range forbidden[room] {
				if i == f || strings.HasPrefix(i, f+"/") {
					t.Errorf("%s imports %s, which it must not know", room, i)
				}
			}
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d packages were found", len(seen))
	}
}

func permitted(allowed []string, room string) bool {
	for _, a := range allowed {
		if a == room || strings.HasSuffix(a, "/") && strings.HasPrefix(room, a) {
			return true
		}
	}
	return false
}
