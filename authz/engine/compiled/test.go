package compiled

import "github.com/open-policy-agent/opa/v1/ir"

// test compiles the statements that are undefined or not, and no more.
func (c *compiler) test(s ir.Stmt) op {
	switch s := s.(type) {
	case *ir.EqualStmt:
		return c.equal(s)
	case *ir.NotEqualStmt:
		return c.notEqual(s)
	case *ir.IsArrayStmt:
		return c.isKind(s.Source, Arr)
	case *ir.IsObjectStmt:
		return c.isKind(s.Source, Obj)
	case *ir.IsSetStmt:
		return c.isKind(s.Source, Set)
	case *ir.IsDefinedStmt:
		i := c.register(s.Source)
		return func(_ *Machine, f []Value) int { return whether(f[i].Defined()) }
	case *ir.IsUndefinedStmt:
		i := c.register(s.Source)
		return func(_ *Machine, f []Value) int { return whether(!f[i].Defined()) }
	case *ir.LenStmt:
		return c.length(s)
	}
	return nil
}

func whether(b bool) int {
	if b {
		return next
	}
	return undefined
}

func (c *compiler) isKind(o ir.Operand, k Kind) op {
	a := c.operand(o)
	return func(_ *Machine, f []Value) int { return whether(a.get(f).Kind() == k) }
}

func (c *compiler) length(s *ir.LenStmt) op {
	to, a := c.register(s.Target), c.operand(s.Source)
	return func(_ *Machine, f []Value) int {
		n := size(a.get(f))
		if n < 0 {
			return undefined
		}
		f[to] = Integer(int64(n))
		return next
	}
}

// equal compares two operands, a constant text or boolean without a detour.
func (c *compiler) equal(s *ir.EqualStmt) op {
	a, b := c.operand(s.A), c.operand(s.B)
	if a.isConstant() {
		a, b = b, a
	}
	if i, k := a.register, b.constant; b.isConstant() && !a.isConstant() {
		switch k.Kind() {
		case Str:
			text := k.Str()
			return func(_ *Machine, f []Value) int {
				v := f[i]
				return whether(v.w == k.w && (v.p == k.p || v.Str() == text))
			}
		case Bool:
			return func(_ *Machine, f []Value) int { return whether(f[i].w == k.w) }
		}
	}
	return func(_ *Machine, f []Value) int { return whether(Equal(a.get(f), b.get(f))) }
}

func (c *compiler) notEqual(s *ir.NotEqualStmt) op {
	a, b := c.operand(s.A), c.operand(s.B)
	if b.isConstant() && b.constant == False && !a.isConstant() { // a bare term: anything but false
		i := a.register
		return func(_ *Machine, f []Value) int { return whether(f[i].w != False.w) }
	}
	return func(_ *Machine, f []Value) int { return whether(!Equal(a.get(f), b.get(f))) }
}
