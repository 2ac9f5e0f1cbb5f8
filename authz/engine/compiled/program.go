package compiled

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
	"github.com/open-policy-agent/opa/v1/topdown/print"
)

// Options of a program. Compiler and one of Entrypoint and Query are required.
type Options struct {
	// Compiler holds the compiled modules. Nothing else may use it while New
	// runs; it is left as it was.
	Compiler *ast.Compiler
	// Data is the base document; nil is an empty one. It must not change any
	// more.
	Data ast.Object
	// Entrypoint is the document to evaluate, for [Machine.Eval]:
	// data.patrol.authz.decision.
	Entrypoint ast.Ref
	// Query is any query, for [Machine.Results], instead of an entrypoint.
	Query ast.Body
	// Budget is how many steps an evaluation may take: rounds of a scan, and
	// calls. Default 50 million.
	Budget int64
	// Strict makes the first error of a built-in the evaluation's.
	Strict bool
	// Runtime is what opa.runtime() gives; may be nil.
	Runtime *ast.Term
	// Print receives what policies print; nil drops it.
	Print print.Hook
	// ValueCache and QueryCache keep what OPA's built-ins keep between
	// evaluations; may be nil.
	ValueCache cache.InterQueryValueCache
	QueryCache cache.InterQueryCache
	// Interner to share names and shapes with facts that were frozen before;
	// by default one of the program's own.
	Interner *Interner
	// Beside is a program over the same data, of which this one takes the frozen
	// document and the interner; Data and Interner are left out then.
	Beside *Program
}

// DefaultBudget is the budget of an evaluation, in steps.
const DefaultBudget = 50_000_000

// Refusal is an error of [New]: this program is to be evaluated by OPA itself.
type Refusal struct{ Why string }

func (r *Refusal) Error() string { return "not compiled: " + r.Why }

// Program is a compiled policy with its data. It is immutable and safe for
// concurrent use; each evaluation has a [Machine] of its own.
type Program struct {
	options          Options
	interner         *Interner
	strings          []Value
	functions        map[string]*function
	byPath           map[string]*function // for calls by a path
	plan             *function
	memos            int
	routes           map[string]int // the memos of paths into the documents
	declared         map[string]*ir.BuiltinFunc
	extra            map[string]*topdown.Builtin
	nextBuiltin      int
	nondeterministic map[string]bool
	data             Value
	stats            Stats
	machines         sync.Pool
}

// Stats says what the compiler met.
type Stats struct {
	Statements int // of OPA's plan
	Functions  int
	Idle       int // statements left out
	Folded     int // runs of statements that became constants
	Constants  int // functions that became constants
	EarlyExits int // places where a rule's body is left early
	Indexed    int // functions whose bodies are found by an index
	// Native and Bridged count the calls of built-ins by their names.
	Native, Bridged map[string]int
}

// New compiles a query over the modules of a compiler. An error that is a
// [*Refusal] means that this program is not for this package.
func New(ctx context.Context, o Options) (p *Program, err error) {
	if o.Budget <= 0 {
		o.Budget = DefaultBudget
	}
	if o.Beside != nil {
		o.Data, o.Interner = o.Beside.options.Data, o.Beside.interner
	}
	if o.Interner == nil {
		o.Interner = NewInterner()
	}
	p = &Program{
		options: o, interner: o.Interner, functions: map[string]*function{}, byPath: map[string]*function{},
		routes: map[string]int{}, declared: map[string]*ir.BuiltinFunc{}, nondeterministic: map[string]bool{},
		stats: Stats{Native: map[string]int{}, Bridged: map[string]int{}},
	}
	p.machines.New = func() any { return newMachine(p) }
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Refusal:
			p, err = nil, r
		default: // OPA's planner panics where it should refuse
			p, err = nil, &Refusal{Why: fmt.Sprintf("it made the planner or the compiler fail: %v", r)}
		}
	}()
	if why := doubtful(&o); why != "" {
		return nil, &Refusal{Why: why}
	}
	policy, extra, err := plan(ctx, &o)
	if err != nil {
		return nil, &Refusal{Why: "OPA can't plan it: " + err.Error()}
	}
	p.extra = extra
	if o.Data == nil {
		o.Data = ast.NewObject()
	}
	if o.Beside != nil {
		p.data = o.Beside.data
	} else {
		p.data = p.interner.freezeDocument(o.Data)
	}
	p.compile(policy)
	p.stats.Functions = len(p.functions)
	return p, nil
}

// Stats returns what the compiler met.
func (p *Program) Stats() Stats { return p.stats }

// Data returns the frozen base document.
func (p *Program) Data() Value { return p.data }

// Interner returns the one to freeze long-lived parts of inputs with.
func (p *Program) Interner() *Interner { return p.interner }

// Nondeterministic returns the names of the built-ins that the program calls
// and that may answer otherwise when asked again, such as http.send.
func (p *Program) Nondeterministic() []string {
	names := make([]string, 0, len(p.nondeterministic))
	for name := range p.nondeterministic {
		names = append(names, name)
	}
	return names
}

// The budget and context of what is evaluated while compiling.
const constantSteps = 1 << 20

var backgroundContext = context.Background()

// Call says what to evaluate a program on.
type Call struct {
	// Input is the input document; undefined where there is none.
	Input Value
	// Now is what time.now_ns() gives; the zero time means the clock.
	Now time.Time
	// Timeout ends the evaluation, as its context does; 0: never. The clock is
	// first looked at after some steps, so that a short evaluation does
	// without it.
	Timeout time.Duration
}
