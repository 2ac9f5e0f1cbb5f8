package compiled

import "github.com/open-policy-agent/opa/v1/ast"

// doubtful says why a program is not compiled although it could be: it uses
// what OPA's planner is known to get wrong, or what is too new to be trusted.
//
// In OPA 1.22 a condition that `not { … }` plans is never reset in a loop, and
// its check can be skipped, which can turn a refusal into an allow. The
// operators `and` and `or` share that machinery.
func doubtful(o *Options) string {
	why := ""
	visit := func(x any) {
		ast.WalkExprs(x, func(e *ast.Expr) bool {
			if doubt := doubtfulExpression(o.Compiler, e); doubt != "" {
				why = doubt
			}
			return why != ""
		})
		ast.WalkTerms(x, func(t *ast.Term) bool {
			if list, ok := t.Value.(*ast.ArrayComprehension); ok && listsMixed(o, list) {
				why = "an array comprehension lists a document that rules and data give together"
			}
			return why != ""
		})
		ast.WalkBodies(x, func(b ast.Body) bool {
			if sharesEvery(b) {
				why = "what every counts by is used outside of it"
			}
			return why != ""
		})
	}
	if givesResults(o) {
		why = "a function is called with its result, which may be known, as an argument"
	}
	if reachIntoOneAnother(o.Compiler) {
		why = "one rule gives a part of what another gives whole"
	}
	for _, m := range o.Compiler.Modules {
		visit(m)
		if path := m.Package.Path; len(path) > 1 && path[1].Value.Compare(ast.SystemDocumentKey) == 0 {
			why = hidden
		}
	}
	if o.Query != nil {
		visit(o.Query)
	}
	if o.Data != nil && o.Data.Get(ast.NewTerm(ast.SystemDocumentKey)) != nil {
		why = hidden
	}
	return why
}

func doubtfulExpression(c *ast.Compiler, e *ast.Expr) string {
	switch e.Terms.(type) {
	case *ast.Not:
		return "it negates a body: not { … }"
	case *ast.LogicalAnd:
		return "it uses the operator and"
	case *ast.LogicalOr:
		return "it uses the operator or"
	}
	switch {
	case unifiesWithItself(e):
		return "a variable stands twice in a ="
	case takesItsOwnResult(e):
		return "a built-in's result is one of its arguments"
	case e.Negated && unlike(e):
		return "it negates a unification of two collections"
	case e.Negated && asksForRules(c, e):
		return negatesRules
	case e.Negated && relates(e):
		return "it negates a relation, as walk is one"
	case leavesOut(e):
		return "a comprehension stands alone as a condition"
	case mocksAndReplaces(c, e):
		return "one expression replaces a function and a document"
	}
	return ""
}

// relates says whether an expression calls a built-in that may have several
// results. The planner scans them, and takes the end of the scan, whether one
// fits or not, for the end of what is negated.
func relates(e *ast.Expr) bool {
	if !e.IsCall() {
		return false
	}
	b := ast.BuiltinMap[e.Operator().String()]
	return b != nil && b.Relation
}

// reachIntoOneAnother says whether a rule may give a part of another's value, as
// p.q.r beside p[x]. OPA's interpreter takes two that say the same for a
// conflict there, a plan does not.
func reachIntoOneAnother(c *ast.Compiler) bool {
	all := map[string]ast.Ref{} // each once, however many rules give it
	var open []ast.Ref
	for _, m := range c.Modules {
		for _, r := range m.Rules {
			ref := m.Package.Path.Extend(r.Head.Ref())
			name := ref.String()
			if _, twice := all[name]; !twice && !ref.IsGround() {
				open = append(open, ref)
			}
			all[name] = ref
		}
	}
	// Of two that are known whole, the compiler itself refuses one.
	for _, a := range open {
		for _, b := range all {
			if len(a) < len(b) && mayBegin(a, b) || len(b) < len(a) && mayBegin(b, a) {
				return true
			}
		}
	}
	return false
}

// mayBegin says whether the longer reference may lie below the shorter one: their
// terms are the same, or not known.
func mayBegin(a, b ast.Ref) bool {
	for i := range a {
		if i > 0 && a[i].IsGround() && b[i].IsGround() && a[i].Value.Compare(b[i].Value) != 0 {
			return false
		}
	}
	return true
}

// unifiesWithItself says whether a variable stands on both sides of a
// unification, or twice on a side of one of two collections. The planner takes
// [1, x, 3] = [1, x, x] and [[1, x], x] = [y, 2] to be undefined.
func unifiesWithItself(e *ast.Expr) bool {
	if !e.IsEquality() || len(e.Operands()) != 2 {
		return false
	}
	left, right := e.Operand(0), e.Operand(1)
	return len(variables(left).Intersect(variables(right))) > 0 || unlike(e) && (twice(left) || twice(right))
}

// twice says whether a variable stands in a term more than once, apart from
// comprehensions, whose variables are their own.
func twice(t *ast.Term) bool {
	seen, again := ast.NewVarSet(), false
	ast.WalkTerms(t, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
			return true
		case ast.Var:
			again = again || seen.Contains(v) && !ast.ReservedVars.Contains(v)
			seen.Add(v)
		}
		return again
	})
	return again
}

// takesItsOwnResult says whether a call of a built-in has a variable as its
// result that its arguments have too, as in min({x, 1}, x). OPA's interpreter
// may fail there, which a plan does not.
func takesItsOwnResult(e *ast.Expr) bool {
	if !e.IsCall() || e.IsEquality() {
		return false
	}
	b := ast.BuiltinMap[e.Operator().String()]
	operands := e.Operands()
	if b == nil || len(operands) != b.Decl.Arity()+1 {
		return false
	}
	result := variables(operands[len(operands)-1])
	for _, o := range operands[:len(operands)-1] {
		if len(result.Intersect(variables(o))) > 0 {
			return true
		}
	}
	return false
}

// unlike says whether an expression unifies two collections as they are
// written. What the planner sees not to match it leaves out, and the negation
// of nothing fails.
func unlike(e *ast.Expr) bool {
	if !e.IsEquality() || len(e.Operands()) != 2 {
		return false
	}
	for _, t := range e.Operands() {
		switch t.Value.(type) {
		case *ast.Array, ast.Object, ast.Set:
		default:
			return false
		}
	}
	return true
}

const negatesRules = "it negates a reference to rules by a name that is known at run time only"

// asksForRules says whether an expression has a reference that may lead to
// several rules, as data.a[x] where data.a.b is one. The planner tries them one
// after the other, and takes it for found whether one fits or not.
func asksForRules(c *ast.Compiler, e *ast.Expr) bool {
	found := false
	ast.WalkRefs(e, func(r ast.Ref) bool {
		if !r.HasPrefix(ast.DefaultRootRef) || r.IsGround() || c.RuleTree == nil {
			return found
		}
		node := c.RuleTree
		for i, t := range r {
			if len(node.Values) > 0 {
				return found // a rule's value is looked into
			}
			if i > 0 && !t.IsGround() { // the first one is data, a variable to OPA
				found = len(node.Children) > 0
				return found
			}
			if node = node.Child(t.Value); node == nil {
				return found // the base document only
			}
		}
		return found
	})
	return found
}

// listsMixed says whether an array comprehension has a reference that may run
// over a document to which both rules and the base document belong. OPA's
// interpreter gives the base document's part first, a plan all by its keys.
func listsMixed(o *Options, list *ast.ArrayComprehension) bool {
	found := false
	ast.WalkRefs(list, func(r ast.Ref) bool {
		found = found || r.HasPrefix(ast.DefaultRootRef) && mixed(o, r)
		return found
	})
	ast.WalkExprs(list, func(e *ast.Expr) bool { // some x in data.q, as a query has it
		declared, ok := e.Terms.(*ast.SomeDecl)
		if !ok {
			return found
		}
		for _, t := range declared.Symbols {
			call, ok := t.Value.(ast.Call)
			if !ok {
				continue
			}
			if r, ok := call[len(call)-1].Value.(ast.Ref); ok {
				found = found || r.HasPrefix(ast.DefaultRootRef) && mixed(o, append(r.Copy(), ast.VarTerm("each")))
			}
		}
		return found
	})
	return found
}

func mixed(o *Options, r ast.Ref) bool {
	node, base := o.Compiler.RuleTree, ast.Value(o.Data)
	for i, t := range r {
		if node == nil || len(node.Values) > 0 || base == nil {
			return false
		}
		if i == 0 { // data, a variable to OPA
			node = node.Child(t.Value)
			continue
		}
		if !t.IsGround() {
			object, ok := base.(ast.Object)
			return ok && object.Len() > 0 && len(node.Children) > 0
		}
		node = node.Child(t.Value)
		child := (*ast.Term)(nil)
		if object, ok := base.(ast.Object); ok {
			child = object.Get(t)
		}
		if child == nil {
			return false
		}
		base = child.Value
	}
	return false
}

// leavesOut says whether a term stands as a condition that has to be evaluated
// although it is always true: what a comprehension in it asks may fail. The
// planner leaves it out.
func leavesOut(e *ast.Expr) bool {
	t, ok := e.Terms.(*ast.Term)
	if !ok {
		return false
	}
	found := false
	ast.WalkTerms(t, func(t *ast.Term) bool {
		switch t.Value.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
			found = true
		}
		return found
	})
	return found
}

// mocksAndReplaces says whether an expression has a with for a function beside
// one for a document. The planner takes their targets for each other.
func mocksAndReplaces(c *ast.Compiler, e *ast.Expr) bool {
	mocks, documents := false, false
	for _, w := range e.With {
		if ref, ok := w.Target.Value.(ast.Ref); ok && isFunction(c, ref) {
			mocks = true
		} else {
			documents = true
		}
	}
	return mocks && documents
}

func isFunction(c *ast.Compiler, ref ast.Ref) bool {
	if ref.HasPrefix(ast.InputRootRef) {
		return false
	}
	if !ref.HasPrefix(ast.DefaultRootRef) {
		return true // a built-in
	}
	for _, r := range c.GetRulesExact(ref) {
		if len(r.Head.Args) > 0 {
			return true
		}
	}
	return false
}

// sharesEvery says whether a variable that an every counts by is used in the
// body around it, as in every x in input[x]: OPA's interpreter and a plan differ
// in whether it is bound there.
func sharesEvery(b ast.Body) bool {
	for i, e := range b {
		every, ok := e.Terms.(*ast.Every)
		if !ok {
			continue
		}
		own := ast.NewVarSet()
		for _, t := range []*ast.Term{every.Key, every.Value} {
			if t != nil {
				own.Update(variables(t))
			}
		}
		for j, other := range b {
			v := ast.NewVarVisitor()
			v.Walk(other)
			if j != i && len(own.Intersect(v.Vars())) > 0 {
				return true
			}
		}
		if len(own.Intersect(variables(every.Domain))) > 0 {
			return true
		}
	}
	return false
}

func variables(t *ast.Term) ast.VarSet {
	v := ast.NewVarVisitor().WithParams(ast.VarVisitorParams{SkipRefCallHead: true})
	v.Walk(t)
	return v.Vars().Diff(ast.ReservedVars)
}

// OPA hides what is below data.system from a reference to the whole of data.
const hidden = "it has the document data.system, which OPA hides at times"
