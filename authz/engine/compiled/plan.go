package compiled

import (
	"context"
	"errors"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// OPA's planner is internal. It can be had through a plugin of package rego: a
// target to which OPA hands the plan of a query. This one does nothing but
// keep it.

// target is the name by which the plugin is asked for.
const target = "patrol-compiled"

type capture struct{}

// captured is what a plan is put into, by the context.
type captured struct {
	policy   *ir.Policy
	builtins map[string]*topdown.Builtin
}

type captureKey struct{}

func (capture) IsTarget(t string) bool { return t == target }

func (capture) PrepareForEval(ctx context.Context, p *ir.Policy, o ...rego.PrepareOption) (rego.TargetPluginEval, error) {
	into, ok := ctx.Value(captureKey{}).(*captured)
	if !ok {
		return nil, errors.New("this target only plans")
	}
	var config rego.PrepareConfig
	for _, set := range o {
		set(&config)
	}
	into.policy, into.builtins = p, config.BuiltinFuncs()
	return noEval{}, nil
}

type noEval struct{}

func (noEval) Eval(context.Context, *rego.EvalContext, ast.Value) (ast.Value, error) {
	return nil, errors.New("this target only plans")
}

var registerPlugin = sync.OnceFunc(func() { rego.RegisterPlugin("patrol_compiled", capture{}) })

// resultName is the variable of an entrypoint's value.
const resultName = "result"

// plan has OPA plan the query.
func plan(ctx context.Context, o *Options) (*ir.Policy, map[string]*topdown.Builtin, error) {
	registerPlugin()
	query := o.Query
	if query == nil {
		query = ast.NewBody(ast.Equality.Expr(ast.VarTerm(resultName), ast.NewTerm(o.Entrypoint)))
	}
	// Planning sets the compiler to the mode of plans.
	defer o.Compiler.WithEvalMode(ast.EvalModeTopdown)
	var into captured
	ctx = context.WithValue(ctx, captureKey{}, &into)
	_, err := rego.New(rego.ParsedQuery(query), rego.Compiler(o.Compiler), rego.Target(target)).PrepareForEval(ctx)
	if err != nil {
		return nil, nil, err
	}
	if into.policy == nil {
		return nil, nil, errors.New("it handed over no plan")
	}
	return into.policy, into.builtins, nil
}
