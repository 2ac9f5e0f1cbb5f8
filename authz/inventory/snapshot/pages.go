package snapshot

// pages is a change of a list of pages under way. The list before it stays as
// it was: each page is copied before the first write to it, and so is the list.
type pages[P any] struct {
	list []*P
	// mine says which pages the change made itself, one bit each; nil until
	// the list was copied.
	mine []uint64
	// fresh: nobody else reads the list, all pages are the change's own.
	fresh bool
}

// own makes the list the change's own.
func (e *pages[P]) own() {
	if e.fresh || e.mine != nil {
		return
	}
	e.mine = make([]uint64, len(e.list)/64+1)
	e.list = append(make([]*P, 0, len(e.list)+1), e.list...)
}

// write returns a page to be written.
func (e *pages[P]) write(p uint32) *P {
	if e.fresh {
		return e.list[p]
	}
	e.own()
	word, bit := p/64, uint64(1)<<(p%64)
	if e.mine[word]&bit == 0 {
		copied := *e.list[p]
		e.list[p] = &copied
		e.mine[word] |= bit
	}
	return e.list[p]
}

// add puts a new page at the end.
func (e *pages[P]) add() {
	e.own()
	p := len(e.list)
	e.list = append(e.list, new(P))
	if e.fresh {
		return
	}
	for p/64 >= len(e.mine) {
		e.mine = append(e.mine, 0)
	}
	e.mine[p/64] |= 1 << (p % 64)
}
