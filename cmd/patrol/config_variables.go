package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// variable is ${NAME} or ${NAME:-default}; a dollar sign without braces is itself.
var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:-)([^}]*))?\}`)

// unset is a variable without a default that the environment does not have.
type unset struct {
	name         string
	line, column int
}

// expand replaces ${NAME} by the environment, and ${NAME:-default} by the
// default where the environment has no such variable. A variable that is set,
// if to nothing, is set. One that is unset stays as it is written, and is told
// unless it stands in a comment: nothing is not what was meant, and would leave
// out rules as if nobody had asked for them.
func expand(text string) (string, []unset) {
	var missing []unset
	var out, marked strings.Builder
	mark := "patrol_unset_"
	for strings.Contains(text, mark) {
		mark += "_"
	}
	both := func(s string) { out.WriteString(s); marked.WriteString(s) }
	end := 0
	for _, m := range variable.FindAllStringSubmatchIndex(text, -1) {
		both(text[end:m[0]])
		end = m[1]
		name := text[m[2]:m[3]]
		value, set := os.LookupEnv(name)
		switch {
		case set:
			both(value)
		case m[4] >= 0:
			both(text[m[6]:m[7]])
		default:
			before := text[:m[0]]
			missing = append(missing, unset{name, strings.Count(before, "\n") + 1, m[0] - strings.LastIndexByte(before, '\n')})
			out.WriteString(text[m[0]:m[1]])
			fmt.Fprintf(&marked, "%s%dx", mark, len(missing)-1)
		}
	}
	both(text[end:])
	if len(missing) == 0 {
		return out.String(), nil
	}
	// A marker is a plain word wherever it stands, so that the tokens of YAML tell
	// what is a comment.
	var told []unset
	var content strings.Builder
	for _, t := range lexer.Tokenize(marked.String()) {
		if t.Type != token.CommentType {
			content.WriteString(t.Origin + "\n")
		}
	}
	for i, u := range missing {
		if strings.Contains(content.String(), fmt.Sprintf("%s%dx", mark, i)) {
			told = append(told, u)
		}
	}
	return out.String(), told
}

// unsetError says of variables where they stand, and what to do.
func unsetError(missing []unset) error {
	if len(missing) == 0 {
		return nil
	}
	said := make([]string, len(missing))
	for i, u := range missing {
		said[i] = fmt.Sprintf("[%d:%d] the environment has no variable %s", u.line, u.column, u.name)
	}
	name := missing[0].name
	return fmt.Errorf("%s: set it, or write ${%s:-VALUE} for a value where it is not set, ${%s:-} where nothing is meant", strings.Join(said, ", "), name, name)
}
