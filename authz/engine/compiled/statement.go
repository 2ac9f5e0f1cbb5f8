package compiled

import "github.com/open-policy-agent/opa/v1/ir"

// statement compiles one statement; nil for one that does nothing. What is not
// known here refuses the program.
func (c *compiler) statement(s ir.Stmt) op {
	switch s := s.(type) {
	case *ir.NopStmt:
		return nil
	case *ir.BlockStmt:
		return c.blocks(s.Blocks)
	case *ir.BreakStmt:
		n := int(s.Index) + 1
		return func(*Machine, []Value) int { return n }
	case *ir.ReturnLocalStmt:
		return c.returnLocal(s)
	case *ir.CallDynamicStmt:
		return c.callDynamic(s)
	case *ir.WithStmt:
		return c.with(s)
	case *ir.NotStmt:
		return c.not(s)
	case *ir.ScanStmt:
		return c.scan(s)
	case *ir.DotStmt:
		return c.dot(s)
	case *ir.ResultSetAddStmt:
		i := c.register(s.Value)
		return func(m *Machine, f []Value) int { m.results = append(m.results, f[i]); return next }
	}
	if o := c.assignment(s); o != nil {
		return o
	}
	if o := c.test(s); o != nil {
		return o
	}
	if o := c.building(s); o != nil {
		return o
	}
	refuse("a statement of the type %T is not known", s)
	return nil
}

func (c *compiler) returnLocal(s *ir.ReturnLocalStmt) op {
	from, to := c.register(s.Source), c.fn.result
	return func(_ *Machine, f []Value) int { f[to] = f[from]; return returned }
}

// not swaps undefined and defined.
func (c *compiler) not(s *ir.NotStmt) op {
	c.negations++
	body := c.block(s.Block)
	c.negations--
	return func(m *Machine, f []Value) int {
		switch r := body(m, f); {
		case r == next:
			return undefined
		case r == undefined:
			return next
		case r < 0:
			return r
		default:
			return r - 1
		}
	}
}

// elements returns the registers of a scan's keys and values, and the body
// without the copies of them that it begins with.
func (c *compiler) elements(s *ir.ScanStmt) (key, value int, body []ir.Stmt) {
	k, v, body := s.Key, s.Value, s.Block.Stmts
	for len(body) > 0 {
		a, ok := body[0].(*ir.AssignVarStmt)
		if !ok {
			break
		}
		switch {
		case c.unread(a.Target):
		case a.Source.Value == ir.Val(k) && c.reads[k] == 1:
			k = a.Target
		case a.Source.Value == ir.Val(v) && c.reads[v] == 1:
			v = a.Target
		default:
			return c.register(k), c.register(v), body
		}
		body = body[1:]
	}
	return c.register(k), c.register(v), body
}

// scan runs a block for each element, in OPA's order. A round that is undefined
// goes on with the next; a break of one level ends the scan, since its body is
// two blocks deep.
func (c *compiler) scan(s *ir.ScanStmt) op {
	source := c.register(s.Source)
	key, value, rest := c.elements(s)
	c.scans++
	body := sequence(c.statements(rest))
	c.scans--
	round := func(m *Machine, f []Value) int {
		if !m.tick() {
			return failed
		}
		if r := body(m, f); r != undefined {
			return r
		}
		return next
	}
	return func(m *Machine, f []Value) int {
		r := next
		switch x := f[source]; x.Kind() {
		case Arr:
			for i, e := range x.array().elems {
				f[key], f[value] = Integer(int64(i)), e
				if r = round(m, f); r != next {
					break
				}
			}
		case Obj:
			t := x.table()
			t.sort()
			for i := range t.keys {
				f[key], f[value] = t.keys[i], t.vals[i]
				if r = round(m, f); r != next {
					break
				}
			}
		case Set:
			t := x.table()
			t.sort()
			for _, e := range t.keys {
				f[key], f[value] = e, e
				if r = round(m, f); r != next {
					break
				}
			}
		}
		if r > undefined {
			return r - 2
		}
		return r
	}
}
