package compiled

import "github.com/open-policy-agent/opa/v1/ast"

// fromScalar makes a value of a scalar term; undefined for anything else.
func fromScalar(x ast.Value) Value {
	switch x := x.(type) {
	case ast.Null:
		return NullValue
	case ast.Boolean:
		return Boolean(bool(x))
	case ast.Number:
		return number(string(x))
	case ast.String:
		return Text(string(x))
	}
	return Value{}
}

// FromTerm makes a value of OPA's, on the heap.
func FromTerm(x ast.Value) Value { return (*Machine)(nil).FromTerm(x) }

// FromTerm makes a value of OPA's, in the machine's memory: it lasts as long
// as the evaluation.
func (m *Machine) FromTerm(x ast.Value) Value {
	switch x := x.(type) {
	case *ast.Array:
		a := m.newArray(x.Len())
		x.Foreach(func(e *ast.Term) { a.elems = append(a.elems, m.FromTerm(e.Value)) })
		return arrayValue(a)
	case ast.Object:
		t := m.newTable(false)
		x.Foreach(func(k, v *ast.Term) { t.put(m, m.FromTerm(k.Value), m.FromTerm(v.Value)) })
		return objectValue(t)
	case ast.Set:
		t := m.newTable(true)
		x.Foreach(func(k *ast.Term) { t.put(m, m.FromTerm(k.Value), Value{}) })
		return setValue(t)
	}
	return fromScalar(x)
}

// Term returns OPA's form of a value, nil if it is undefined. It shares texts
// with the value and nothing else with the machine: it outlives the evaluation
// as far as the texts do.
func (v Value) Term() ast.Value {
	if !v.Defined() {
		return nil
	}
	return toTerm(v)
}

// String is the value as OPA prints it.
func (v Value) String() string {
	if !v.Defined() {
		return "undefined"
	}
	return toTerm(v).String()
}

// term returns a value as a term, an interned one where OPA has it.
func term(v Value) *ast.Term {
	switch v.Kind() {
	case Null:
		return ast.InternedNullTerm
	case Bool:
		return ast.InternedTerm(v.IsTrue())
	case Int:
		return ast.InternedTerm(v.Int())
	}
	return ast.NewTerm(toTerm(v))
}

func toTerm(v Value) ast.Value {
	switch v.Kind() {
	case Null:
		return ast.Null{}
	case Bool:
		return ast.Boolean(v.IsTrue())
	case Int:
		return ast.InternedTerm(v.Int()).Value
	case Num:
		return ast.Number(v.Str())
	case Str:
		return ast.String(v.Str())
	case Arr:
		return arrayTerm(v.array())
	case Obj, Set:
		return tableTerm(v.table())
	}
	return nil
}

func arrayTerm(a *array) ast.Value {
	if a.term != nil {
		return a.term
	}
	terms := make([]*ast.Term, len(a.elems))
	for i, e := range a.elems {
		terms[i] = term(e)
	}
	return ast.NewArray(terms...)
}

func tableTerm(t *table) ast.Value {
	if t.term != nil {
		return t.term
	}
	t.fill()
	if t.set {
		terms := make([]*ast.Term, len(t.keys))
		for i := range t.keys {
			terms[i] = term(t.keys[i])
		}
		return ast.NewSet(terms...)
	}
	items := make([][2]*ast.Term, len(t.keys))
	for i := range t.keys {
		items[i] = [2]*ast.Term{term(t.keys[i]), term(t.vals[i])}
	}
	return ast.NewObject(items...)
}
