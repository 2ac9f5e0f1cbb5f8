package compiled

import "github.com/open-policy-agent/opa/v1/ir"

// with runs a block with another document, or another value somewhere in it,
// in a memo scope of its own. The document is put back whatever happens.
//
// Parts of the base document are not replaced: OPA joins the replacement with
// what is there where a larger part is read as a value, and finds members of the
// base document by keys of other types (see [odd]), which a copy would not show.
func (c *compiler) with(s *ir.WithStmt) op {
	local, a := c.register(s.Local), c.operand(s.Value)
	c.register(ir.Data)
	path := make([]Value, len(s.Path))
	for i, p := range s.Path {
		path[i] = c.p.strings[p]
	}
	ofData := s.Local == ir.Data || c.src != nil && s.Local == c.src.Params[1]
	if ofData && (len(path) == 0 || get(c.p.data, path[0]).Defined()) {
		refuse("a with replaces a part of the base document")
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
