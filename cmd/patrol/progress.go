package main

import (
	"fmt"
	"os"

	"golang.org/x/term"
)

// progress tells on standard error how far long work is: on a terminal in place,
// elsewhere now and then.
type progress struct{ told int }

const (
	progressEach = 100_000
	// progressFrom is from when on it is long work.
	progressFrom = 1000
)

// show says that so many were "imported", or whatever the word is.
func (p *progress) show(word string, n int) {
	terminal := term.IsTerminal(int(os.Stderr.Fd()))
	switch {
	case terminal && n > progressFrom:
		fmt.Fprintf(os.Stderr, "\r%s %d\x1b[K", word, n)
		p.told = n
	case !terminal && n/progressEach > p.told/progressEach:
		fmt.Fprintf(os.Stderr, "%s %d\n", word, n)
		p.told = n
	case n < p.told:
		p.told = 0
	}
}

// end leaves the line on which progress was told.
func (p *progress) end() {
	if p.told > 0 && term.IsTerminal(int(os.Stderr.Fd())) {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	p.told = 0
}
