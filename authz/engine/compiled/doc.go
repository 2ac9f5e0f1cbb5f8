// Package compiled evaluates Rego as Go closures: some tens of times faster
// than OPA's interpreter, and without allocating in the common case.
//
// # How it works
//
// OPA's planner turns a query over compiled modules into an intermediate
// representation (https://www.openpolicyagent.org/docs/ir): functions, one for
// the rules of each path, of blocks of some thirty kinds of statements on
// numbered locals. [New] has OPA make that plan and compiles each statement to
// a closure
//
//	func(m *Machine, f []Value) int
//
// on a frame of registers, which says by its result where to go on: 0 with the
// next statement, n out of n blocks (1 is also what "undefined" means),
// negative out of the function or of everything. A block runs closures until
// one of them says otherwise.
//
//	program, err := compiled.New(ctx, compiled.Options{
//		Compiler: compiler, Data: data, Entrypoint: ast.MustParseRef("data.example.allow"),
//	})
//	…
//	m := program.Begin()
//	defer m.End()
//	v, err := m.Eval(ctx, compiled.Call{Input: m.Lazy(request)})
//
// A [Value] is 16 bytes: a word with kind and payload, and a pointer. Objects
// and sets keep the order in which they were built and are sorted when
// somebody iterates. What an evaluation builds lies in its [Machine]'s arena;
// it may be read until [Machine.End], and no longer. What lives longer is
// frozen: sorted, indexed, shared, copied before it is written to. The base
// document is; an [Interner] freezes facts that come with inputs again and
// again. An input need not be built at all: a [Lazy] object makes a member when
// the program asks for it.
//
// # What makes it fast, beside closures
//
//   - Paths of constant names, with the test of what they lead to, are one
//     closure. A path into input or data is followed once in an evaluation.
//     Frozen objects of the same members share a shape, and a look-up remembers
//     where in the last shape its name was.
//   - Rules without arguments are evaluated once for each input and data.
//   - What builds only constants is built when the program is compiled; rules
//     that read nothing are evaluated then.
//   - A rule's body is left as soon as all that it can give is known, and what
//     is skipped cannot fail.
//   - Of many rules that compare the same path with constants, those that can
//     hold are found by an index.
//   - Locals that nobody reads have no register, and what only writes them is
//     left out.
//   - Built-ins are OPA's own. The common ones have a native form for plain
//     arguments; everything odd goes to OPA. What OPA was asked is not asked
//     again in the same evaluation.
//
// # Why it may be trusted
//
// It need not be: OPA's interpreter is the oracle. A caller is expected to
// keep it at hand and to ask it
//
//   - where [New] returns a [Refusal]: OPA can't plan the query, the program
//     uses what the planner is known to get wrong, or something here is unknown;
//   - where an evaluation fails for any reason but those of [Stopped]. That
//     gives errors their right text and place, and is how the corners are kept
//     where this package knows that it does not know: a number as a key of a
//     base document, keys of an object that turn out to be the same.
//
// An answer without an error is OPA's, value for value. OPA's 4,400 shared
// conformance cases hold it to that, and fuzzing of random programs, which
// found the corners above.
//
// # Limits
//
// An evaluation ends with its context, after [Call.Timeout], or when its budget
// of steps (rounds of loops, and calls) is spent. Built-ins that look for it are
// cancelled, too. There are no traces, no coverage and no partial evaluation;
// for those there is the interpreter.
package compiled
