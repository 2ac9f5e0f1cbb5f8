package compiled

// Lazy is an object whose members are made when a program asks for them: an
// input that need not be built.
//
// Get and Fill must agree, and give the same each time within one evaluation.
// The texts and containers they give must last until the evaluation's end.
type Lazy interface {
	// Get returns a member; undefined where there is none.
	Get(key string) Value
	// Fill puts all members, for a program that iterates over the object,
	// compares it or hands it to one of OPA's built-ins.
	Fill(put func(key string, v Value))
}

// Lazy makes an object of l that lasts as long as the evaluation.
func (m *Machine) Lazy(l Lazy) Value {
	t := m.newTable(false)
	t.lazy = l
	return objectValue(t)
}

// Texts makes an array of strings that lasts as long as the evaluation.
func (m *Machine) Texts(list []string) Value {
	a := m.newArray(len(list))
	for _, s := range list {
		a.elems = append(a.elems, Text(s))
	}
	return arrayValue(a)
}
