package compiled

// arena is the memory of an evaluation: arrays, tables and the slices behind
// them, taken in chunks that are kept for the next evaluation. What it gives
// is valid until reset.
type arena struct {
	arrays       [][]array
	tables       [][]table
	slabs        [][]Value
	nArray       int
	nTable       int
	slab, offset int // where the next slice begins
}

const (
	chunk    = 32  // arrays or tables a chunk
	slabSize = 512 // values a slab
	// keep bounds what a machine keeps of a large evaluation.
	keep = 64
)

// newArray returns an empty array with room for n elements.
func (m *Machine) newArray(n int) *array {
	if m == nil {
		return &array{elems: make([]Value, 0, n)}
	}
	r := &m.memory
	c := r.nArray / chunk
	if c == len(r.arrays) {
		r.arrays = append(r.arrays, make([]array, chunk))
	}
	a := &r.arrays[c][r.nArray%chunk]
	r.nArray++
	a.elems = m.slice(n)
	return a
}

// newTable returns an empty object, or an empty set.
func (m *Machine) newTable(set bool) *table {
	if m == nil {
		return &table{set: set}
	}
	r := &m.memory
	c := r.nTable / chunk
	if c == len(r.tables) {
		r.tables = append(r.tables, make([]table, chunk))
	}
	t := &r.tables[c][r.nTable%chunk]
	r.nTable++
	t.set = set
	return t
}

// slice returns an empty slice with room for n values.
func (m *Machine) slice(n int) []Value {
	if n == 0 {
		return nil
	}
	if m == nil || n > slabSize/2 {
		return make([]Value, 0, n)
	}
	r := &m.memory
	if len(r.slabs) == 0 {
		r.slabs = append(r.slabs, make([]Value, slabSize))
	}
	if r.offset+n > slabSize {
		r.slab++
		r.offset = 0
		if r.slab == len(r.slabs) {
			r.slabs = append(r.slabs, make([]Value, slabSize))
		}
	}
	s := r.slabs[r.slab][r.offset : r.offset : r.offset+n]
	r.offset += n
	return s
}

// push appends to a slice of the machine's memory.
func (m *Machine) push(s []Value, v Value) []Value {
	if len(s) == cap(s) {
		s = append(m.slice(max(2*cap(s), 4)), s...)
	}
	return append(s, v)
}

func (r *arena) reset() {
	for i := range r.nArray {
		r.arrays[i/chunk][i%chunk] = array{}
	}
	for i := range r.nTable {
		r.tables[i/chunk][i%chunk] = table{}
	}
	for i := range r.slab {
		clear(r.slabs[i])
	}
	if r.slab < len(r.slabs) {
		clear(r.slabs[r.slab][:r.offset])
	}
	r.nArray, r.nTable, r.slab, r.offset = 0, 0, 0, 0
	r.arrays, r.tables, r.slabs = shorten(r.arrays), shorten(r.tables), shorten(r.slabs)
}

func shorten[T any](chunks [][]T) [][]T {
	if len(chunks) > keep {
		clear(chunks[keep:])
		chunks = chunks[:keep]
	}
	return chunks
}
