package compiled

// A rule without arguments is a function of two documents, input and data, and
// is called once for each pair of them. `with` replaces a document, so memos
// belong to a scope: the identity of both. What `with` undoes within its own
// body finds the outer scope again, and with it the outer memos.

// memos are the results of functions of nothing but the two documents, and of
// constant paths into them.
type memos struct {
	entries []memo
	scopes  []scope
	current uint64 // number of the scope in force
	last    uint64 // number given last
}

type memo struct {
	scope uint64
	value Value
}

type scope struct {
	input, data Value
	number      uint64
}

func newMemos(n int) memos { return memos{entries: make([]memo, n)} }

// enter puts the scope of two documents in force.
func (s *memos) enter(input, data Value) {
	for i := len(s.scopes) - 1; i >= 0; i-- {
		if o := &s.scopes[i]; same(o.input, input) && same(o.data, data) {
			s.current = o.number
			return
		}
	}
	s.last++
	s.current = s.last
	s.scopes = append(s.scopes, scope{input, data, s.last})
}

// mark is where scopes stood, to go back to.
type mark struct {
	scopes  int
	current uint64
}

func (s *memos) mark() mark { return mark{len(s.scopes), s.current} }

// back drops the scopes since a mark. Their numbers are never given again.
func (s *memos) back(to mark) {
	clear(s.scopes[to.scopes:])
	s.scopes = s.scopes[:to.scopes]
	s.current = to.current
}

func (s *memos) reset() {
	clear(s.entries)
	clear(s.scopes)
	s.scopes = s.scopes[:0]
	s.current = 0
}
