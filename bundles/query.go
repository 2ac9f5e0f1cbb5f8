package bundles

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// queryTimeout bounds a query's evaluation.
const queryTimeout = time.Minute

// Query evaluates a Rego query against the base and the bundles at the paths, by
// OPA's interpreter, without its rule index, which loses rules at times (the server
// goes without it then, too). Nothing is activated, and rules reach no network that
// AllowNet does not name. Without an input, input is undefined.
func Query(ctx context.Context, o Options, query string, input *any, paths ...string) (rego.ResultSet, error) {
	o.defaults()
	base, overlays, err := o.read(paths)
	if err != nil {
		return nil, err
	}
	modules, data := map[string]*ast.Module{}, map[string]any{}
	for _, b := range append([]*loaded{base}, overlays...) {
		for _, m := range b.Modules {
			if name := strings.TrimPrefix(m.Path, "/"); !strings.HasSuffix(name, "_test.rego") {
				modules[name] = m.Parsed
			}
		}
		if err := merge(data, b.Data, ""); err != nil {
			return nil, err
		}
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities(o.AllowNet))
	if compiler.Compile(modules); compiler.Failed() {
		return nil, compiler.Errors
	}
	evaluation := []rego.EvalOption{rego.EvalRuleIndexing(false)}
	if input != nil {
		evaluation = append(evaluation, rego.EvalInput(*input))
	}
	within, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	prepared, err := rego.New(rego.Query(query), rego.Compiler(compiler), rego.Store(inmem.NewFromObject(data)), rego.SetRegoVersion(ast.RegoV1)).PrepareForEval(within)
	var found rego.ResultSet
	if err == nil {
		found, err = prepared.Eval(within, evaluation...)
	}
	if err != nil {
		return nil, fmt.Errorf("evaluate the query: %w", err)
	}
	return found, nil
}
