package compiled

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
)

// facts are what is known of a function before it is compiled. They allow to
// skip work whose result is known; none of them may change a result, nor hide
// an error that OPA's evaluator would meet.
type facts struct {
	// uniform: each of its bodies gives the same constant, or nothing.
	uniform bool
	// calm: nothing it calls can fail, so that what is skipped cannot either.
	calm bool
	// steady: it is calm and cannot come to two results itself.
	steady bool
	// constant: it reads no document and calls nothing.
	constant bool
}

func (p *Program) factsOf(f *ir.Func) facts {
	a := facts{uniform: uniform(f), calm: p.calm(f), constant: constant(f)}
	a.steady = a.calm && (a.uniform || once(f))
	return a
}

// each calls visit with every statement of some blocks, inner ones included,
// and the number of scans around it.
func each(blocks []*ir.Block, scans int, visit func(s ir.Stmt, scans int)) {
	for _, b := range blocks {
		for _, s := range b.Stmts {
			visit(s, scans)
			switch s := s.(type) {
			case *ir.BlockStmt:
				each(s.Blocks, scans, visit)
			case *ir.ScanStmt:
				each([]*ir.Block{s.Block}, scans+1, visit)
			case *ir.NotStmt:
				each([]*ir.Block{s.Block}, scans, visit)
			case *ir.WithStmt:
				each([]*ir.Block{s.Block}, scans, visit)
			}
		}
	}
}

// uniform says whether all bodies assign one constant. A default does not
// count: it is assigned where no body was.
func uniform(f *ir.Func) bool {
	var value ir.Val
	bodies, same := 0, true
	each(f.Blocks, 0, func(s ir.Stmt, _ int) {
		a, ok := s.(*ir.AssignVarOnceStmt)
		if !ok {
			return
		}
		if a.Target == f.Return {
			return // the body's value made the function's, or the default
		}
		if _, computed := a.Source.Value.(ir.Local); computed {
			same = false
			return
		}
		bodies++
		if value == nil {
			value = a.Source.Value
		}
		same = same && a.Source.Value == value
	})
	return same && bodies > 0
}

// once says whether a value is assigned at most once in a call, so that there
// is nothing it could be in conflict with: one rule, whose bodies (it and its
// else branches, of which one at most holds) have one assignment, in no scan.
func once(f *ir.Func) bool {
	rules := 0
	for _, b := range f.Blocks {
		bodies := []*ir.Block{b}
		if len(b.Stmts) == 1 {
			if chain, ok := b.Stmts[0].(*ir.BlockStmt); ok {
				bodies = chain.Blocks
			}
		}
		assigned := 0
		for _, body := range bodies {
			n, fine := assignments(f, body)
			if !fine {
				return false
			}
			assigned += n
		}
		if assigned > 0 {
			rules++
		}
	}
	return rules <= 1
}

// assignments counts what a body assigns to its value, and says whether that is
// at most one, in no scan.
func assignments(f *ir.Func, body *ir.Block) (n int, fine bool) {
	scanned := false
	each([]*ir.Block{body}, 0, func(s ir.Stmt, scans int) {
		if a, ok := s.(*ir.AssignVarOnceStmt); ok && a.Target != f.Return {
			n++
			scanned = scanned || scans > 0
		}
	})
	return n, n <= 1 && !scanned
}

// calm says whether nothing that a function calls or builds can fail.
func (p *Program) calm(f *ir.Func) bool {
	calm := true
	each(f.Blocks, 0, func(s ir.Stmt, _ int) {
		switch s := s.(type) {
		case *ir.CallDynamicStmt, *ir.ObjectInsertOnceStmt:
			calm = false
		case *ir.CallStmt:
			if g := p.functions[s.Func]; g != nil {
				calm = calm && g.steady
				return
			}
			b := ast.BuiltinMap[s.Func]
			calm = calm && b != nil && !b.Nondeterministic && b.Decl.Result() != nil
		}
	})
	return calm
}

// constant says whether a function's result depends on nothing.
func constant(f *ir.Func) bool {
	yes := len(f.Params) == documents
	document := func(v ir.Val) {
		if l, ok := v.(ir.Local); ok && yes && (l == f.Params[0] || l == f.Params[1]) {
			yes = false
		}
	}
	each(f.Blocks, 0, func(s ir.Stmt, _ int) {
		switch s.(type) {
		case *ir.CallStmt, *ir.CallDynamicStmt, *ir.WithStmt:
			yes = false
		}
		for _, v := range sources(s) {
			document(v)
		}
	})
	return yes
}
