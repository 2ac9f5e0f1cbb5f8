package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
)

// TokenImportCmd imports tokens.
type TokenImportCmd struct {
	File string `arg:"" help:"A file, or - for standard input: a JSON object a line, or one JSON array of them."`
}

// Help gives an example.
func (*TokenImportCmd) Help() string {
	return "Each object holds sha256 (of the secret, in hex), owner, display_name and kind; it may hold grants, last4, created_at, expires_at, purpose and contact. " +
		"A token that is there already takes the new description; what was decided on it stays.\n\n" +
		example(
			"patrol token import tokens.jsonl",
			`echo '{"sha256":"3f0a…","owner":"bob","display_name":"ci","kind":"read"}' | patrol token import -`,
		)
}

// Run imports them.
func (c *TokenImportCmd) Run(ctx context.Context, cli *CLI) error {
	name, r := c.File, io.Reader(os.Stdin)
	if c.File == "-" {
		name = "standard input"
	} else {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		r = f
	}
	tokens, lines, err := readImport(r)
	if err != nil {
		return fmt.Errorf("%s: nothing was imported:\n%w", name, err)
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	n, err := cl.ImportTokens(ctx, tokens)
	var refusal *client.Error
	if errors.As(err, &refusal) && len(refusal.Fields) > 0 {
		return fmt.Errorf("%s: nothing was imported:\n%s", name, byLine(refusal.Fields, lines))
	}
	if err != nil {
		return fmt.Errorf("%s: nothing was imported: %w", name, err)
	}
	return cli.print(admin.Imported{Imported: n}, func(t *table) { t.row("imported", n) })
}

// maxBadLines is how many bad lines are told at once.
const maxBadLines = 50

// readImport reads JSON lines or an array, names every bad line, and tells the
// line on which each token begins.
func readImport(r io.Reader) (tokens []admin.ImportedToken, lines []int, err error) {
	in := bufio.NewReader(r)
	begin, err := firstByte(in)
	if err != nil {
		return nil, nil, err
	}
	if begin == '[' {
		return readArray(in)
	}
	var bad []error
	scan := bufio.NewScanner(in)
	scan.Buffer(nil, 4<<20)
	for n := 1; scan.Scan() && len(bad) < maxBadLines; n++ {
		text := bytes.TrimSpace(scan.Bytes())
		if len(text) == 0 {
			continue
		}
		t, err := readToken(text)
		if err != nil {
			bad = append(bad, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		tokens, lines = append(tokens, *t), append(lines, n)
	}
	if err := scan.Err(); err != nil {
		bad = append(bad, err)
	}
	if len(tokens) == 0 && len(bad) == 0 {
		bad = append(bad, errors.New("holds no token"))
	}
	return tokens, lines, errors.Join(bad...)
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

func readToken(text []byte) (*admin.ImportedToken, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var t admin.ImportedToken
	if err := dec.Decode(&t); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("holds more than one object")
	}
	return &t, nil
}

func readArray(in io.Reader) (tokens []admin.ImportedToken, lines []int, err error) {
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, nil, err
	}
	lineAt := func(offset int64) int { return 1 + bytes.Count(text[:offset], []byte("\n")) }
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil { // the bracket
		return nil, nil, err
	}
	var bad []error
	for dec.More() && len(bad) < maxBadLines {
		start := dec.InputOffset()
		for start < int64(len(text)) && strings.ContainsRune(", \t\r\n", rune(text[start])) {
			start++
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			bad = append(bad, fmt.Errorf("line %d: %w", lineAt(start), err))
			return nil, nil, errors.Join(bad...)
		}
		t, err := readToken(raw)
		if err != nil {
			bad = append(bad, fmt.Errorf("line %d: %w", lineAt(start), err))
			continue
		}
		tokens, lines = append(tokens, *t), append(lines, lineAt(start))
	}
	if len(tokens) == 0 && len(bad) == 0 {
		bad = append(bad, errors.New("holds no token"))
	}
	return tokens, lines, errors.Join(bad...)
}

var ofToken = regexp.MustCompile(`tokens\[(\d+)\]`)

// byLine says on which lines the tokens are that the server refuses: what it
// calls tokens[0].kind is "line 1: kind" here.
func byLine(fields []client.Field, lines []int) string {
	toLines := func(text string) string {
		return ofToken.ReplaceAllStringFunc(text, func(match string) string {
			i, err := strconv.Atoi(ofToken.FindStringSubmatch(match)[1])
			if err != nil || i >= len(lines) {
				return match
			}
			return fmt.Sprintf("line %d", lines[i])
		})
	}
	told := make([]string, len(fields))
	for i, f := range fields {
		where, field, _ := strings.Cut(toLines(f.Field), ".")
		if field != "" {
			where += ": " + field
		}
		told[i] = where + ": " + toLines(f.Message)
	}
	return strings.Join(told, "\n")
}
