package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
)

// TokenImportCmd imports tokens.
type TokenImportCmd struct {
	File        string `arg:"" help:"A file, or - for standard input: a JSON object a line, or one JSON array of them."`
	SkipInvalid bool   `help:"Leave out the lines that are wrong, and list them; without it nothing is imported where one is."`
	DryRun      bool   `help:"Only say what is wrong."`
}

// Help gives an example.
func (*TokenImportCmd) Help() string {
	return "Each object holds sha256 (of the secret, in hex) or a discovered digest, owner, display_name and kind; it may hold grants, last4, created_at, expires_at, purpose and contact. " +
		"A token that is there already takes the new description; what was decided on it stays, so that importing a file again does no harm. " +
		"A large file is checked as a whole first, then imported in parts.\n\n" +
		example(
			"patrol token import tokens.jsonl",
			"patrol token import tokens.jsonl --skip-invalid -o json",
			`echo '{"sha256":"3f0a…","owner":"bob","display_name":"ci","kind":"read"}' | patrol token import -`,
		)
}

// importPart is how many tokens are sent at once, the most that the server takes;
// other changes have their turn in between.
const importPart = admin.MaxImport

// maxBadLines is how many bad lines people are told.
const maxBadLines = 50

// importReport is what came of an import.
type importReport struct {
	Imported int       `json:"imported"`
	Skipped  int       `json:"skipped"`
	DryRun   bool      `json:"dry_run,omitempty"`
	Invalid  []badLine `json:"invalid,omitempty"`
}

// Run imports them.
func (c *TokenImportCmd) Run(ctx context.Context, cli *CLI) error {
	name, file, done, err := c.open()
	if err != nil {
		return err
	}
	defer done()
	cl, err := cli.client()
	if err != nil {
		return err
	}
	i := &importer{client: cl, name: name, file: file, skip: c.SkipInvalid, bad: map[int]badLine{}}
	// The whole is checked before the first part is sent.
	before, err := file.Stat()
	if err == nil {
		err = i.pass(ctx, true)
	}
	if err == nil && !c.DryRun && (c.SkipInvalid || len(i.bad) == 0) {
		if err = unchanged(file, before); err == nil {
			err = i.pass(ctx, false)
		}
	}
	if err != nil || len(i.bad) > 0 && !c.SkipInvalid {
		return i.failed(err)
	}
	i.progress.end()
	if len(i.bad) > 0 {
		fmt.Fprintf(os.Stderr, "%s: left out:\n%s\n", name, strings.Join(i.told(), "\n"))
	}
	report := importReport{Imported: i.sent, Skipped: len(i.bad), DryRun: c.DryRun, Invalid: i.sorted()}
	return cli.print(report, func(t *table) {
		if c.DryRun {
			t.row("would be imported", report.Imported)
		} else {
			t.row("imported", report.Imported)
		}
		if report.Skipped > 0 {
			t.row("skipped", report.Skipped)
		}
	})
}

// open opens the file. Standard input is read twice, so it goes to a file first:
// it holds no secrets, only digests of them.
func (c *TokenImportCmd) open() (name string, f *os.File, done func(), err error) {
	if c.File != "-" {
		f, err = os.Open(c.File)
		return c.File, f, func() { f.Close() }, err
	}
	f, err = os.CreateTemp("", "patrol-import-*")
	if err != nil {
		return "", nil, nil, err
	}
	done = func() { f.Close(); os.Remove(f.Name()) }
	if _, err = io.Copy(f, os.Stdin); err != nil {
		done()
		return "", nil, nil, fmt.Errorf("read standard input: %w", err)
	}
	return "standard input", f, done, nil
}

// unchanged says whether a file is what it was before.
func unchanged(file *os.File, before os.FileInfo) error {
	now, err := file.Stat()
	if err == nil && (now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime())) {
		err = errors.New("the file was written to while it was checked")
	}
	return err
}

// importer sends a file in parts.
type importer struct {
	client   *client.Client
	name     string
	file     *os.File
	skip     bool
	checking bool

	mu       sync.Mutex
	bad      map[int]badLine // by line
	sent     int             // in this pass
	progress progress
}

// importsAtOnce is how many parts are under way: while the server writes four
// together, it reads the next four, and the one after them is made here.
const importsAtOnce = 9

// pass sends every token that is not known to be bad, to be checked (dry) or to
// be imported. What was checked is sent as it stands in the file.
func (i *importer) pass(ctx context.Context, dry bool) error {
	if _, err := i.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	source, err := newImportSource(i.file)
	if err != nil {
		return err
	}
	i.sent, i.checking = 0, dry
	var under errgroup.Group
	under.SetLimit(importsAtOnce)
	var failed atomic.Bool
	for p := (part{}); err == nil && !failed.Load(); {
		var text []byte
		var line int
		if text, line, err = i.next(source, dry); text != nil {
			p.tokens, p.lines = append(p.tokens, text), append(p.lines, line)
		}
		if len(p.tokens) == importPart || err != nil && errors.Is(err, io.EOF) {
			full := p
			p = part{}
			under.Go(func() error {
				err := i.send(ctx, full, dry)
				failed.CompareAndSwap(false, err != nil)
				return err
			})
		}
	}
	// What is under way is waited for: it counts where it was imported.
	if ended := under.Wait(); ended != nil {
		return ended
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if i.sent == 0 && len(i.bad) == 0 {
		return errors.New("holds no token")
	}
	return nil
}

// next gives the next token's text and line; none where the line is bad.
func (i *importer) next(source *importSource, check bool) ([]byte, int, error) {
	text, line, err := source.object()
	if err != nil {
		return nil, 0, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if check {
		if bad := source.check(text, line); bad != nil {
			i.bad[line] = *bad
		}
	}
	if _, known := i.bad[line]; known {
		return nil, 0, nil
	}
	return text, line, nil
}

// part is what is sent at once.
type part struct {
	tokens [][]byte
	lines  []int
}

// send sends a part, without those that the server finds wrong.
func (i *importer) send(ctx context.Context, p part, dry bool) error {
	for len(p.tokens) > 0 {
		n, err := i.client.ImportTexts(ctx, p.tokens, dry)
		if err == nil {
			i.mu.Lock()
			defer i.mu.Unlock()
			i.sent += n
			word := "imported"
			if dry {
				word = "checked"
			}
			i.progress.show(word, i.sent)
			return nil
		}
		if refusal := (*client.Error)(nil); !errors.As(err, &refusal) || !i.strike(&p, refusal.Fields) {
			return err
		}
		if !dry && !i.skip {
			return errors.New("what was right when it was checked has changed meanwhile")
		}
	}
	return nil
}

func (i *importer) strike(p *part, fields []client.Field) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return p.strike(fields, i.bad)
}

// failed says what is wrong, and what was imported all the same.
func (i *importer) failed(err error) error {
	i.progress.end()
	done := "nothing was imported"
	if !i.checking && i.sent > 0 {
		done = fmt.Sprintf("%d tokens were imported before; import the file again once it is right", i.sent)
	}
	if err != nil {
		done += ": " + err.Error()
	}
	if len(i.bad) == 0 {
		return fmt.Errorf("%s: %s", i.name, done)
	}
	return fmt.Errorf("%s: %s\n%s", i.name, done, strings.Join(i.told(), "\n"))
}

// told are the bad lines as people are told.
func (i *importer) told() []string {
	lines := i.sorted()
	var told []string
	for _, b := range lines[:min(len(lines), maxBadLines)] {
		told = append(told, b.String())
	}
	if more := len(lines) - len(told); more > 0 {
		told = append(told, fmt.Sprintf("and %d more lines (-o json with --skip-invalid lists all)", more))
	}
	return told
}

func (i *importer) sorted() []badLine {
	return slices.SortedFunc(maps.Values(i.bad), func(a, b badLine) int { return a.Line - b.Line })
}

var ofToken = regexp.MustCompile(`tokens\[(\d+)\]`)

// strike takes out the tokens that the fields name, and notes them as bad.
func (p *part) strike(fields []client.Field, bad map[int]badLine) bool {
	lineOf := func(index string) (int, bool) {
		n, err := strconv.Atoi(index)
		if err != nil || n >= len(p.lines) {
			return 0, false
		}
		return p.lines[n], true
	}
	struck := map[int]bool{}
	for _, f := range fields {
		match := ofToken.FindStringSubmatch(f.Field)
		if match == nil {
			continue
		}
		line, ok := lineOf(match[1])
		if !ok {
			continue
		}
		_, field, _ := strings.Cut(f.Field, ".")
		message := ofToken.ReplaceAllStringFunc(f.Message, func(text string) string {
			if other, ok := lineOf(ofToken.FindStringSubmatch(text)[1]); ok {
				return fmt.Sprintf("line %d", other)
			}
			return text
		})
		bad[line], struck[line] = badLine{line, field, message}, true
	}
	kept := part{}
	for n, line := range p.lines {
		if !struck[line] {
			kept.tokens, kept.lines = append(kept.tokens, p.tokens[n]), append(kept.lines, line)
		}
	}
	*p = kept
	return len(struck) > 0
}
