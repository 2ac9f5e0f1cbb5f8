package snapshot

import (
	"hash/maphash"

	"github.com/patrol-authz/patrol/authz"
)

// pageSlots is how many slots lie in one page of an index.
const pageSlots = 512

// index finds numbers of rows by a hash: open addressing with linear probing.
// A slot is the hash and the number in one word, so that probing, moving and
// growing never touch the rows. It is immutable; an [indexEdit] makes the next
// one. Keys are compared by who asks: equal hashes are all returned.
type index struct {
	pages []*[pageSlots]uint64
	used  int
}

func (x *index) slot(at uint64) uint64 { return x.pages[at/pageSlots][at%pageSlots] }

func (x *index) slots() uint64 { return uint64(len(x.pages)) * pageSlots }

// home is where a hash belongs. Any number of slots will do, not only powers
// of two, so that an index grows by half.
func home(h uint32, slots uint64) uint64 { return uint64(h) * slots >> 32 }

// probe walks the numbers under a hash.
type probe struct {
	x  *index
	at uint64
	h  uint32
}

func (x *index) find(h uint32) probe { return probe{x, home(h, x.slots()), h} }

// next returns the next number, or 0 when there is none.
func (p *probe) next() uint32 {
	if p.x.used == 0 {
		return 0
	}
	for {
		e := p.x.slot(p.at)
		if e == 0 {
			return 0
		}
		if p.at++; p.at == p.x.slots() {
			p.at = 0
		}
		if uint32(e>>32) == p.h {
			return uint32(e)
		}
	}
}

// indexEdit is a change of an index under way.
type indexEdit struct {
	index
	edit pages[[pageSlots]uint64]
}

func (x *index) change(fresh bool) *indexEdit {
	return &indexEdit{index: *x, edit: pages[[pageSlots]uint64]{list: x.pages, fresh: fresh}}
}

func (e *indexEdit) put(at, entry uint64) {
	e.edit.write(uint32(at / pageSlots))[at%pageSlots] = entry
	e.pages = e.edit.list
}

// reserve makes room for n numbers at once, when they are known to come.
func (e *indexEdit) reserve(n int) { e.resize(uint64(n) + uint64(n)/2) }

// resize moves everything to a new index of at least so many slots.
func (e *indexEdit) resize(slots uint64) {
	old := e.index
	e.edit = pages[[pageSlots]uint64]{fresh: true}
	for range slots/pageSlots + 1 {
		e.edit.add()
	}
	e.index = index{e.edit.list, 0}
	for _, page := range old.pages {
		for _, entry := range page {
			if entry != 0 {
				e.insert(uint32(entry>>32), uint32(entry))
			}
		}
	}
}

// add puts a number under a hash. At most three quarters of the slots are used.
func (e *indexEdit) add(h, n uint32) {
	if uint64(e.used+1)*4 > e.slots()*3 {
		e.resize(e.slots() + e.slots()/2)
	}
	e.insert(h, n)
}

func (e *indexEdit) insert(h, n uint32) {
	at := home(h, e.slots())
	for e.slot(at) != 0 {
		if at++; at == e.slots() {
			at = 0
		}
	}
	e.put(at, uint64(h)<<32|uint64(n))
	e.used++
}

// drop takes a number away from under a hash. Those behind it move up, so that
// no gap is left in anyone's way.
func (e *indexEdit) drop(h, n uint32) {
	slots := e.slots()
	if slots == 0 {
		return
	}
	gap := home(h, slots)
	for e.slot(gap) != uint64(h)<<32|uint64(n) {
		if e.slot(gap) == 0 {
			return
		}
		gap = (gap + 1) % slots
	}
	for at := (gap + 1) % slots; e.slot(at) != 0; at = (at + 1) % slots {
		// An entry may move to the gap unless its home lies behind the gap.
		if from := home(uint32(e.slot(at)>>32), slots); (at-from+slots)%slots >= (at-gap+slots)%slots {
			e.put(gap, e.slot(at))
			gap = at
		}
	}
	e.put(gap, 0)
	e.used--
}

// done returns the index as changed.
func (e *indexEdit) done() index { return e.index }

var seed = maphash.MakeSeed()

func hashText(s string) uint32 { return uint32(maphash.String(seed, s)) }

func hashDigest(d *authz.Digest) uint32 { return uint32(maphash.Bytes(seed, d[:])) }

// hashPair mixes two numbers (the finalizer of splitmix64).
func hashPair(a, b uint32) uint32 {
	x := uint64(a)<<32 | uint64(b)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return uint32(x ^ x>>31)
}
