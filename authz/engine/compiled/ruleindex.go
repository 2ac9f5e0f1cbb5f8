package compiled

import "github.com/open-policy-agent/opa/v1/ir"

// Many rules of one name often differ by a constant that they compare the same
// path with: a table written as rules. Their bodies are found by the text at
// that path then, instead of tried one by one. What is skipped would have been
// undefined at that comparison, with nothing before it that can fail.

// fewest is how many texts to compare with are worth an index, and
// mostOthers how many without one it bears: they stand in each list of it.
const (
	fewest     = 4
	mostOthers = 64
)

// guard is a comparison that a body begins with: of a path into a document
// with a constant text.
type guard struct {
	path  string // of its names, as a key
	route *route
	text  string
}

// ruleIndex compiles the blocks of a function, ops, with an index; nil where it
// would not pay.
func (c *compiler) ruleIndex(list []*ir.Block, ops []op) op {
	guards := make([]map[string]guard, len(list))
	texts := map[string]map[string]bool{} // of each path
	best := ""
	for i, b := range list {
		if i > 0 && c.promotion(b) != nil {
			guards[i] = guards[i-1] // it belongs to the body before
			continue
		}
		guards[i] = c.guards(b)
		for path, g := range guards[i] {
			if texts[path] == nil {
				texts[path] = map[string]bool{}
			}
			texts[path][g.text] = true
		}
	}
	for path := range texts { // the one that tells most apart
		if n := len(texts[path]); n > len(texts[best]) || n == len(texts[best]) && path < best {
			best = path
		}
	}
	if len(texts[best]) < fewest {
		return nil
	}
	return c.indexed(best, guards, ops)
}

// indexed runs the blocks whose guard holds and those that have none, in their
// order.
func (c *compiler) indexed(path string, guards []map[string]guard, ops []op) op {
	var by *route
	chosen := map[string][]op{}
	for _, g := range guards {
		if found, ok := g[path]; ok {
			by = found.route
			chosen[found.text] = nil
		}
	}
	var others []op
	for i, o := range ops {
		if g, guarded := guards[i][path]; guarded {
			chosen[g.text] = append(chosen[g.text], o)
			continue
		}
		others = append(others, o)
		for text := range chosen {
			chosen[text] = append(chosen[text], o)
		}
	}
	if len(others) > mostOthers {
		return nil
	}
	run := map[string]op{}
	for text, list := range chosen {
		run[text] = inOrder(list)
	}
	rest := inOrder(others)
	c.p.stats.Indexed++
	return func(m *Machine, f []Value) int {
		v := by.end(m, f)
		if m.err != nil {
			return failed
		}
		if v.Kind() == Str {
			if o, ok := run[v.Str()]; ok {
				return o(m, f)
			}
		}
		return rest(m, f)
	}
}

// guards returns the comparisons of a body before anything that can fail, by
// their paths. A rule with else branches has none: a branch may hold where the
// first body does not.
func (c *compiler) guards(b *ir.Block) map[string]guard {
	out := map[string]guard{}
	paths := map[ir.Local][]ir.Operand{}
	roots := map[ir.Local]ir.Local{}
	for _, s := range b.Stmts {
		switch s := s.(type) {
		case *ir.ResetLocalStmt, *ir.AssignVarStmt, *ir.NotEqualStmt: // can't fail
		case *ir.DotStmt:
			source, ok := s.Source.Value.(ir.Local)
			if _, named := s.Key.Value.(ir.StringIndex); !ok || !named {
				return out
			}
			root, below := roots[source]
			switch {
			case below:
			case source == ir.Input:
				root = source
			default:
				return out
			}
			roots[s.Target] = root
			paths[s.Target] = append(append([]ir.Operand{}, paths[source]...), s.Key)
		case *ir.EqualStmt:
			c.addGuard(out, paths, s.A, s.B)
			c.addGuard(out, paths, s.B, s.A)
		default:
			return out
		}
	}
	return out
}

// addGuard adds a comparison of a path with a text, the first of each path.
func (c *compiler) addGuard(out map[string]guard, paths map[ir.Local][]ir.Operand, a, b ir.Operand) {
	l, ok := a.Value.(ir.Local)
	text, constant := b.Value.(ir.StringIndex)
	if !ok || !constant || len(paths[l]) == 0 {
		return
	}
	r := &route{from: c.register(ir.Input), memo: -1}
	for _, key := range paths[l] {
		o := c.operand(key)
		r.steps = append(r.steps, newStep(o.constant))
	}
	key := r.key()
	if _, twice := out[key]; !twice {
		r.memo = c.p.memoOf(r)
		out[key] = guard{key, r, c.p.strings[text].Str()}
	}
}
