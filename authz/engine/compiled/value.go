package compiled

import "unsafe"

// Kind is the type of a value. Kinds are numbered in the order in which OPA
// sorts values of different types, except that Int and Num are both numbers.
type Kind uint8

// The kinds. The zero Kind is that of the zero Value: undefined.
const (
	Undefined Kind = iota
	Null
	Bool
	Int // an integer that fits into 56 bits
	Num // any other number, as its text
	Str
	Arr
	Obj
	Set
)

// Value is a Rego value in 16 bytes. The zero Value is undefined.
//
// The top byte of w is the kind, the rest a payload: the boolean, the integer,
// or the length of a text. p points at the text's bytes or at the container.
// This file is the only one that uses package unsafe, and it does three things
// with it: text as pointer and length, and a typed pointer to an array or a
// table.
type Value struct {
	p unsafe.Pointer
	w uint64
}

const (
	kindShift = 56
	payload   = 1<<kindShift - 1
)

func word(k Kind, n uint64) uint64 { return uint64(k)<<kindShift | n&payload }

// The scalar constants.
var (
	NullValue = Value{w: word(Null, 0)}
	False     = Value{w: word(Bool, 0)}
	True      = Value{w: word(Bool, 1)}
	EmptyText = Value{w: word(Str, 0)}
)

// Kind returns the value's type.
func (v Value) Kind() Kind { return Kind(v.w >> kindShift) }

// Defined says whether there is a value at all.
func (v Value) Defined() bool { return v.w != 0 }

// IsTrue says whether the value is the boolean true.
func (v Value) IsTrue() bool { return v.w == True.w }

// Boolean returns a boolean as a value.
func Boolean(b bool) Value {
	if b {
		return True
	}
	return False
}

// Text returns a string as a value. It shares the string's bytes.
func Text(s string) Value {
	return Value{unsafe.Pointer(unsafe.StringData(s)), word(Str, uint64(len(s)))}
}

// Str returns the text of a string, or of a number of the kind [Num]. It is
// for values of these kinds only.
func (v Value) Str() string { return unsafe.String((*byte)(v.p), int(v.w&payload)) }

// Int returns the integer of a value of the kind [Int].
func (v Value) Int() int64 { return int64(v.w<<(64-kindShift)) >> (64 - kindShift) }

// numberText is a number that is no Int.
func numberText(s string) Value {
	return Value{unsafe.Pointer(unsafe.StringData(s)), word(Num, uint64(len(s)))}
}

func arrayValue(a *array) Value  { return Value{unsafe.Pointer(a), word(Arr, 0)} }
func objectValue(t *table) Value { return Value{unsafe.Pointer(t), word(Obj, 0)} }
func setValue(t *table) Value    { return Value{unsafe.Pointer(t), word(Set, 0)} }

// tableValue is an object or a set, by what the table is.
func tableValue(t *table) Value {
	if t.set {
		return setValue(t)
	}
	return objectValue(t)
}

func (v Value) array() *array { return (*array)(v.p) }
func (v Value) table() *table { return (*table)(v.p) }

// same says whether two values are the same word and pointer: equal without
// looking further.
func same(a, b Value) bool { return a.w == b.w && a.p == b.p }
