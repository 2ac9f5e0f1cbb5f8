package snapshot

import "fmt"

// parts is how many texts a row may have.
const parts = 3

// text says where the texts of a row lie: one after the other in the text of
// its page. To read one is to cut a string, which allocates nothing.
type text struct {
	at   uint32
	ends [parts]uint16 // where each part ends, from at
}

func (t *text) len() int { return int(t.ends[parts-1]) }

// cut returns a part from the page's text.
func (t *text) cut(page string, part int) string {
	from, to := t.bounds(part)
	return page[from:to]
}

func (t *text) cutBytes(page []byte, part int) []byte {
	from, to := t.bounds(part)
	return page[from:to]
}

func (t *text) bounds(part int) (from, to uint32) {
	from = t.at
	if part > 0 {
		from += uint32(t.ends[part-1])
	}
	return from, t.at + uint32(t.ends[part])
}

// texted is a row that has texts.
type texted[T any] interface {
	*T
	texts() *text
}

// textRows are rows that hold no pointers, which the garbage collector need not
// look at, with their texts beside them: one string a page.
type textRows[T any, P texted[T]] struct {
	rows[T]
	page []string
}

// text reads a part of a row's text.
func (r *textRows[T, P]) text(n uint32, part int) string {
	return P(r.at(n)).texts().cut(r.page[n/pageRows], part)
}

// textEdit is a change of them under way.
type textEdit[T any, P texted[T]] struct {
	rowEdit[T]
	page   []string
	mine   bool              // the list of pages is the change's own
	open   map[uint32][]byte // the texts of pages that are being written
	unused []byte            // a buffer to be used again
}

func (r *textRows[T, P]) edit(free *[]uint32, fresh bool) textEdit[T, P] {
	return textEdit[T, P]{rowEdit: r.rows.edit(free, fresh), page: r.page, mine: fresh, open: map[uint32][]byte{}}
}

// read reads a part of a row's text.
func (e *textEdit[T, P]) read(n uint32, part int) string {
	t := P(e.at(n)).texts()
	if b, ok := e.open[n/pageRows]; ok {
		return string(t.cutBytes(b, part))
	}
	if int(n/pageRows) >= len(e.page) {
		return "" // nothing was written yet
	}
	return t.cut(e.page[n/pageRows], part)
}

// equal says whether a part of a row's text is s.
func (e *textEdit[T, P]) equal(n uint32, part int, s string) bool {
	t := P(e.at(n)).texts()
	if b, ok := e.open[n/pageRows]; ok {
		return string(t.cutBytes(b, part)) == s
	}
	return t.cut(e.page[n/pageRows], part) == s
}

// set writes a row's texts. What was there before stays until the change ends.
func (e *textEdit[T, P]) set(n uint32, all ...string) error {
	p := n / pageRows
	b, ok := e.open[p]
	if !ok {
		if int(p) < len(e.page) {
			b = append(make([]byte, 0, len(e.page[p])+256), e.page[p]...)
		} else if e.pages.fresh {
			e.seal()
			b, e.unused = e.unused[:0], nil
		}
	}
	t := P(e.write(n)).texts()
	t.at = uint32(len(b))
	for i := range parts {
		if i < len(all) {
			b = append(b, all[i]...)
		}
		end := len(b) - int(t.at)
		if end > 1<<16-1 {
			return fmt.Errorf("the texts of a row are longer than 64 KiB")
		}
		t.ends[i] = uint16(end)
	}
	e.open[p] = b
	return nil
}

// seal makes the written texts of pages strings again. What no row uses any
// more is left out once it is a quarter.
func (e *textEdit[T, P]) seal() {
	if len(e.open) == 0 {
		return
	}
	e.own()
	for p, b := range e.open {
		e.page[p] = e.packed(p, b)
		e.unused = b
	}
	clear(e.open)
}

func (e *textEdit[T, P]) packed(p uint32, b []byte) string {
	page := e.pages.write(p)
	used := 0
	for i := range page {
		used += P(&page[i]).texts().len()
	}
	if used >= len(b)-len(b)/4 {
		return string(b)
	}
	out := make([]byte, 0, used)
	for i := range page {
		t := P(&page[i]).texts()
		at := uint32(len(out))
		out = append(out, b[t.at:t.at+uint32(t.len())]...)
		t.at = at
	}
	return string(out)
}

// own makes the list of texts the change's own, one for each page.
func (e *textEdit[T, P]) own() {
	if !e.mine {
		e.page, e.mine = append(make([]string, 0, len(e.pages.list)), e.page...), true
	}
	for len(e.page) < len(e.pages.list) {
		e.page = append(e.page, "")
	}
}

// done returns the rows as changed.
func (e *textEdit[T, P]) done() textRows[T, P] {
	e.seal()
	if len(e.page) < len(e.pages.list) {
		e.own()
	}
	return textRows[T, P]{e.rowEdit.done(), e.page}
}
