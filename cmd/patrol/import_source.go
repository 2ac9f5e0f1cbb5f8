package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// importSource reads the tokens of a file, one after the other: JSON lines, or
// one JSON array.
type importSource struct {
	lines *bufio.Reader // nil: an array
	line  int

	array  *json.Decoder
	breaks *lineBreaks
	tokens admin.ImportedTokens
	seen   map[[32]byte]int32 // the line of each secret's digest
}

// badLine is what is wrong with one line.
type badLine struct {
	Line    int    `json:"line"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

func (b badLine) String() string {
	if b.Field != "" {
		return fmt.Sprintf("line %d: %s: %s", b.Line, b.Field, b.Message)
	}
	return fmt.Sprintf("line %d: %s", b.Line, b.Message)
}

// newImportSource looks at what kind of file it is.
func newImportSource(r io.Reader) (*importSource, error) {
	breaks := &lineBreaks{r: withoutMark(r)}
	in := bufio.NewReaderSize(breaks, 64<<10)
	s := &importSource{lines: in, seen: map[[32]byte]int32{}}
	begin, err := firstByte(in)
	if err != nil || begin != '[' {
		breaks.off = true
		return s, err
	}
	s.lines, s.breaks, s.array = nil, breaks, json.NewDecoder(in)
	_, err = s.array.Token() // the bracket
	return s, err
}

// withoutMark leaves out the byte order mark that some editors begin a file with.
func withoutMark(r io.Reader) io.Reader {
	in := bufio.NewReader(r)
	if mark := []byte("\ufeff"); startsWith(in, mark) {
		_, _ = in.Discard(len(mark)) // they are there
	}
	return in
}

func startsWith(in *bufio.Reader, what []byte) bool {
	head, err := in.Peek(len(what))
	return err == nil && bytes.Equal(head, what)
}

// check says what is wrong with a token's text, or nil.
func (s *importSource) check(text []byte, line int) *badLine {
	t, err := s.tokens.Read(text)
	if err != nil {
		var wrong *inventory.Invalid
		if errors.As(err, &wrong) {
			return &badLine{line, wrong.Field, wrong.Problem}
		}
		return &badLine{Line: line, Message: err.Error()}
	}
	field, digits := "sha256", t.SHA256
	if digits == "" && t.Digest != "" { // one that was discovered
		field, digits = "digest", t.Digest
	}
	var sum [32]byte
	if n, err := hex.Decode(sum[:], []byte(digits)); len(digits) != 2*len(sum) || n != len(sum) || err != nil {
		return &badLine{line, field, "must be 64 hex digits"}
	}
	if first, twice := s.seen[sum]; twice {
		return &badLine{line, field, fmt.Sprintf("is that of line %d too", first)}
	}
	s.seen[sum] = int32(line) //nolint:gosec // files have fewer lines
	return nil
}

// object gives the next object's text and its line. The end is io.EOF; another
// error ends the reading too.
func (s *importSource) object() (text []byte, line int, err error) {
	if s.lines == nil {
		return s.element()
	}
	for {
		text, err := s.lines.ReadBytes('\n')
		if len(text) == 0 && err != nil {
			return nil, 0, err
		}
		s.line++
		if text = bytes.TrimSpace(text); len(text) > 0 {
			return text, s.line, nil
		}
	}
}

// element reads the next element of the array.
func (s *importSource) element() (text []byte, line int, err error) {
	if !s.array.More() {
		if end, err := s.array.Token(); err != nil || end != json.Delim(']') {
			return nil, 0, fmt.Errorf("line %d: the array does not end", s.breaks.lineAt(s.array.InputOffset()))
		}
		if _, err := s.array.Token(); !errors.Is(err, io.EOF) {
			return nil, 0, fmt.Errorf("line %d: more follows the array", s.breaks.lineAt(s.array.InputOffset()))
		}
		return nil, 0, io.EOF
	}
	var raw json.RawMessage
	err = s.array.Decode(&raw)
	line = s.breaks.lineAt(s.array.InputOffset() - int64(len(raw)))
	if err != nil {
		return nil, 0, fmt.Errorf("line %d: %w", s.breaks.lineAt(s.array.InputOffset()), err)
	}
	return raw, line, nil
}

// firstByte looks at the first byte that is no space.
func firstByte(in *bufio.Reader) (byte, error) {
	for n := 1; ; n++ {
		head, err := in.Peek(n)
		if len(head) < n {
			if errors.Is(err, io.EOF) {
				err = errors.New("holds no token")
			}
			return 0, err
		}
		if !bytes.ContainsAny(head[n-1:], " \t\r\n") {
			return head[n-1], nil
		}
	}
}

// lineBreaks remembers where lines end.
type lineBreaks struct {
	r    io.Reader
	read int64
	ends []int64
	off  bool
}

func (l *lineBreaks) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if !l.off {
		for i, c := range p[:n] {
			if c == '\n' {
				l.ends = append(l.ends, l.read+int64(i))
			}
		}
	}
	l.read += int64(n)
	return n, err
}

// lineAt is the line on which a byte stands.
func (l *lineBreaks) lineAt(offset int64) int {
	return 1 + sort.Search(len(l.ends), func(i int) bool { return l.ends[i] >= offset })
}
