package docs_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEachEdgeCaseNamesTestsThatExist: thirty of them, each with its tests, and
// no test of an edge case is missing from the table.
func TestEachEdgeCaseNamesTestsThatExist(t *testing.T) {
	tests := testsOf(t, "..")
	rows := rowsOf(t, "edge-cases.md")
	if len(rows) != 30 {
		t.Errorf("the table has %d cases", len(rows))
	}
	var all []string
	for i, row := range rows {
		names := named(row[len(row)-1])
		if row[0] != strconv.Itoa(i+1) || len(names) == 0 {
			t.Errorf("row %d names no test, or another case: %v", i+1, row)
		}
		for _, name := range names {
			if tests[name] == "" {
				t.Errorf("%s does not exist", name)
			}
		}
		all = append(all, names...)
	}
	for name := range tests {
		if strings.HasPrefix(name, "TestEdge") && !slices.Contains(all, name) {
			t.Errorf("%s is not in the table", name)
		}
	}
}

// TestEachPointOfEnvoysIsHeldTwice: ten of them, by a test of Envoy itself and by
// one of patrol, but for the last, which is about who starts Envoy.
func TestEachPointOfEnvoysIsHeldTwice(t *testing.T) {
	tests := testsOf(t, "..")
	rows := rowsOf(t, "../deploy/envoy/README.md")
	if len(rows) != 10 {
		t.Fatalf("the table has %d points", len(rows))
	}
	for i, row := range rows {
		if len(row) != 4 || row[0] != strconv.Itoa(i+1) {
			t.Fatalf("row %d: %q", i+1, row)
		}
		for half, folder := range []string{"test/envoy", "cmd/patrol"} {
			names := named(row[2+half])
			if len(names) == 0 && !(i == 9 && half == 1) {
				t.Errorf("point %d names no test of %s", i+1, folder)
			}
			for _, name := range names {
				if tests[name] != folder {
					t.Errorf("point %d: %s is no test of %s, but of %q", i+1, name, folder, tests[name])
				}
			}
		}
	}
}
