package input

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// AppendJSON appends a document as JSON, as OPA shows it: sets are arrays.
// Texts, but not keys, go through text where it is not nil. It is what
// [ast.JSON] and encoding/json come to, without the values in between.
func AppendJSON(out []byte, v ast.Value, text func(string) string) ([]byte, error) {
	w := writer{out, text, nil}
	w.value(v)
	return w.out, w.err
}

type writer struct {
	out    []byte
	change func(string) string
	err    error
}

func (w *writer) value(v ast.Value) {
	switch v := v.(type) {
	case ast.Null:
		w.out = append(w.out, "null"...)
	case ast.Boolean:
		w.out = strconv.AppendBool(w.out, bool(v))
	case ast.Number:
		w.out = append(w.out, v...)
	case ast.String:
		w.quoteText(string(v))
	case *ast.Array:
		w.list('[', ']', v.Len(), func(i int) { w.value(v.Elem(i).Value) })
	case ast.Set:
		all := v.Slice()
		w.list('[', ']', len(all), func(i int) { w.value(all[i].Value) })
	case ast.Object:
		w.object(v)
	default:
		w.fail(fmt.Errorf("%s is no JSON value", ast.ValueName(v)))
	}
}

func (w *writer) list(open, end byte, n int, each func(i int)) {
	w.out = append(w.out, open)
	for i := range n {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		each(i)
	}
	w.out = append(w.out, end)
}

func (w *writer) object(o ast.Object) {
	w.open()
	o.Foreach(func(k, v *ast.Term) {
		if key, ok := k.Value.(ast.String); ok {
			w.name(string(key))
		} else {
			w.name(k.String())
		}
		w.value(v.Value)
	})
	w.end()
}

func (w *writer) quoteText(s string) {
	if w.change != nil {
		s = w.change(s)
	}
	w.quote(s)
}

// quote writes a text; one of plain characters as it is.
func (w *writer) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				w.fail(err)
			}
			w.out = append(w.out, quoted...)
			return
		}
	}
	w.out = append(append(append(w.out, '"'), s...), '"')
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}
