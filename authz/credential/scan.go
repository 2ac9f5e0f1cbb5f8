package credential

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// Found is an issued secret in a text. The secret itself is not kept.
type Found struct {
	Line   int    `json:"line"`   // from 1
	Column int    `json:"column"` // in bytes, from 1
	Last4  string `json:"last4"`
}

// ErrBinary says that a text is none: it has a NUL byte in its beginning.
var ErrBinary = errors.New("a binary file")

const (
	secretLength = len(Prefix) + bodyLength + checksumLength
	// binaryProbe is how much of a text is looked at for a NUL byte, as git does.
	binaryProbe = 8000
	scanBuffer  = 64 << 10
)

// Scan reads a text to its end and tells found of each issued secret in it
// whose checksum is right, so that look-alikes are not told. It holds no more
// than a buffer of the text.
func Scan(in io.Reader, found func(Found)) error {
	r := bufio.NewReaderSize(in, scanBuffer)
	head, err := r.Peek(binaryProbe)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return ErrBinary
	}
	s := scanner{line: 1, column: 1, found: found}
	// The end of each piece is looked at again with the next: a secret may lie
	// across the two.
	text := make([]byte, 0, scanBuffer+secretLength)
	for {
		n, err := r.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return err
		}
		used := s.scan(text, end)
		text = text[:copy(text, text[used:])]
		if end {
			return nil
		}
	}
}

// Holds says whether a text holds an issued secret, as [Scan] finds them, or one
// within a longer word.
func Holds(text string) bool {
	for {
		at := strings.Index(text, Prefix)
		if at < 0 || len(text)-at < secretLength {
			return false
		}
		text = text[at:]
		if Valid(text[:secretLength]) {
			return true
		}
		text = text[1:]
	}
}

type scanner struct {
	line, column int
	found        func(Found)
	inWord       bool // the byte before belongs to a word
}

// scan looks at a piece and says how much of it is done with.
func (s *scanner) scan(text []byte, end bool) int {
	for i := 0; ; {
		at := bytes.IndexByte(text[i:], Prefix[0])
		stop := len(text)
		if !end {
			stop = max(i, len(text)-secretLength) // what is behind may go on in the next piece
		}
		if at < 0 || i+at >= stop {
			s.pass(text[i:stop])
			return stop
		}
		s.pass(text[i : i+at])
		i += at
		if candidate := text[i:]; !s.inWord && len(candidate) >= secretLength && Valid(string(candidate[:secretLength])) && endsWord(candidate[secretLength:]) {
			s.found(Found{Line: s.line, Column: s.column, Last4: string(candidate[secretLength-4 : secretLength])})
			s.pass(candidate[:secretLength])
			i += secretLength
			continue
		}
		s.pass(text[i : i+1])
		i++
	}
}

// pass counts lines and columns of what is done with.
func (s *scanner) pass(text []byte) {
	if len(text) == 0 {
		return
	}
	if n := bytes.Count(text, []byte{'\n'}); n > 0 {
		s.line += n
		s.column = len(text) - bytes.LastIndexByte(text, '\n')
	} else {
		s.column += len(text)
	}
	s.inWord = word(text[len(text)-1])
}

// endsWord says whether a secret ends where the rest of the text begins.
func endsWord(rest []byte) bool { return len(rest) == 0 || !word(rest[0]) }

func word(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
