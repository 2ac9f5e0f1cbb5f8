package compiled

import "github.com/open-policy-agent/opa/v1/ir"

// sequence runs statements in order until one leaves the block.
func sequence(ops []op) op {
	switch len(ops) {
	case 0:
		return func(*Machine, []Value) int { return next }
	case 1:
		return ops[0]
	case 2:
		a, b := ops[0], ops[1]
		return func(m *Machine, f []Value) int {
			if r := a(m, f); r != next {
				return r
			}
			return b(m, f)
		}
	case 3:
		a, b, c := ops[0], ops[1], ops[2]
		return func(m *Machine, f []Value) int {
			if r := a(m, f); r != next {
				return r
			}
			if r := b(m, f); r != next {
				return r
			}
			return c(m, f)
		}
	}
	return func(m *Machine, f []Value) int {
		for _, o := range ops {
			if r := o(m, f); r != next {
				return r
			}
		}
		return next
	}
}

// inOrder runs blocks one after the other. A block ends by its last statement,
// by what is undefined, or by a break: out of itself, or further out.
func inOrder(blocks []op) op {
	if len(blocks) == 1 {
		b := blocks[0]
		return func(m *Machine, f []Value) int {
			if r := b(m, f); r > undefined {
				return r - 1
			} else if r < 0 {
				return r
			}
			return next
		}
	}
	return func(m *Machine, f []Value) int {
		for _, b := range blocks {
			if r := b(m, f); r > undefined {
				return r - 1
			} else if r < 0 {
				return r
			}
		}
		return next
	}
}

func (c *compiler) blocks(list []*ir.Block) op {
	ops := make([]op, len(list))
	for i, b := range list {
		ops[i] = c.block(b)
	}
	return inOrder(ops)
}

func (c *compiler) block(b *ir.Block) op { return sequence(c.statements(b.Stmts)) }

func (c *compiler) statements(list []ir.Stmt) []op {
	var ops []op
	if len(list) > 0 && !c.begun {
		c.begun = true
		if _, ok := list[0].(*ir.ResetLocalStmt); ok {
			list = list[1:] // frames begin cleared
		}
	}
	for len(list) > 0 {
		if c.idle(list[0]) {
			c.p.stats.Idle++
			list = list[1:]
			continue
		}
		if o, n := c.several(list); n > 0 {
			ops = append(ops, o)
			c.p.stats.Statements += n
			list = list[n:]
			continue
		}
		if made, n := c.fold(list); n > 0 {
			ops = append(ops, made...)
			c.p.stats.Statements += n
			list = list[n:]
			continue
		}
		if o := c.statement(list[0]); o != nil {
			ops = append(ops, o)
		}
		c.p.stats.Statements++
		list = list[1:]
	}
	return ops
}

// several compiles a run of statements that become one closure.
func (c *compiler) several(list []ir.Stmt) (op, int) {
	if o, n := c.path(list); n > 0 {
		return o, n
	}
	return c.call(list)
}

// ruleBlocks compiles the blocks of a function: the bodies of rules, between
// them what makes a body's value the function's.
func (c *compiler) ruleBlocks(list []*ir.Block) op {
	if last := len(list) - 1; last >= 0 && c.returnsResult(list[last]) {
		list = list[:last] // the end is reached anyway
	}
	ops := make([]op, len(list))
	for i, b := range list {
		ops[i] = c.ruleBlock(b)
	}
	if indexed := c.ruleIndex(list, ops); indexed != nil {
		return indexed
	}
	return inOrder(ops)
}

// ruleBlock compiles one body, which may be left early.
func (c *compiler) ruleBlock(b *ir.Block) op {
	if len(b.Stmts) == 1 {
		if chain, ok := b.Stmts[0].(*ir.BlockStmt); ok { // a rule with else branches
			ops := make([]op, len(chain.Blocks))
			for i, x := range chain.Blocks {
				ops[i] = c.ruleBlock(x)
			}
			return inOrder(ops)
		}
	}
	if o := c.promotion(b); o != nil {
		return o
	}
	all := c.reads
	c.body, c.reads = true, c.readsIn(b)
	early := c.p.stats.EarlyExits
	o := c.block(b)
	c.body, c.reads = false, all
	if early == c.p.stats.EarlyExits {
		return o
	}
	return func(m *Machine, f []Value) int {
		if r := o(m, f); r != settled {
			return r
		}
		return undefined
	}
}

// returnsResult says whether a block does no more than return the result.
func (c *compiler) returnsResult(b *ir.Block) bool {
	if len(b.Stmts) != 1 {
		return false
	}
	r, ok := b.Stmts[0].(*ir.ReturnLocalStmt)
	return ok && r.Source == c.src.Return
}

// promotion compiles the block that makes a body's value the function's.
func (c *compiler) promotion(b *ir.Block) op {
	if len(b.Stmts) != 2 {
		return nil
	}
	there, ok := b.Stmts[0].(*ir.IsDefinedStmt)
	if !ok {
		return nil
	}
	s, ok := b.Stmts[1].(*ir.AssignVarOnceStmt)
	if !ok || s.Target != c.src.Return || s.Source.Value != ir.Val(there.Source) {
		return nil
	}
	from, assign := c.register(there.Source), c.assignOnce(s)
	return func(m *Machine, f []Value) int {
		if !f[from].Defined() {
			return undefined
		}
		return assign(m, f)
	}
}

// mayLeaveEarly says whether a constant that a rule's body has just given in a
// scan is all that the body can give: the other rounds would give the same, and
// cannot fail.
func (c *compiler) mayLeaveEarly(given operand) bool {
	return c.src != nil && c.body && c.scans > 0 && given.isConstant() && c.facts.calm
}
