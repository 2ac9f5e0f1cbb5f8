package authz_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
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
	"authz/redact":              {"authz", "authz/credential"},
	"authz/routing":             {"authz"},
	"authz/input":               {"authz", "authz/input/", "authz/engine/compiled"},
	"authz/engine":              {"authz", "authz/input", "authz/engine/compiled"},
	"authz/engine/compiled":     {}, // a library
	"authz/dropin":              {"authz", "authz/input", "authz/input/protodoc", "authz/engine", "authz/engine/compiled"},
	"authz/decide":              {"authz", "authz/credential", "authz/routing"},
	"authz/sources":             {"authz", "authz/credential"},
	"authz/answer":              {"authz"},
	"authz/wire":                {"authz"},
	"authz/unary":               {"authz"},
	"authz/extauthz":            {"authz", "authz/answer", "authz/unary", "authz/wire"},
	"authz/inventory":           {"authz", "authz/credential"},
	"authz/inventory/sqlstore":  {"authz", "authz/hygiene", "authz/inventory", "authz/inventory/auditlog", "authz/inventory/sqlstore/db", "authz/preview", "authz/usage"},
	"authz/inventory/auditlog":  {"authz", "authz/inventory"},
	"authz/inventory/snapshot":  {"authz", "authz/inventory"},
	"authz/inventory/storetest": {"authz", "authz/inventory", "authz/inventory/auditlog"},
	"authz/notify":              {},
	"authz/scim":                {"authz", "authz/inventory"},
	"authz/telemetry":           {"authz", "authz/redact"},
	"authz/usage":               {"authz", "authz/redact"},
	"authz/record":              {"authz", "authz/redact"},
	"authz/hygiene":             {"authz"},
	"authz/shadow":              {"authz", "authz/redact"},
	"authz/preview":             {"authz", "authz/inventory"},
	"authz/admin":               {"authz", "authz/credential", "authz/inventory", "authz/inventory/auditlog", "authz/record", "authz/usage", "authz/hygiene", "authz/preview"},
	"authz/admin/console":       {"authz", "authz/hygiene", "authz/inventory", "authz/preview", "authz/record", "authz/usage"},
	"authz/admin/client":        {"authz", "authz/credential", "authz/inventory", "authz/inventory/auditlog", "authz/record", "authz/usage", "authz/hygiene", "authz/preview", "authz/admin"},
	"bundles":                   {"authz"},
	"rego":                      {},
}

// forbidden are libraries that a room must not know.
var forbidden = map[string][]string{
	"authz/credential": {"google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/redact":     {"google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/routing":    {"google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/decide":     {"google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/sources":    {"database/sql", "google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/inventory":  {"database/sql", "google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/answer":     {"github.com/open-policy-agent/opa"},
	"authz/extauthz":   {"github.com/open-policy-agent/opa"},
	"authz/usage":      {"database/sql", "google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/record":     {"database/sql", "google.golang.org/grpc", "github.com/open-policy-agent/opa"},
	"authz/shadow":     {"database/sql", "google.golang.org/grpc", "github.com/open-policy-agent/opa"},
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

// packages lists those of the module, as go list does with more arguments.
func packages(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append(append([]string{"list"}, args...), "-json=ImportPath,Imports,Standard", module+"...")...)
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
	all := packages(t)
	for _, wrong := range against(all) {
		t.Error(wrong)
	}
	seen := map[string]bool{}
	for _, p := range all {
		seen[strings.TrimPrefix(p.ImportPath, module)] = true
	}
	for room := range arrows {
		if !seen[room] {
			t.Errorf("the table has arrows of %s, which is not there", room)
		}
	}
}

// against says what in the packages is against the arrows.
func against(all []pkg) (wrong []string) {
	for _, p := range all {
		room := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := arrowsOf(room)
		if !known {
			if strings.HasPrefix(room, "authz/") {
				wrong = append(wrong, room+" is a room without arrows: say in this table what it may import")
			}
			continue
		}
		for _, i := range p.Imports {
			if inner, ok := strings.CutPrefix(i, module); ok && !permitted(allowed, inner) {
				wrong = append(wrong, room+" imports "+inner+", which its arrows do not allow")
			}
			if room == "authz" && strings.Contains(i, ".") {
				wrong = append(wrong, "authz imports "+i+"; it knows the standard library only")
			}
			for _, f := range forbidden[room] {
				if i == f || strings.HasPrefix(i, f+"/") {
					wrong = append(wrong, room+" imports "+i+", which it must not know")
				}
			}
		}
	}
	return wrong
}

// arrowsOf are the arrows of a room; a room without its own follows those of the
// nearest room that it is in.
func arrowsOf(room string) (allowed []string, known bool) {
	if allowed, known = arrows[room]; known {
		return allowed, true
	}
	for outer := path.Dir(room); outer != "authz" && outer != "."; outer = path.Dir(outer) {
		if list, ok := arrows[outer]; ok {
			return append(append([]string{}, list...), outer, outer+"/"), true
		}
	}
	return nil, false
}

func TestAnImportAgainstTheArrowsIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		room, imports string
		want          string // "" where it is allowed
	}{
		"another protocol room":            {"authz/extauthz", module + "authz/admin", "authz/extauthz imports authz/admin, which its arrows do not allow"},
		"outwards":                         {"authz/decide", module + "cmd/patrol", "authz/decide imports cmd/patrol, which"},
		"the vocabulary knows a library":   {"authz", "google.golang.org/grpc", "authz imports google.golang.org/grpc; it knows the standard"},
		"the vocabulary knows a room":      {"authz", module + "authz/routing", "authz imports authz/routing, which its arrows"},
		"a library that is forbidden":      {"authz/decide", "github.com/open-policy-agent/opa/v1/ast", "which it must not know"},
		"the database in the pure rules":   {"authz/inventory", "database/sql", "authz/inventory imports database/sql, which it must not know"},
		"from an inner room":               {"authz/inventory/sqlstore/db", module + "authz/decide", "authz/inventory/sqlstore/db imports authz/decide, which"},
		"a room without arrows":            {"authz/planted", "fmt", "authz/planted is a room without arrows"},
		"inwards":                          {"authz/decide", module + "authz", ""},
		"the standard library":             {"authz", "net/http", ""},
		"an inner room knows its own":      {"authz/inventory/sqlstore/db", module + "authz/inventory/sqlstore/db/inner", ""},
		"a library of almost that name":    {"authz/inventory", "database/sqlish", ""},
		"cmd may wire what it likes":       {"cmd/patrol", module + "authz/admin", ""},
		"a library that nobody forbids it": {"authz/extauthz", "google.golang.org/grpc", ""},
	} {
		got := strings.Join(against([]pkg{{ImportPath: module + c.room, Imports: []string{c.imports}}}), "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestAPlantedImportIsFound lays a file into a room, as the compiler sees it.
func TestAPlantedImportIsFound(t *testing.T) {
	dir := t.TempDir()
	file, overlay := filepath.Join(dir, "planted.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, []byte("package decide\n\nimport _ \""+module+"authz/admin\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	room, err := filepath.Abs("decide")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(room, "planted.go"): file}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got := against(packages(t, "-overlay", overlay))
	if len(got) != 1 || got[0] != "authz/decide imports authz/admin, which its arrows do not allow" {
		t.Errorf("found %q", got)
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
