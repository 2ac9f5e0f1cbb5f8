package compiled

import "github.com/open-policy-agent/opa/v1/ir"

// A plan copies much that nobody looks at: the key of each scan, the names of
// rules it has followed. Statements that do nothing but write a register that
// is never read are left out, and registers are numbered as they are needed,
// so that frames are short.

// readsOf counts how often each local of a function is read.
func readsOf(blocks []*ir.Block) map[ir.Local]int {
	reads := map[ir.Local]int{}
	each(blocks, 0, func(s ir.Stmt, _ int) {
		for _, v := range sources(s) {
			if l, ok := v.(ir.Local); ok {
				reads[l]++
			}
		}
	})
	return reads
}

// readsIn counts the reads within one body of a function. The plan numbers the
// locals of each body anew, behind those that all bodies share: arguments,
// result, and the body's own value. The latter are counted in all of them.
func (c *compiler) readsIn(body *ir.Block) map[ir.Local]int {
	shared := c.src.Return
	for _, p := range c.src.Params {
		shared = max(shared, p)
	}
	shared++
	reads, written := readsOf([]*ir.Block{body}), map[ir.Local]bool{}
	each([]*ir.Block{body}, 0, func(s ir.Stmt, _ int) {
		for _, l := range targets(s) {
			written[l] = true
		}
	})
	for l := range reads {
		if l > shared && !written[l] {
			return c.reads // not numbered as expected
		}
	}
	for l, n := range c.reads {
		if l <= shared {
			reads[l] = n
		}
	}
	return reads
}

// targets are the locals that a statement writes.
func targets(s ir.Stmt) []ir.Local {
	switch s := s.(type) {
	case *ir.CallStmt:
		return []ir.Local{s.Result}
	case *ir.CallDynamicStmt:
		return []ir.Local{s.Result}
	case *ir.DotStmt:
		return []ir.Local{s.Target}
	case *ir.LenStmt:
		return []ir.Local{s.Target}
	case *ir.ScanStmt:
		return []ir.Local{s.Key, s.Value}
	case *ir.AssignIntStmt:
		return []ir.Local{s.Target}
	case *ir.AssignVarStmt:
		return []ir.Local{s.Target}
	case *ir.AssignVarOnceStmt:
		return []ir.Local{s.Target}
	case *ir.ResetLocalStmt:
		return []ir.Local{s.Target}
	case *ir.MakeNullStmt:
		return []ir.Local{s.Target}
	case *ir.MakeNumberIntStmt:
		return []ir.Local{s.Target}
	case *ir.MakeNumberRefStmt:
		return []ir.Local{s.Target}
	case *ir.MakeArrayStmt:
		return []ir.Local{s.Target}
	case *ir.MakeObjectStmt:
		return []ir.Local{s.Target}
	case *ir.MakeSetStmt:
		return []ir.Local{s.Target}
	case *ir.ObjectMergeStmt:
		return []ir.Local{s.Target}
	}
	return nil
}

// idle says whether a statement only writes a local that nobody reads.
func (c *compiler) idle(s ir.Stmt) bool {
	switch s := s.(type) {
	case *ir.AssignVarStmt:
		return c.unread(s.Target)
	case *ir.AssignIntStmt:
		return c.unread(s.Target)
	case *ir.ResetLocalStmt:
		return c.unread(s.Target)
	case *ir.MakeNullStmt:
		return c.unread(s.Target)
	case *ir.MakeNumberIntStmt:
		return c.unread(s.Target)
	case *ir.MakeNumberRefStmt:
		return c.unread(s.Target)
	case *ir.NopStmt:
		return true
	}
	return false
}

// unread says whether no statement reads a local, which is not the function's
// result either.
func (c *compiler) unread(l ir.Local) bool {
	return c.reads[l] == 0 && (c.src == nil || l != c.src.Return) && l > ir.Data
}

// sources are the values that a statement reads, those that it adds to
// included.
func sources(s ir.Stmt) []ir.Val {
	switch s := s.(type) {
	case *ir.ReturnLocalStmt:
		return []ir.Val{s.Source}
	case *ir.CallStmt:
		return values(s.Args)
	case *ir.CallDynamicStmt:
		v := values(s.Path)
		for _, a := range s.Args {
			v = append(v, a)
		}
		return v
	case *ir.WithStmt:
		return []ir.Val{s.Local, s.Value.Value}
	case *ir.DotStmt:
		return []ir.Val{s.Source.Value, s.Key.Value}
	case *ir.ScanStmt:
		return []ir.Val{s.Source}
	case *ir.AssignVarStmt:
		return []ir.Val{s.Source.Value}
	case *ir.AssignVarOnceStmt:
		return []ir.Val{s.Source.Value, s.Target}
	case *ir.IsDefinedStmt:
		return []ir.Val{s.Source}
	case *ir.IsUndefinedStmt:
		return []ir.Val{s.Source}
	case *ir.EqualStmt:
		return values([]ir.Operand{s.A, s.B})
	case *ir.NotEqualStmt:
		return values([]ir.Operand{s.A, s.B})
	case *ir.ArrayAppendStmt:
		return []ir.Val{s.Value.Value, s.Array}
	case *ir.SetAddStmt:
		return []ir.Val{s.Value.Value, s.Set}
	case *ir.ObjectInsertStmt:
		return []ir.Val{s.Key.Value, s.Value.Value, s.Object}
	case *ir.ObjectInsertOnceStmt:
		return []ir.Val{s.Key.Value, s.Value.Value, s.Object}
	case *ir.ObjectMergeStmt:
		return []ir.Val{s.A, s.B}
	case *ir.IsArrayStmt:
		return []ir.Val{s.Source.Value}
	case *ir.IsObjectStmt:
		return []ir.Val{s.Source.Value}
	case *ir.IsSetStmt:
		return []ir.Val{s.Source.Value}
	case *ir.LenStmt:
		return []ir.Val{s.Source.Value}
	case *ir.ResultSetAddStmt:
		return []ir.Val{s.Value}
	}
	return nil
}

func values(list []ir.Operand) []ir.Val {
	v := make([]ir.Val, len(list))
	for i := range list {
		v[i] = list[i].Value
	}
	return v
}
