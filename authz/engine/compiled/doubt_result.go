package compiled

import "github.com/open-policy-agent/opa/v1/ast"

// A function may be called with one more argument, its result: f(1, x) is
// x = f(1). Where that is known already, as in f(1, "small"), OPA's interpreter
// takes a rule that gives another value for one that does not hold, and goes on
// to its else, or to the default, although f(1) is "large"; what came of it is
// f(1) for the rest of the evaluation. So it is with a built-in that a with
// replaces. A plan asks what f(1) is.

// givesResults says whether a function is called so with a result that may be
// known.
func givesResults(o *Options) bool {
	unknown := map[*ast.Expr]bool{} // calls whose result is not known before
	for _, m := range o.Compiler.Modules {
		ast.WalkRules(m, func(r *ast.Rule) bool {
			known := ast.NewVarSet()
			for _, arg := range r.Head.Args {
				known.Update(variables(arg))
			}
			for _, e := range r.Body { // in the order in which they are evaluated
				if result := resultOf(o.Compiler, e); result != nil && isUnknown(result, known) {
					unknown[e] = true
				}
				known.Update(expressionVariables(e))
			}
			return false
		})
	}
	for i, e := range o.Query { // in no order yet
		known := ast.NewVarSet()
		for j, other := range o.Query {
			if i != j {
				known.Update(expressionVariables(other))
			}
		}
		if result := resultOf(o.Compiler, e); result != nil && isUnknown(result, known) {
			unknown[e] = true
		}
	}
	found := false
	visit := func(e *ast.Expr) bool {
		found = found || !unknown[e] && resultOf(o.Compiler, e) != nil
		return found
	}
	for _, m := range o.Compiler.Modules {
		ast.WalkExprs(m, visit)
	}
	if o.Query != nil {
		ast.WalkExprs(o.Query, visit)
	}
	return found
}

// resultOf is the result that a call has as an argument, where it matters whether
// that is known; nil where it has none.
func resultOf(c *ast.Compiler, e *ast.Expr) *ast.Term {
	if !e.IsCall() || e.IsEquality() || e.Generated {
		return nil
	}
	operands, last := e.Operands(), len(e.Operands())-1
	for _, r := range c.GetRulesExact(e.Operator()) {
		if len(r.Head.Args) == last && (r.Else != nil || r.Default) {
			return operands[last]
		}
	}
	if b := ast.BuiltinMap[e.Operator().String()]; b != nil && len(e.With) > 0 && b.Decl.Arity() == last {
		return operands[last]
	}
	return nil
}

func isUnknown(result *ast.Term, known ast.VarSet) bool {
	v, ok := result.Value.(ast.Var)
	return ok && !known.Contains(v)
}

func expressionVariables(e *ast.Expr) ast.VarSet {
	v := ast.NewVarVisitor()
	v.Walk(e)
	return v.Vars()
}
