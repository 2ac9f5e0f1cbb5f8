package compiled

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A frozen value is sorted, indexed and never written to, so that any number
// of evaluations may share it. What a program would write into is copied
// first.

// FreezeTerm makes a frozen value of OPA's. It keeps the terms, so that handing
// the value to one of OPA's built-ins costs nothing; they must not change any
// more.
func (in *Interner) FreezeTerm(x ast.Value) Value {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.freezeTerm(x, false)
}

// FreezeFacts makes a frozen value of OPA's that does not keep the terms: for
// facts of which there are many, and which come from elsewhere. It interns the
// names in it, so they should be few; other texts are shared with the terms.
func (in *Interner) FreezeFacts(x ast.Value) Value {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.freezeFacts(x)
}

func (in *Interner) freezeFacts(x ast.Value) Value {
	switch x := x.(type) {
	case *ast.Array:
		a := &array{elems: make([]Value, 0, x.Len()), frozen: true}
		x.Foreach(func(e *ast.Term) { a.elems = append(a.elems, in.freezeFacts(e.Value)) })
		return arrayValue(a)
	case ast.Object:
		t := &table{keys: make([]Value, 0, x.Len()), vals: make([]Value, 0, x.Len())}
		x.Foreach(func(k, v *ast.Term) {
			t.keys = append(t.keys, in.freezeFacts(k.Value))
			t.vals = append(t.vals, in.freezeFacts(v.Value))
		})
		return in.settle(t)
	case ast.Set:
		t := &table{set: true, keys: make([]Value, 0, x.Len())}
		x.Foreach(func(k *ast.Term) { t.keys = append(t.keys, in.freezeFacts(k.Value)) })
		return in.settle(t)
	}
	return fromScalar(x)
}

// freezeDocument is FreezeTerm for the base document; see [odd].
func (in *Interner) freezeDocument(x ast.Value) Value {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.freezeTerm(x, true)
}

func (in *Interner) freezeTerm(x ast.Value, base bool) Value {
	switch x := x.(type) {
	case ast.String:
		return in.text(string(x))
	case *ast.Array:
		a := &array{elems: make([]Value, 0, x.Len()), frozen: true, base: base, term: x}
		x.Foreach(func(e *ast.Term) { a.elems = append(a.elems, in.freezeTerm(e.Value, base)) })
		return arrayValue(a)
	case ast.Object:
		t := &table{keys: make([]Value, 0, x.Len()), vals: make([]Value, 0, x.Len()), base: base, term: x}
		x.Foreach(func(k, v *ast.Term) {
			t.keys = append(t.keys, in.freezeTerm(k.Value, base))
			t.vals = append(t.vals, in.freezeTerm(v.Value, base))
		})
		return in.settle(t)
	case ast.Set:
		t := &table{set: true, keys: make([]Value, 0, x.Len()), base: base, term: x}
		x.Foreach(func(k *ast.Term) { t.keys = append(t.keys, in.freezeTerm(k.Value, base)) })
		return in.settle(t)
	}
	return fromScalar(x)
}

// settle sorts and indexes a table of frozen members, for good.
func (in *Interner) settle(t *table) Value {
	t.sort()
	if !t.set {
		if t.shape = in.shapeOf(t.keys); t.shape != nil {
			t.keys, t.index = t.shape.keys, t.shape.index
		}
	}
	if len(t.keys) > linear && t.index == nil {
		t.reindex()
	}
	t.frozen = true
	return tableValue(t)
}

// freeze copies a value that an evaluation, or the compiler, has made.
func (in *Interner) freeze(v Value) Value {
	in.mu.Lock()
	defer in.mu.Unlock()
	v = in.freezeValue(v)
	keepTerm(v)
	return v
}

func (in *Interner) freezeValue(v Value) Value {
	switch v.Kind() {
	case Str:
		return in.text(v.Str())
	case Num:
		return numberText(strings.Clone(v.Str()))
	case Arr:
		a := v.array()
		if a.frozen {
			return v
		}
		c := &array{elems: make([]Value, len(a.elems)), frozen: true}
		for i, e := range a.elems {
			c.elems[i] = in.freezeValue(e)
		}
		return arrayValue(c)
	case Obj, Set:
		t := v.table()
		if t.frozen {
			return v
		}
		t.fill()
		c := &table{set: t.set, keys: make([]Value, len(t.keys))}
		if !t.set {
			c.vals = make([]Value, len(t.keys))
		}
		for i := range t.keys {
			c.keys[i] = in.freezeValue(t.keys[i])
			if !t.set {
				c.vals[i] = in.freezeValue(t.vals[i])
			}
		}
		return in.settle(c)
	}
	return v
}

// keepTerm lets a frozen constant keep OPA's form of it.
func keepTerm(v Value) {
	const most = 64
	switch v.Kind() {
	case Arr:
		if a := v.array(); a.term == nil && len(a.elems) <= most {
			a.term = toTerm(v)
		}
	case Obj, Set:
		if t := v.table(); t.term == nil && len(t.keys) <= most {
			t.term = toTerm(v)
		}
	}
}

// FreezeArray makes a frozen array of values that are frozen themselves, or
// texts that do not change.
func FreezeArray(elems ...Value) Value { return arrayValue(&array{elems: elems, frozen: true}) }

// Member is a name and its value.
type Member struct {
	Name  string
	Value Value
}

// FreezeObject makes a frozen object of members with different names whose
// values are frozen themselves, or texts that do not change. Members without a
// value are left out. Names are shared by the interner, values are not: it
// does not grow with the facts that pass through it.
func (in *Interner) FreezeObject(members ...Member) Value {
	in.mu.Lock()
	defer in.mu.Unlock()
	t := &table{keys: make([]Value, 0, len(members)), vals: make([]Value, 0, len(members))}
	for _, m := range members {
		if m.Value.Defined() {
			t.keys = append(t.keys, in.text(m.Name))
			t.vals = append(t.vals, m.Value)
		}
	}
	return in.settle(t)
}
