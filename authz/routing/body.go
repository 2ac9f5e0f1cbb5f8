package routing

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"strings"
	"unicode"

	"github.com/patrol-authz/patrol/authz"
)

// bodyValue reads a member of a JSON body, a text or a list of texts. A body that
// is not said to be JSON, was cut, is not JSON, or names a member twice is refused:
// the upstream could read it differently.
func bodyValue(r authz.Request, name string) ([]string, error) {
	b := r.Body()
	if b.Truncated {
		return nil, malformed("the body is too long to be read")
	}
	if !b.Present || len(b.Bytes) == 0 {
		return nil, malformed("the body is missing")
	}
	if err := saidJSON(r); err != nil {
		return nil, err
	}
	w := walk{dec: json.NewDecoder(bytes.NewReader(b.Bytes)), name: name}
	if err := w.value(strings.Split(name, "."), 0); err != nil {
		return nil, err
	}
	if _, err := w.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed("the body holds more than one JSON value")
	}
	return w.found, nil
}

// saidJSON refuses a body that the content-type says to be anything but JSON (RFC
// 8259; RFC 6839, 3.1), or says nothing of: the same bytes may be a form.
func saidJSON(r authz.Request) error {
	value, entries := r.Header("content-type")
	kind, _, err := mime.ParseMediaType(value)
	if entries == 1 && err == nil && (kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")) {
		return nil
	}
	return malformed("the body is not said to be JSON: send it with content-type: application/json")
}

const (
	maxDepth = 64
	// maxListed bounds a list of texts, of which one may be there often.
	maxListed = 1000
)

// walk goes over a JSON value, keeps what a member of it holds, and refuses
// repeated keys: readers differ about which one counts. Keys are compared without
// case, as Go's and other readers match them so.
type walk struct {
	dec   *json.Decoder
	name  string // of the member, for what is said
	found []string
}

var (
	errNotJSON  = malformed("the body is no valid JSON")
	errNoObject = malformed("the body is no JSON object")
)

// value takes one value. path leads to the member within it; nil where it is not
// within.
func (w *walk) value(path []string, depth int) error {
	if depth > maxDepth {
		return malformed("the body is nested too deeply")
	}
	token, err := w.dec.Token()
	if err != nil {
		return errNotJSON
	}
	wanted := path != nil && len(path) == 0
	switch token {
	case json.Delim('{'):
		if wanted {
			return w.noText()
		}
		return w.object(path, depth)
	case json.Delim('['):
		if len(path) > 0 {
			return errNoObject
		}
		return w.list(wanted, depth)
	}
	switch text, ok := token.(string); {
	case token == nil && depth > 0: // null is as good as nothing
	case len(path) > 0:
		return errNoObject
	case wanted && ok:
		w.found = append(w.found, text)
	case wanted:
		return w.noText()
	}
	return nil
}

// blank is what readers may take off a name.
func blank(c rune) bool { return c <= ' ' || unicode.IsSpace(c) }

func (w *walk) noText() error { return malformed("the body's " + w.name + " is no text") }

func (w *walk) object(path []string, depth int) error {
	seen := map[string]bool{}
	for w.dec.More() {
		token, err := w.dec.Token()
		if err != nil {
			return errNotJSON
		}
		key, _ := token.(string)
		lower := strings.ToLower(key)
		if seen[lower] {
			return malformed("the body names a member twice")
		}
		seen[lower] = true
		var within []string
		if len(path) > 0 && strings.EqualFold(strings.TrimFunc(key, blank), path[0]) {
			if key != path[0] {
				return malformed("the body holds a member that may be read as " + path[0] + ": write it so")
			}
			within = path[1:]
		}
		if err := w.value(within, depth+1); err != nil {
			return err
		}
	}
	return w.end()
}

func (w *walk) list(wanted bool, depth int) error {
	for w.dec.More() {
		if !wanted {
			if err := w.value(nil, depth+1); err != nil {
				return err
			}
			continue
		}
		token, err := w.dec.Token()
		if err != nil {
			return errNotJSON
		}
		text, ok := token.(string)
		if !ok {
			return w.noText()
		}
		if w.found = append(w.found, text); len(w.found) > maxListed {
			return errTooMany
		}
	}
	return w.end()
}

// end takes what closes an object or a list.
func (w *walk) end() error {
	if _, err := w.dec.Token(); err != nil {
		return errNotJSON
	}
	return nil
}
