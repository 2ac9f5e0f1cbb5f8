package wire

import (
	"errors"
	"math"
	"unicode/utf8"
)

// Wire types.
const (
	typeVarint     = 0
	typeFixed64    = 1
	typeBytes      = 2
	typeStartGroup = 3
	typeEndGroup   = 4
	typeFixed32    = 5
)

// The limits of Go's protobuf: of a field's number in a message and within a
// group that is unknown, and of how deep messages nest.
const (
	maxNumber      = 1<<29 - 1
	maxGroupNumber = math.MaxInt32
	maxDepth       = 10_000
)

var (
	errMalformed = errors.New("the message is not well-formed protobuf")
	errUTF8      = errors.New("a text of the message is not UTF-8")
	errTooDeep   = errors.New("the message is nested too deeply")
)

// ErrTooMany is told of a message with more headers, or more pieces of metadata, than
// are looked at. The generated code would take it: 28 bytes are kept of an entry that
// takes 2 of the message, and each look at a header goes over all.
var ErrTooMany = errors.New("the message has too many headers or pieces of metadata")

// maxEntries bounds them, far above what proxies let through.
const maxEntries = 10_000

// decoder goes over the bytes of a message.
type decoder struct{ *Request }

// message checks a message and notes its fields. depth is how many levels may
// still be opened, this one included.
func (d *decoder) message(m *message, at, end, depth int) error {
	if depth--; depth < 0 {
		return errTooDeep
	}
	for at < end {
		tag, next := d.varint(at, end)
		number := tag >> 3
		if next < 0 || number < 1 || number > maxNumber {
			return errMalformed
		}
		var f field
		if number < uint64(len(m.fields)) {
			f = m.fields[number]
		}
		var err error
		switch kind := tag & 7; {
		case kind == typeBytes && f.kind >= text:
			at, err = d.delimited(m, f, int(number), next, end, depth)
		case kind == typeVarint && f.kind == varint:
			var v uint64
			if v, at = d.varint(next, end); at >= 0 && m.role != noRole {
				d.noteNumber(m.role, int(number), v)
			}
		case f.kind == mapEntry && depth == 0:
			err = errTooDeep // the generated code looks at this before the type
		default:
			at = d.skip(number, kind, next, end, maxDepth)
		}
		if err != nil {
			return err
		}
		if at < 0 {
			return errMalformed
		}
	}
	return nil
}

// delimited takes a field with a length: text, bytes or a message. It returns
// where the next one is, or less than 0.
func (d *decoder) delimited(m *message, f field, number, at, end, depth int) (int, error) {
	length, from := d.varint(at, end)
	if from < 0 || length > uint64(end-from) {
		return -1, nil
	}
	to := from + int(length)
	switch f.kind {
	case submessage, mapEntry:
		if m.role != noRole {
			d.open(m.role, number)
		}
		if m.role == attributesRole && number == fieldMetadata && from < to {
			d.metadata = append(d.metadata, span{uint32(from), uint32(to)}) //nolint:gosec // Parse bounds the length.
		}
		if len(d.headers) > maxEntries || len(d.metadata) > maxEntries {
			return -1, ErrTooMany
		}
		if f.message.role == entryRole && depth > 0 && d.plainEntry(from, to) {
			return to, nil
		}
		return to, d.message(f.message, from, to, depth)
	case text:
		if !utf8.ValidString(d.bytes[from:to]) {
			return -1, errUTF8
		}
	}
	if m.role != noRole {
		d.note(m.role, number, span{uint32(from), uint32(to)}) //nolint:gosec // Parse bounds the length.
	}
	return to, nil
}

// plainEntry takes an entry in the way that every encoder writes it: a short
// key, then a value, and nothing else. It is most of a message.
func (d *decoder) plainEntry(from, to int) bool {
	if to-from < 4 || d.bytes[from] != 1<<3|typeBytes || d.bytes[from+1] >= 0x80 {
		return false
	}
	name := span{uint32(from + 2), uint32(from + 2 + int(d.bytes[from+1]))} //nolint:gosec // Parse bounds the length.
	at := int(name.to)
	if at+2 > to || d.bytes[at] != 2<<3|typeBytes {
		return false
	}
	length, at := d.varint(at+1, to)
	if at < 0 || length != uint64(to-at) {
		return false
	}
	value := span{uint32(at), uint32(to)} //nolint:gosec // Parse bounds the length.
	if !utf8.ValidString(d.text(name)) || !utf8.ValidString(d.text(value)) {
		return false
	}
	h := &d.headers[len(d.headers)-1]
	h.name, h.value = name, value
	return true
}

// varint reads a number of at most ten bytes and 64 bits. It returns where the
// next byte is, or less than 0.
func (d *decoder) varint(at, end int) (uint64, int) {
	if at < end && d.bytes[at] < 0x80 {
		return uint64(d.bytes[at]), at + 1
	}
	var v uint64
	for shift := 0; at < end && shift < 64; shift += 7 {
		c := d.bytes[at]
		at++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if shift == 63 && c > 1 {
				return 0, -1
			}
			return v, at
		}
	}
	return 0, -1
}

// skip goes over an unknown field's value. It returns where the next field is,
// or less than 0.
func (d *decoder) skip(number, kind uint64, at, end, depth int) int {
	switch kind {
	case typeVarint:
		_, at = d.varint(at, end)
		return at
	case typeFixed32:
		return within(at+4, end)
	case typeFixed64:
		return within(at+8, end)
	case typeBytes:
		length, from := d.varint(at, end)
		if from < 0 || length > uint64(end-from) {
			return -1
		}
		return from + int(length)
	case typeStartGroup:
		return d.skipGroup(number, at, end, depth)
	default:
		return -1
	}
}

func (d *decoder) skipGroup(number uint64, at, end, depth int) int {
	if depth < 0 {
		return -1
	}
	for {
		tag, next := d.varint(at, end)
		inner := tag >> 3
		if next < 0 || inner < 1 || inner > maxGroupNumber {
			return -1
		}
		if tag&7 == typeEndGroup {
			if inner != number {
				return -1
			}
			return next
		}
		if at = d.skip(inner, tag&7, next, end, depth-1); at < 0 {
			return -1
		}
	}
}

func within(at, end int) int {
	if at > end {
		return -1
	}
	return at
}
