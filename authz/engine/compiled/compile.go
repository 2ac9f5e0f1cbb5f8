package compiled

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ir"
)

// op runs one statement on a frame of registers and says where to go on.
type op func(m *Machine, f []Value) int

// Where to go on. A positive number n leaves n blocks.
const (
	next      = 0
	undefined = 1  // leaves the innermost block: what it asked is undefined
	returned  = -1 // leaves the function
	failed    = -2 // leaves everything; the machine has the error
	settled   = -3 // leaves the rule's body, which can add nothing any more
)

// function is one compiled function of the plan: the rules of one path.
type function struct {
	name   string
	params []int // registers of the arguments; they are not contiguous
	result int   // register of the result
	locals int   // registers of a frame
	body   op
	memo   int   // place in the memos; -1 for functions with arguments
	value  Value // what it always gives, where it is a constant
	steady bool  // cannot fail, except from outside
}

// compiler makes the closures of one function or plan.
type compiler struct {
	p         *Program
	fn        *function
	src       *ir.Func // nil for a plan
	facts     facts    // about src
	reads     map[ir.Local]int
	where     map[ir.Local]int // the registers of locals
	body      bool             // inside the body of a rule
	begun     bool             // a statement was compiled
	scans     int              // depth of scans
	negations int              // how many negations are around the statement
}

// refuse stops compiling: the program is not for this package.
func refuse(format string, args ...any) {
	panic(&Refusal{Why: fmt.Sprintf(format, args...)})
}

// compile turns a plan into functions, callees before callers as the plan has
// them.
func (p *Program) compile(policy *ir.Policy) {
	for _, s := range policy.Static.Strings {
		p.strings = append(p.strings, p.interner.text(s.Value))
	}
	for _, b := range policy.Static.BuiltinFuncs {
		p.declared[b.Name] = b
	}
	for _, f := range policy.Funcs.Funcs {
		p.declare(f)
	}
	for _, f := range policy.Funcs.Funcs {
		p.compileFunction(f)
	}
	for _, plan := range policy.Plans.Plans {
		c := p.compilerOf(&function{name: plan.Name, memo: -1}, nil, plan.Blocks)
		c.fn.body = c.blocks(plan.Blocks)
		p.plan = c.fn
	}
	if p.plan == nil {
		refuse("OPA made no plan")
	}
}

// documents is how many arguments every function has: input and data.
const documents = 2

func (p *Program) declare(f *ir.Func) {
	g := &function{name: f.Name, memo: -1}
	if len(f.Params) == documents {
		g.memo = p.memos
		p.memos++
	}
	p.functions[f.Name] = g
	if f.Path != nil {
		if strings.Contains(strings.Join(f.Path, ""), pathSeparator) {
			refuse("the path of %s has a zero byte", f.Name)
		}
		p.byPath[strings.Join(f.Path, pathSeparator)] = g
	}
}

func (p *Program) compileFunction(f *ir.Func) {
	g := p.functions[f.Name]
	c := p.compilerOf(g, f, f.Blocks)
	c.facts = p.factsOf(f)
	for _, l := range f.Params {
		g.params = append(g.params, c.register(l))
	}
	g.result = c.register(f.Return)
	g.steady = c.facts.steady
	g.body = c.ruleBlocks(f.Blocks)
	if g.memo >= 0 && c.facts.constant {
		p.evaluateConstant(g)
	}
}

// evaluateConstant evaluates a function that reads nothing, once and for all.
func (p *Program) evaluateConstant(g *function) {
	m := newMachine(p)
	m.steps, m.ctx = constantSteps, backgroundContext
	m.memos.enter(Value{}, Value{})
	v := p.call(m, g, nil, nil)
	if m.err == nil && v.Defined() {
		g.value = p.interner.freeze(v)
		p.stats.Constants++
	}
}

// compilerOf makes the compiler of a function; src is nil for a plan's.
func (p *Program) compilerOf(g *function, src *ir.Func, blocks []*ir.Block) *compiler {
	c := &compiler{p: p, fn: g, src: src, reads: readsOf(blocks), where: map[ir.Local]int{}}
	c.register(ir.Input) // the documents come first, read or not
	c.register(ir.Data)
	return c
}

// register returns the register of a local, a new one where it has none yet.
func (c *compiler) register(l ir.Local) int {
	r, ok := c.where[l]
	if !ok {
		r = c.fn.locals
		c.where[l] = r
		c.fn.locals++
	}
	return r
}

// operand is a register, or with a negative one a constant.
type operand struct {
	register int
	constant Value
}

func (o *operand) isConstant() bool { return o.register < 0 }

func (o *operand) get(f []Value) Value {
	if o.register >= 0 {
		return f[o.register]
	}
	return o.constant
}

func (c *compiler) operand(o ir.Operand) operand {
	switch v := o.Value.(type) {
	case ir.Local:
		return operand{register: c.register(v)}
	case ir.StringIndex:
		return operand{register: -1, constant: c.p.strings[v]}
	case ir.Bool:
		return operand{register: -1, constant: Boolean(bool(v))}
	}
	refuse("an operand of the type %T is not known", o.Value)
	return operand{}
}

func (c *compiler) operands(list []ir.Operand) []operand {
	out := make([]operand, len(list))
	for i, o := range list {
		out[i] = c.operand(o)
	}
	return out
}
