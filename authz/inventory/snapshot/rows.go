package snapshot

// pageRows is how many rows lie in one page: the least that a change copies.
const pageRows = 256

// rows is a list of rows by number, in pages. It is immutable; a [rowEdit]
// makes the next one, which shares all pages but those that changed. Number 0
// stands for no row.
type rows[T any] struct {
	pages []*[pageRows]T
	next  uint32 // the number after the last one given
}

func (r *rows[T]) at(n uint32) *T { return &r.pages[n/pageRows][n%pageRows] }

// has says whether a number was ever given.
func (r *rows[T]) has(n uint32) bool { return n != 0 && n < r.next }

// rowEdit is a change of rows under way. Numbers that were freed are given
// again: who still reads the rows before the change has its own pages.
type rowEdit[T any] struct {
	pages pages[[pageRows]T]
	next  uint32
	free  *[]uint32
}

// edit begins a change. free keeps the numbers of freed rows from one change to
// the next; fresh says that nobody else reads these rows.
func (r *rows[T]) edit(free *[]uint32, fresh bool) rowEdit[T] {
	return rowEdit[T]{pages: pages[[pageRows]T]{list: r.pages, fresh: fresh}, next: r.next, free: free}
}

// done returns the rows as changed.
func (e *rowEdit[T]) done() rows[T] { return rows[T]{e.pages.list, e.next} }

// at reads a row.
func (e *rowEdit[T]) at(n uint32) *T { return &e.pages.list[n/pageRows][n%pageRows] }

// write returns a row to be written; the pointer holds until the change ends.
func (e *rowEdit[T]) write(n uint32) *T { return &e.pages.write(n / pageRows)[n%pageRows] }

// add gives the number of a row that is all zero.
func (e *rowEdit[T]) add() uint32 {
	if last := len(*e.free) - 1; last >= 0 {
		n := (*e.free)[last]
		*e.free = (*e.free)[:last]
		return n
	}
	n := max(e.next, 1)
	e.next = n + 1
	if int(n/pageRows) == len(e.pages.list) {
		e.pages.add()
	}
	return n
}

// drop empties a row and frees its number.
func (e *rowEdit[T]) drop(n uint32) {
	var zero T
	*e.write(n) = zero
	*e.free = append(*e.free, n)
}
