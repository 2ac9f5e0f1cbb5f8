package compiled

// A call that stands in a function, or in an iteration, asks OPA the same question
// over and over: to decode the same token, to match the same pattern. Within one
// evaluation the answer is the same, so that a call asks once. The same call
// elsewhere, as in another rule, is another one.

// remembered is the answer of a built-in.
type remembered struct {
	builtin int
	args    [rememberedArguments]Value
	n       int
	value   Value // undefined, where that was the answer
}

const (
	// rememberedArguments is the most arguments of an answer that is kept.
	rememberedArguments = 4
	// mostRemembered bounds the search, which is one by one.
	mostRemembered = 16
)

// recollect finds an answer; nil where the question is new.
func (m *Machine) recollect(builtin int, args []Value) *remembered {
	for i := range m.remembered {
		r := &m.remembered[i]
		if r.builtin == builtin && r.n == len(args) && identical(r.args[:r.n], args) {
			return r
		}
	}
	return nil
}

// remember keeps an answer, if there is room.
func (m *Machine) remember(builtin int, args []Value, v Value) {
	if len(args) > rememberedArguments || len(m.remembered) >= mostRemembered {
		return
	}
	r := remembered{builtin: builtin, n: len(args), value: v}
	copy(r.args[:], args)
	for i := range args {
		if a := r.args[i]; a.Kind() > Str && !isFrozen(a) {
			return // it might be written to later
		}
	}
	m.remembered = append(m.remembered, r)
}

// identical says whether arguments are the same to any built-in: the same
// texts, the same numbers in the same writing, the same containers.
func identical(a, b []Value) bool {
	for i := range a {
		if same(a[i], b[i]) {
			continue
		}
		if k := a[i].Kind(); (k != Str && k != Num) || a[i].w != b[i].w || a[i].Str() != b[i].Str() {
			return false
		}
	}
	return true
}

func isFrozen(v Value) bool {
	switch v.Kind() {
	case Arr:
		return v.array().frozen
	case Obj, Set:
		return v.table().frozen
	}
	return true
}
