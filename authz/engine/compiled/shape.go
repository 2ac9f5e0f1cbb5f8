package compiled

import (
	"strings"
	"sync"
)

// shape is a sorted list of names that all frozen objects with just these
// members share. A read of a constant name remembers, at its site in the
// program, the shape it met and the position there: the next object of that
// shape is read without a search.
type shape struct {
	keys  []Value
	index []int32 // by hash, where there are more than linear keys
}

// widest is the most keys that are worth a shape.
const widest = 32

// Interner shares names and shapes between frozen values, so that most
// comparisons of names are of pointers. Each [Program] has one, which starts
// with the program's constants. It is safe for concurrent use.
type Interner struct {
	mu     sync.Mutex
	names  map[string]Value
	shapes map[uint64][]*shape
}

// NewInterner returns an empty interner, for facts that outlive a program.
func NewInterner() *Interner {
	return &Interner{names: map[string]Value{}, shapes: map[uint64][]*shape{}}
}

// longestName is the longest text that is interned.
const longestName = 64

// text returns a string that is shared with all equal ones.
func (in *Interner) text(s string) Value {
	if len(s) > longestName {
		return Text(s)
	}
	if v, ok := in.names[s]; ok {
		return v
	}
	v := Text(strings.Clone(s))
	in.names[v.Str()] = v
	return v
}

// shapeOf finds the shape of sorted keys; nil where they can have none.
func (in *Interner) shapeOf(keys []Value) *shape {
	if len(keys) > widest {
		return nil
	}
	h := uint64(len(keys))
	for _, k := range keys {
		if k.Kind() != Str {
			return nil
		}
		h = mix(h*31 + hash(k))
	}
	for _, s := range in.shapes[h] {
		if equalElems(s.keys, keys) {
			return s
		}
	}
	t := table{keys: keys}
	if len(keys) > linear {
		t.reindex()
	}
	s := &shape{keys: keys, index: t.index}
	in.shapes[h] = append(in.shapes[h], s)
	return s
}
