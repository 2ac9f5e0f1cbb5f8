package compiled

import "github.com/open-policy-agent/opa/v1/ir"

// with runs a block with another document, or another value somewhere in it,
// in a memo scope of its own. The document is put back whatever happens.
func (c *compiler) with(s *ir.WithStmt) op {
	local, a := c.register(s.Local), c.operand(s.Value)
	c.register(ir.Data)
	path := make([]Value, len(s.Path))
	for i, p := range s.Path {
		path[i] = c.p.strings[p]
	}
	body := c.block(s.Block)
	return func(m *Machine, f []Value) int {
		before, mark := f[local], m.memos.mark()
		f[local] = upsert(m, before, path, a.get(f))
		m.memos.enter(f[ir.Input], f[ir.Data])
		r := body(m, f)
		f[local] = before
		m.memos.back(mark)
		if r > undefined {
			return r - 1
		}
		return r
	}
}
