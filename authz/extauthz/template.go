package extauthz

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
)

// variable is a text of an answer that differs between requests.
type variable int8

const (
	decisionID variable = iota
	requestID
	sentence
	link
	sentenceJSON // as JSON has it, and so on
	linkJSON
	sentenceHTML
	linkHTML
	details
	warning
	warning2
	organization
	token
	owner
	shown
	policy
	revision
	permission
	approvalID
	approvalState
	variables          // how many there are
	fixed     variable = -1
)

type values [variables]string

// writing is how the body writes a text: as it is, in JSON, in HTML. Each is a
// pair of variables further.
type writing int8

const (
	plainWriting writing = 2 * iota
	jsonWriting
	htmlWriting
)

// mark stands for a variable in an answer that a template is made of. No way of
// writing a text (in a header, a URL, JSON) changes it.
func (v variable) mark() string { return "qZv" + string(rune('a'+v)) + "Zq" }

const markLength = 6

// template is an encoded answer with gaps: the status and what is always the
// same are there in bytes, and only values are written for a request.
type template struct {
	status   []byte
	outer    byte // tagDenied or tagOK
	items    []item
	metadata []item
}

// item is a field of the response or of the metadata.
type item struct {
	kind itemKind
	// literal is the whole field, or what stands before the value in it.
	literal []byte
	tag     byte
	parts   []part
	size    int // of the fixed parts
}

type itemKind uint8

const (
	literalItem itemKind = iota // written as it is
	headerItem                  // HeaderValueOption{HeaderValue{key, value}}
	entryItem                   // a map's entry {key, Value{string_value}}
	textItem                    // a text
)

type part struct {
	text string
	v    variable
}

// maxItems of a response or of metadata, beyond which nothing is gained.
const maxItems = 24

// newTemplate makes a template of an answer that holds marks; nil where it
// holds what a template has no gap for.
func newTemplate(a *answer.Answer, body writing) *template {
	t := &template{status: appendField(nil, tagStatus, statusOf(a)), outer: tagOK}
	if a.Allowed {
		if len(a.QuerySet)+len(a.QueryRemove) > 0 {
			return nil
		}
		t.headers(tagOKHeaders, a.Upstream)
		t.literal(appendTexts(nil, tagOKRemove, a.Remove))
		t.headers(tagOKResponseHeaders, a.ResponseHeaders)
	} else {
		t.outer = tagDenied
		plain := *a
		plain.Headers, plain.Body = nil, ""
		t.literal(deniedResponse(&plain))
		t.headers(tagDeniedHeaders, a.Headers)
		t.text(tagDeniedBody, a.Body, body)
	}
	for _, key := range []string{"decision_id", "organization", "owner", "policy", "reason", "revision", "token_id"} {
		if text, ok := a.Metadata[key].(string); ok {
			i := item{kind: entryItem, tag: tagFirst, literal: protowire.AppendString([]byte{tagFirst}, key)}
			i.split(text, plainWriting)
			t.metadata = append(t.metadata, i)
			delete(a.Metadata, key)
		}
	}
	if len(a.Metadata) > 0 || len(t.items) > maxItems || len(t.metadata) > maxItems {
		return nil
	}
	return t
}

func (t *template) literal(b []byte) {
	if last := len(t.items) - 1; last >= 0 && t.items[last].kind == literalItem {
		t.items[last].literal = append(t.items[last].literal, b...)
		return
	}
	t.items = append(t.items, item{literal: b})
}

func (t *template) headers(tag byte, headers []authz.HeaderValue) {
	for _, h := range headers {
		i := item{kind: headerItem, tag: tag, literal: appendText(nil, tagFirst, h.Name)}
		if i.split(h.Value, plainWriting); i.isFixed() {
			t.literal(appendHeaders(nil, tag, []authz.HeaderValue{h}))
		} else {
			t.items = append(t.items, i)
		}
	}
}

func (t *template) text(tag byte, text string, body writing) {
	i := item{kind: textItem, tag: tag}
	if i.split(text, body); i.isFixed() {
		t.literal(appendText(nil, tag, text))
	} else {
		t.items = append(t.items, i)
	}
}

// split finds the marks in a text.
func (i *item) split(text string, in writing) {
	for text != "" {
		at, v := nextMark(text)
		if at > 0 {
			i.parts = append(i.parts, part{text[:at], fixed})
			i.size += at
		}
		if v == fixed {
			return
		}
		if v == sentence || v == link {
			v += variable(in)
		}
		i.parts = append(i.parts, part{v: v})
		text = text[at+markLength:]
	}
}

func nextMark(text string) (at int, v variable) {
	for v := range variables {
		if strings.HasPrefix(text, v.mark()) {
			return 0, v
		}
	}
	at, found := len(text), fixed
	for v := range variables {
		if i := strings.Index(text, v.mark()); i >= 0 && i < at {
			at, found = i, v
		}
	}
	return at, found
}

func (i *item) isFixed() bool { return len(i.parts) == 0 || len(i.parts) == 1 && i.parts[0].v == fixed }

// fill writes the answer with values in its gaps: in the room, which is empty, where
// that suffices.
func (t *template) fill(v *values, room []byte) []byte {
	var lengths, metadataLengths [maxItems]int
	response := measure(t.items, v, &lengths)
	metadata := measure(t.metadata, v, &metadataLengths)
	out := slices.Grow(room, len(t.status)+delimited(response)+delimited(metadata))
	out = append(out, t.status...)
	out = protowire.AppendVarint(append(out, t.outer), uint64(response)) //nolint:gosec // A length.
	out = write(out, t.items, v, &lengths)
	out = protowire.AppendVarint(append(out, tagMetadata), uint64(metadata)) //nolint:gosec // A length.
	return write(out, t.metadata, v, &metadataLengths)
}

// delimited is how long a field of some length is with its tag, which has one
// byte here.
func delimited(length int) int { return 1 + protowire.SizeBytes(length) }

// measure gives the length of all items, and keeps that of each value.
func measure(items []item, v *values, lengths *[maxItems]int) (total int) {
	for n := range items {
		i := &items[n]
		length := i.size
		for _, p := range i.parts {
			if p.v != fixed {
				length += len(v[p.v])
			}
		}
		lengths[n] = length
		switch i.kind {
		case literalItem:
			total += len(i.literal)
		case headerItem:
			total += delimited(delimited(len(i.literal) + delimited(length)))
		case entryItem:
			total += delimited(len(i.literal) + delimited(delimited(length)))
		case textItem:
			total += delimited(length)
		}
	}
	return total
}

func write(out []byte, items []item, v *values, lengths *[maxItems]int) []byte {
	for n := range items {
		i, length := &items[n], lengths[n]
		switch i.kind {
		case literalItem:
			out = append(out, i.literal...)
			continue
		case headerItem:
			header := len(i.literal) + delimited(length)
			out = appendOpen(out, i.tag, delimited(header))
			out = appendOpen(out, tagFirst, header)
			out = append(out, i.literal...)
			out = appendOpen(out, tagSecond, length)
		case entryItem:
			out = appendOpen(out, i.tag, len(i.literal)+delimited(delimited(length)))
			out = append(out, i.literal...)
			out = appendOpen(out, tagSecond, delimited(length))
			out = appendOpen(out, tagText, length)
		case textItem:
			out = appendOpen(out, i.tag, length)
		}
		for _, p := range i.parts {
			if p.v == fixed {
				out = append(out, p.text...)
			} else {
				out = append(out, v[p.v]...)
			}
		}
	}
	return out
}

// appendOpen writes a tag and the length of what follows.
func appendOpen(out []byte, tag byte, length int) []byte {
	return protowire.AppendVarint(append(out, tag), uint64(length)) //nolint:gosec // A length.
}
