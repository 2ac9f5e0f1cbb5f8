package compiled

import "github.com/open-policy-agent/opa/v1/ast"

// Misindexed says whether OPA's rule index may leave out a rule of the compiler
// that holds. Who interprets these modules has to do so without the index
// ([github.com/open-policy-agent/opa/v1/topdown.Query.WithIndexing]); a compiled
// program has an index of its own.
//
// In OPA 1.22 the condition `net in input.banned` of a local variable makes the
// index take net for another name of input.banned itself, so that it looks for
// input.banned.id where the rule says net.id, and does not find the rule:
//
//	deny contains net.id if {
//		some net in input.networks
//		net in input.banned
//	}
func Misindexed(c *ast.Compiler) bool {
	found := false
	for _, m := range c.Modules {
		ast.WalkRules(m, func(r *ast.Rule) bool {
			ast.WalkBodies(r, func(b ast.Body) bool {
				found = found || takesElementForCollection(b)
				return found
			})
			return found
		})
	}
	return found
}

// takesElementForCollection says whether a body asks whether a variable is in
// what a name stands for, and uses the variable in another way than the index
// understands: as a whole side of a unification with a reference.
func takesElementForCollection(b ast.Body) bool {
	for i, e := range b {
		if !indexed(e) || !e.IsCall() || !e.Operator().Equal(ast.Member.Ref()) || len(e.Operands()) != 2 {
			continue
		}
		element, ok := e.Operand(0).Value.(ast.Var)
		if !ok || !named(e.Operand(1)) {
			continue
		}
		for j, other := range b {
			if j != i && indexed(other) && !bindsOnly(other, element) && usesVar(other, element) {
				return true
			}
		}
	}
	return false
}

// indexed says whether the index reads an expression: not what is negated, has
// documents replaced, or calls a function of the modules.
func indexed(e *ast.Expr) bool {
	return !e.Negated && len(e.With) == 0 && !(e.IsCall() && e.Operator().HasPrefix(ast.DefaultRootRef))
}

func named(t *ast.Term) bool {
	switch t.Value.(type) {
	case ast.Var, ast.Ref:
		return true
	}
	return false
}

// bindsOnly says whether an expression is a unification of the variable with a
// reference that does not begin with it.
func bindsOnly(e *ast.Expr, v ast.Var) bool {
	if !e.IsEquality() || e.Negated {
		return false
	}
	for _, pair := range [][2]*ast.Term{{e.Operand(0), e.Operand(1)}, {e.Operand(1), e.Operand(0)}} {
		if side, ok := pair[0].Value.(ast.Var); !ok || side != v {
			continue
		}
		ref, ok := pair[1].Value.(ast.Ref)
		return ok && !ref[0].Value.(ast.Var).Equal(v)
	}
	return false
}

func usesVar(e *ast.Expr, v ast.Var) bool {
	found := false
	ast.WalkVars(e, func(x ast.Var) bool {
		found = found || x == v
		return found
	})
	return found
}
