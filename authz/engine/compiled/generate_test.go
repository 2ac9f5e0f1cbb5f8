package compiled_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// dice are random numbers out of a fuzzer's bytes, so that each byte it
// changes changes a choice; when they are used up, out of a generator that the
// bytes have seeded.
type dice struct {
	bytes []byte
	rest  *rand.Rand
}

func newDice(b []byte) *dice {
	var h uint64 = 14695981039346656037 // FNV-1a: the same in each run
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return &dice{b, rand.New(rand.NewPCG(h, uint64(len(b))))}
}

func (d *dice) IntN(n int) int {
	if len(d.bytes) > 0 && n <= 256 {
		b := d.bytes[0]
		d.bytes = d.bytes[1:]
		return int(b) % n
	}
	return d.rest.IntN(n)
}

func (d *dice) one(xs ...string) string { return xs[d.IntN(len(xs))] }

// writer writes random modules over a small vocabulary, so that things meet.
type writer struct {
	*dice
	vars  []string
	depth int
	fresh int
	rules int // rules r0… and functions f0… that were written
	list  []string
}

func (g *writer) scalar() string {
	return g.one(`"a"`, `"b"`, `"c"`, `1`, `2`, `0`, `-1`, `1.0`, `2.5`, `true`, `false`, `null`, `""`, `100000000000000000000`, `"a/b"`,
		`1e2`, `"é"`, `"1"`, `[]`, `{}`, `set()`)
}

func (g *writer) variable() string {
	if len(g.vars) == 0 {
		return "input"
	}
	return g.vars[g.IntN(len(g.vars))]
}

func (g *writer) ref() string {
	s := g.one("input", "input", "data.d", "data.d", g.variable(), "data.q", "data.p", "data.n")
	if s == "data.p" {
		return "data.p." + g.one("base", "none")
	}
	for range g.IntN(3) {
		s += g.one(".a", ".b", ".c", ".xs", `["a"]`, "[0]", "[1]", ".o", ".s")
		if g.IntN(5) == 0 && len(g.vars) > 0 {
			s += "[" + g.variable() + "]"
		}
	}
	return s
}

func (g *writer) rule() string {
	if g.rules == 0 {
		return g.scalar()
	}
	return fmt.Sprintf("r%d", g.IntN(g.rules))
}

// deepest is how deep terms and expressions nest.
const deepest = 3

func (g *writer) term() string {
	if g.depth > deepest {
		return g.scalar()
	}
	g.depth++
	defer func() { g.depth-- }()
	switch g.IntN(19) {
	case 0, 1:
		return g.scalar()
	case 2, 3, 4:
		return g.ref()
	case 5:
		return g.rule() + g.one("", "", ".a", "[0]", "."+g.one("x", "y"))
	case 6:
		return "[" + g.term() + ", " + g.term() + "]"
	case 7:
		return "{" + g.one(`"a"`, `"b"`) + ": " + g.term() + ", \"k\": " + g.term() + "}"
	case 8:
		return "{" + g.term() + ", " + g.term() + "}"
	case 9:
		return g.comprehension()
	case 10:
		if g.rules > 0 {
			return fmt.Sprintf("f%d(%s)", g.IntN(g.rules), g.term())
		}
		return g.scalar()
	case 11, 12:
		return g.call()
	case 13:
		return "(" + g.argument() + g.one(" + ", " - ", " * ", " & ", " | ", " / ", " % ") + g.argument() + ")"
	case 14:
		return "object.get(" + g.ref() + ", " + g.one(`"a"`, `["a","b"]`, `"o"`, "0", g.variable()) + ", " + g.scalar() + ")"
	case 15:
		return "array.slice(" + g.ref() + ", 0, " + g.one("1", "2", "-1") + ")"
	case 16:
		return "data." + g.one("d", "q") + "[" + g.variable() + "]" + g.one("", ".a", "[0]")
	case 17:
		return "(" + g.term() + " " + g.one("in", "==", "<", "!=") + " " + g.collection() + ")"
	}
	return g.rule() + "[" + g.one(g.variable(), g.scalar()) + "]"
}

func (g *writer) call() string {
	a := g.argument
	switch g.IntN(3) {
	case 0:
		return g.one("count", "sum", "max", "min", "sort", "is_string", "is_number", "is_set", "type_name", "upper", "lower", "to_number", "object.keys",
			"json.marshal", "trim_space", "abs", "floor", "base64.encode", "json.unmarshal", "array.reverse", "numbers.range(0, 3)") + "(" + a() + ")"
	case 1:
		return g.one("split", "concat", "trim_prefix", "startswith", "contains", "array.concat", "trim_suffix", "endswith", "indexof", "object.union",
			"regex.match", "sprintf", "trim", "object.remove", "intersection", "union", "format_int", "strings.any_prefix_match") + "(" + a() + ", " + a() + ")"
	}
	return g.one("substring", "replace", "glob.match", "array.slice", "object.get") + "(" + a() + ", " + a() + ", " + a() + ")"
}

// argument is mostly something whose type the checker can't know.
func (g *writer) argument() string {
	if g.IntN(4) == 0 {
		return g.term()
	}
	return g.ref()
}

func (g *writer) newVar() string { g.fresh++; return fmt.Sprintf("v%d", g.fresh) }

func (g *writer) comprehension() string {
	n := len(g.vars)
	defer func() { g.vars = g.vars[:n] }()
	v := g.newVar()
	body := "some " + v + " in " + g.collection()
	g.vars = append(g.vars, v)
	for range g.IntN(3) {
		body += "; " + g.expr()
	}
	switch g.IntN(3) {
	case 0:
		return "[" + g.one(v, g.term()) + " | " + body + "]"
	case 1:
		return "{" + g.one(v, g.term()) + " | " + body + "}"
	}
	return "{" + g.one(v, `"k"`, g.term()) + ": " + g.term() + " | " + body + "}"
}

func (g *writer) collection() string {
	return g.one("input.xs", "data.d.xs", "data.n", "input", "data.d", "input.o", "[1, 2, 3]", `{"a", "b"}`, g.rule(), g.ref(), "data.q", `{"a": 1, "b": [2]}`)
}

func (g *writer) expr() string {
	if g.depth > deepest {
		return g.ref() + " == " + g.scalar()
	}
	g.depth++
	defer func() { g.depth-- }()
	switch g.IntN(16) {
	case 0, 1:
		return g.term() + g.one(" == ", " != ", " < ", " <= ", " > ", " >= ") + g.term()
	case 2:
		return g.term()
	case 3:
		return "not " + g.one(g.ref(), g.rule(), g.ref()+" == "+g.scalar(), g.term())
	case 4:
		return g.term() + " in " + g.collection()
	case 5:
		v := g.newVar()
		s := v + " := " + g.term()
		g.vars = append(g.vars, v)
		return s
	case 6:
		v, k, c := g.newVar(), g.newVar(), g.collection()
		g.vars = append(g.vars, v, k)
		return "some " + k + ", " + v + " in " + c
	case 7:
		v, c := g.newVar(), g.collection()
		n := len(g.vars)
		g.vars = append(g.vars, v)
		s := "every " + v + " in " + c + " { " + g.expr() + " }"
		g.vars = g.vars[:n]
		return s
	case 8:
		return g.one(g.rule(), g.rule()+" == "+g.scalar(), g.ref(), g.term()) + " with " + g.withTarget() + " as " + g.term()
	case 9:
		v := g.newVar()
		s := g.one("["+v+", _] = "+g.ref(), "{\"a\": "+v+", \"b\": _} = "+g.ref(), g.one("input", "data.d", "input.o", g.rule(), "data.q")+"["+v+"] == "+g.term(),
			v+" = "+g.term(), g.ref()+"["+v+"]["+g.newVar()+"]")
		g.vars = append(g.vars, v)
		return s
	case 10:
		return "{\"a\": 1, \"b\": " + g.scalar() + "} == " + g.ref()
	case 11:
		v := g.newVar()
		s := g.one("walk("+g.ref()+", [_, "+v+"])", "some "+v+" in numbers.range(0, 4)", "some "+v+" in "+g.collection())
		g.vars = append(g.vars, v)
		return s
	case 12:
		return g.rule() + " with " + g.withTarget() + " as " + g.term() + " with " + g.withTarget() + " as " + g.scalar()
	}
	return g.ref() + g.one(" == ", " != ") + g.scalar()
}

func (g *writer) withTarget() string {
	if g.rules > 0 && g.IntN(5) == 0 {
		return g.one("count", "startswith", fmt.Sprintf("f%d", g.IntN(g.rules)), "data.p."+g.rule())
	}
	// What lies in the base document is not compiled; data.n is nowhere else.
	return g.one("input", "input.a", "input.xs", "input.o.b", "data.n", "data.n.a", "data.n.o.a", "data.n.xs", "data.d.o.a", "data.q.a")
}

func (g *writer) body() string {
	g.vars = g.vars[:0]
	list := make([]string, 1+g.IntN(3))
	for i := range list {
		list[i] = g.expr()
	}
	return "{\n\t" + strings.Join(list, "\n\t") + "\n}"
}

// keep adds a rule to the module.
func (g *writer) keep(format string, a ...any) { g.list = append(g.list, fmt.Sprintf(format, a...)) }

// assemble makes a module of those rules with which it compiles.
func (g *writer) assemble() string {
	const rounds = 12
	for range rounds {
		g.complete()
		starts, module := make([]int, len(g.list)), "package p\n\n"
		for i, r := range g.list {
			starts[i] = strings.Count(module, "\n") + 1
			module += r + "\n\n"
		}
		bad := faults(module)
		if bad == nil {
			return module
		}
		for i := len(g.list) - 1; i >= 0; i-- {
			end := math.MaxInt
			if i+1 < len(starts) {
				end = starts[i+1]
			}
			if slices.ContainsFunc(bad, func(row int) bool { return row >= starts[i] && row < end }) {
				g.list = slices.Delete(g.list, i, i+1)
				starts = slices.Delete(starts, i, i+1)
			}
		}
	}
	return "package p\n\nr0 := input.a\n"
}

// complete sees to it that every name is there, so that others can refer to it.
func (g *writer) complete() {
	has := func(name string) bool {
		return slices.ContainsFunc(g.list, func(r string) bool {
			rest, ok := strings.CutPrefix(r, name)
			return ok && strings.ContainsAny(rest[:1], " .[(")
		})
	}
	for i := range g.rules {
		if name := fmt.Sprintf("r%d", i); !has(name) {
			g.keep("%s := {\"x\": input, \"a\": input.a}", name)
		}
		if name := fmt.Sprintf("f%d", i); !has(name) {
			g.keep("%s(x) := [x, input.b]", name)
		}
	}
}

// faults are the rows of a module in which it does not compile.
func faults(module string) []int {
	m, err := ast.ParseModule("m.rego", module)
	var errs ast.Errors
	if err == nil {
		c := ast.NewCompiler().SetErrorLimit(0)
		c.Compile(map[string]*ast.Module{"m.rego": m, "q.rego": ast.MustParseModule(second)})
		errs = c.Errors
	} else if !errors.As(err, &errs) {
		return []int{math.MaxInt}
	}
	var rows []int
	for _, e := range errs {
		if e.Location != nil {
			rows = append(rows, e.Location.Row)
		}
	}
	if len(errs) > 0 && len(rows) == 0 {
		return []int{math.MaxInt}
	}
	return rows
}

// second is another package, with rules beside base documents.
const second = `package q

a := 1 if input.a

b contains x if some x in input.xs

o.x := input.b

o[k] := v if some k, v in input.o

s.deep.er := data.d.a
`

// module writes a package p.
func (g *writer) module() string {
	for i := range 2 + g.IntN(4) {
		name, function := fmt.Sprintf("r%d", i), fmt.Sprintf("f%d", i)
		kind := g.IntN(8)
		for range 1 + g.IntN(3) {
			g.writeRule(name, kind)
		}
		if (kind == 0 || kind == 3 || kind == 4) && g.IntN(2) == 0 {
			g.keep("default %s := %s", name, g.scalar())
		}
		for range 1 + g.IntN(2) {
			g.vars = append(g.vars[:0], "x")
			e := g.expr()
			g.keep("%s(%s) := %s if {\n\t%s\n}", function, g.one("x", "x", "x", `"a"`, "1", "[x, _]"), g.one("true", "x", "1", g.term()), e)
		}
		g.rules = i + 1
	}
	return g.assemble()
}

func (g *writer) writeRule(name string, kind int) {
	body, val := g.body(), g.term()
	switch kind {
	case 0:
		g.keep("%s := %s if %s", name, g.one(g.scalar(), "true", val), body)
	case 1:
		g.keep("%s contains %s if %s", name, g.one(g.scalar(), val), body)
	case 2:
		g.keep("%s[%s] := %s if %s", name, g.one(`"a"`, `"b"`, val), g.one("1", val), body)
	case 3:
		g.keep("%s if %s", name, body)
	case 4:
		g.vars = g.vars[:0]
		g.keep("%s := %s if %s else := %s if %s", name, val, body, g.scalar(), g.body())
	case 5:
		g.keep("%s.%s[%s] := %s if %s", name, g.one("x", "y"), g.one(`"a"`, val), g.one("1", val), body)
	case 6:
		g.keep("%s.%s contains %s if %s", name, g.one("x", "y"), val, body)
	case 7: // many alike, which an index finds
		for j := range 3 + g.IntN(9) {
			g.keep("%s := %s if { input.%s == %s; %s }", name, g.one("1", `"a"`, fmt.Sprint(j)), g.one("a", "a", "a", "b"), g.scalar(), g.one("true", g.expr()))
		}
	}
}

// value makes an input or a base document.
func (g *writer) value(depth int) ast.Value {
	if depth == 0 || g.IntN(3) == 0 {
		return ast.MustParseTerm(g.one(`"a"`, `"b"`, `"c"`, `1`, `2`, `0`, `true`, `false`, `null`, `2.5`, `"1"`, `1.0`)).Value
	}
	if g.IntN(3) == 0 {
		var list []*ast.Term
		for range g.IntN(4) {
			list = append(list, ast.NewTerm(g.value(depth-1)))
		}
		return ast.NewArray(list...)
	}
	o := ast.NewObject()
	for range g.IntN(7) {
		o.Insert(ast.StringTerm(g.one("a", "b", "c", "xs", "o", "s", "0", "1", "x")), ast.NewTerm(g.value(depth-1)))
	}
	return o
}
