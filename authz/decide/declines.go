package decide

import "time"

// declines are the pairs of token and organization for which the store had
// nothing to ask, of the last second at most. A token that rests after its owner
// withdrew a request is used as often as any other, and so are the tokens of an
// owner who has as many open requests as are allowed: each hit would be a
// transaction.
type declines struct {
	since  time.Time
	pairs  map[pair]bool
	owners map[ownerAt]int // how many of their pairs
}

type ownerAt struct{ owner, organization string }

const (
	// declinedFor is how much later a request may be open than there is room for it.
	declinedFor = time.Second
	// ownerDeclines are the pairs of one owner at one organization that are asked
	// for in vain in that time, before the others wait for the next.
	ownerDeclines = 4
)

func newDeclines() declines {
	return declines{pairs: map[pair]bool{}, owners: map[ownerAt]int{}}
}

// hold says whether the store need not be asked now.
func (d *declines) hold(p pair, now time.Time) bool {
	if passed := now.Sub(d.since); passed < 0 || passed >= declinedFor {
		d.since = now
		clear(d.pairs)
		clear(d.owners)
	}
	return d.pairs[p] || d.owners[ownerAt{p.owner, p.organization}] >= ownerDeclines
}

// add remembers a pair, while there are not too many.
func (d *declines) add(p pair) {
	if d.pairs[p] || len(d.pairs) >= maxOpenings {
		return
	}
	d.pairs[p] = true
	d.owners[ownerAt{p.owner, p.organization}]++
}
