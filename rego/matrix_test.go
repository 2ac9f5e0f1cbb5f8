package rego_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
)

// adminMatrix is matrix/data.json: what patrol asked its rules while every
// operation of the admin API was called as every caller.
type adminMatrix struct {
	Operations map[string]any `json:"operations"`
	Cases      map[string]struct {
		Input   map[string]any      `json:"input"`
		Answers map[string][]string `json:"answers"`
	} `json:"cases"`
}

func readMatrix(t *testing.T) (m adminMatrix, data map[string]any) {
	t.Helper()
	text, err := os.ReadFile("matrix/data.json")
	if err != nil {
		t.Fatal(err)
	}
	whole := struct {
		Matrix adminMatrix `json:"admin_matrix"`
	}{}
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &data); err != nil {
		t.Fatal(err)
	}
	return whole.Matrix, data
}

// TestTheMatrixOfTheAdminAPI runs matrix/matrix_test.rego on the base bundle.
func TestTheMatrixOfTheAdminAPI(t *testing.T) {
	const name = "matrix/matrix_test.rego"
	source, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	formatted(t, name, source)
	b := load(t)
	all := modules(b)
	all[name], err = ast.ParseModuleWithOpts(name, string(source), ast.ParserOptions{ProcessAnnotation: true})
	if err != nil {
		t.Fatal(err)
	}
	_, matrix := readMatrix(t)
	data := maps.Clone(b.Data)
	maps.Copy(data, matrix)
	store := inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true))
	txn := storage.NewTransactionOrDie(t.Context(), store)
	defer store.Abort(t.Context(), txn)
	results, err := tester.NewRunner().SetCompiler(ast.NewCompiler()).SetStore(store).SetModules(all).
		SetTimeout(time.Minute).Filter("^data.patrol.matrix_test").RunTests(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	tests := 0
	for r := range results {
		tests++
		if !r.Pass() {
			t.Errorf("%s: %s failed: %v", r.Location, r.Name, r.Error)
		}
		for _, of := range slices.Sorted(maps.Keys(r.SubResults)) {
			if one := r.SubResults[of]; one.Fail {
				t.Errorf("%s: another answer", of)
			}
		}
	}
	if tests != 3 {
		t.Errorf("%d tests were run", tests)
	}
}
