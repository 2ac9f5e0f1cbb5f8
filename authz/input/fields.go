package input

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Fields is a tree of the parts of the input that a policy can read. A nil
// tree means: not read; one without keys: only whether it is there is asked.
// It is immutable once made.
type Fields struct {
	// all: everything from here on is read.
	all  bool
	keys map[string]*Fields
}

// everything is the tree below a part that is read whole.
var everything = &Fields{all: true}

// All returns the tree of a policy that may read anything.
func All() *Fields { return everything }

// Paths returns the tree that holds the given paths, keys joined by a slash:
// "token/kind". The empty path is everything.
func Paths(paths ...string) *Fields {
	f := &Fields{}
	for _, p := range paths {
		var keys []string
		if p != "" {
			keys = strings.Split(p, "/")
		}
		f.add(keys, true)
	}
	return f
}

// FieldsOf returns what a query can read of the input: the references that
// start at `input` in the query and in every rule that it can reach, each cut
// at its first part that is not a constant string. A bare `input`, or `input`
// handed on whole, makes it everything.
//
// The modules have to be compiled, so that every alias and import has been
// resolved into a reference.
func FieldsOf(compiler *ast.Compiler, query ast.Body) *Fields {
	w := &walker{compiler: compiler, fields: &Fields{}, seen: map[*ast.Rule]bool{}}
	w.gather(query)
	w.lone = true
	for len(w.todo) > 0 && !w.fields.all {
		rule := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		w.gather(rule)
	}
	return w.fields
}

// Merge returns the tree of what is in any of the given ones.
func Merge(trees ...*Fields) *Fields {
	merged := &Fields{}
	for _, t := range trees {
		if t != nil {
			t.each(nil, merged.add)
		}
	}
	return merged
}

// At returns the tree below a path of keys, nil if nothing there is read.
func (f *Fields) At(keys ...string) *Fields {
	for _, k := range keys {
		if f == nil {
			return nil
		}
		if f.all {
			return everything
		}
		f = f.keys[k]
	}
	return f
}

// IsAll says whether everything from here on is read.
func (f *Fields) IsAll() bool { return f != nil && f.all }

// Keys returns the keys that are read by name, sorted.
func (f *Fields) Keys() []string {
	if f == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(f.keys))
}

// String lists the paths that are read, with a question mark where it is only
// asked whether they are there.
func (f *Fields) String() string {
	var paths []string
	if f != nil {
		f.each(nil, func(keys []string, all bool) {
			path := strings.Join(keys, "/")
			if !all {
				path += "?"
			}
			paths = append(paths, path)
		})
	}
	slices.Sort(paths)
	return strings.Join(paths, " ")
}

// within says whether the tree reads nothing but the given shape's leaves.
func (f *Fields) within(shape *Fields) bool {
	if f == nil || shape.IsAll() {
		return true
	}
	if f.all || shape == nil || len(f.keys) == 0 {
		return false
	}
	for k, sub := range f.keys {
		if !sub.within(shape.keys[k]) {
			return false
		}
	}
	return true
}

// add puts a path in: whole, or as one that is only asked for.
func (f *Fields) add(keys []string, whole bool) {
	if f.all {
		return
	}
	if len(keys) == 0 {
		if whole {
			f.all, f.keys = true, nil
		}
		return
	}
	sub := f.keys[keys[0]]
	if sub == nil {
		sub = &Fields{}
		if f.keys == nil {
			f.keys = map[string]*Fields{}
		}
		f.keys[keys[0]] = sub
	}
	sub.add(keys[1:], whole)
}

func (f *Fields) each(prefix []string, yield func(keys []string, whole bool)) {
	if len(f.keys) == 0 && (f.all || len(prefix) > 0) {
		yield(prefix, f.all)
		return
	}
	for k, sub := range f.keys {
		sub.each(append(slices.Clone(prefix), k), yield)
	}
}

// walker gathers the references to input and follows those to data.
type walker struct {
	compiler *ast.Compiler
	fields   *Fields
	seen     map[*ast.Rule]bool
	todo     []*ast.Rule
	// lone: an expression that is nothing but a reference asks only whether
	// it is there (and not false). It is not so in a query, which gives the
	// value too.
	lone bool
}

func (w *walker) gather(x any) {
	var visitor *ast.GenericVisitor
	visitor = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.With:
			// What a `with` replaces is not read by naming it.
			visitor.Walk(x.Value)
			return true
		case *ast.Expr:
			if t, ok := x.Terms.(*ast.Term); ok && w.lone && len(x.With) == 0 && w.asked(t) {
				return true
			}
		case ast.Ref:
			w.ref(x)
			if _, plain := x[0].Value.(ast.Var); !plain {
				visitor.Walk(x[0])
			}
			for _, part := range x[1:] {
				visitor.Walk(part)
			}
			return true
		case ast.Var:
			if x.Equal(ast.InputRootDocument.Value) {
				w.fields.add(nil, true)
			}
			if x.Equal(ast.DefaultRootDocument.Value) {
				w.follow(ast.Ref{ast.DefaultRootDocument})
			}
		}
		return false
	})
	visitor.Walk(x)
}

func (w *walker) ref(r ast.Ref) {
	switch {
	case r[0].Equal(ast.InputRootDocument):
		var keys []string
		for _, part := range r[1:] {
			s, ok := part.Value.(ast.String)
			if !ok {
				break
			}
			keys = append(keys, string(s))
		}
		w.fields.add(keys, true)
	case r[0].Equal(ast.DefaultRootDocument):
		w.follow(r)
	}
}

// asked notes a constant reference into the input that is only asked for, and
// says whether the term was one.
func (w *walker) asked(t *ast.Term) bool {
	r, ok := t.Value.(ast.Ref)
	if !ok || len(r) < 2 || !r[0].Equal(ast.InputRootDocument) {
		return false
	}
	keys := make([]string, 0, len(r)-1)
	for _, part := range r[1:] {
		s, ok := part.Value.(ast.String)
		if !ok {
			return false
		}
		keys = append(keys, string(s))
	}
	w.fields.add(keys, false)
	return true
}

func (w *walker) follow(r ast.Ref) {
	for _, rule := range w.compiler.GetRulesDynamicWithOpts(r, ast.RulesOptions{IncludeHiddenModules: true}) {
		if !w.seen[rule] {
			w.seen[rule] = true
			w.todo = append(w.todo, rule)
		}
	}
}
