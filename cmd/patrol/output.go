package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/patrol-authz/patrol/authz"
)

// example is how a command's help ends: what to type.
func example(lines ...string) string {
	word := "Example"
	if len(lines) > 1 {
		word = "Examples"
	}
	return word + ":\n\n    " + strings.Join(lines, "\n    ")
}

// print shows a value as JSON, or as a table.
func (c *CLI) print(v any, fill func(t *table)) error {
	if c.Output == "json" {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	t := &table{w: tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)}
	fill(t)
	return t.w.Flush()
}

// show prints the answer to a call, or passes its error on.
func show[T any](c *CLI, v *T, err error, fill func(*table, *T)) error {
	if err != nil {
		return err
	}
	return c.print(v, func(t *table) { fill(t, v) })
}

// list prints a listing; people are told where it is empty.
func list[T any](c *CLI, rows []T, err error, empty string, fill func(*table, []T)) error {
	if err != nil {
		return err
	}
	return c.print(rows, func(t *table) {
		if len(rows) == 0 {
			t.row(empty)
			return
		}
		fill(t, rows)
	})
}

// agrees asks whoever sits at the terminal; nothing is no.
func agrees(question string) bool {
	fmt.Fprint(os.Stderr, plain(question)+" [y/N] ")
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}

// agreesTo shows what is asked about, on standard error, and asks.
func agreesTo(showIt func(*table), question string) (bool, error) {
	t := &table{w: tabwriter.NewWriter(os.Stderr, 0, 4, 2, ' ', 0)}
	showIt(t)
	if err := t.w.Flush(); err != nil {
		return false, err
	}
	return agrees(question), nil
}

// nothing tells that there is none of what was asked for.
func (c *CLI) nothing(what string) error {
	if c.Output == "json" {
		what = "null"
	}
	fmt.Println(what)
	return nil
}

// done tells people that a change without an answer is made.
func (c *CLI) done(err error, what string) error {
	if err == nil && c.Output == "table" {
		fmt.Println(plain(what))
	}
	return err
}

// table is a table for people.
type table struct{ w *tabwriter.Writer }

// row writes the cells of a row; line breaks and control characters of what
// people wrote do not reach the terminal.
func (t *table) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(t.w, "\t")
		}
		fmt.Fprint(t.w, plain(fmt.Sprint(c)))
	}
	fmt.Fprintln(t.w)
}

// amount writes how many of something there are, and what that means, which may be
// left out; nothing where there are none.
func (t *table) amount(name string, n int, what string) {
	if n > 0 {
		t.row(name, strings.TrimSuffix(fmt.Sprintf("%d, %s", n, what), ", "))
	}
}

// plain takes out what would move the cursor or turn the direction of writing.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x20, r == 0x7f, r >= 0x80 && r < 0xa0, r == 0x61c, r >= 0x200e && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return ' '
		}
		return r
	}, s)
}

// spans are how times are said: in days up to a quarter, in months up to two
// years.
var spans = []humanize.RelTimeMagnitude{
	{D: time.Minute, Format: "now", DivBy: time.Second},
	{D: 2 * time.Minute, Format: "1 minute %s", DivBy: 1},
	{D: time.Hour, Format: "%d minutes %s", DivBy: time.Minute},
	{D: 2 * time.Hour, Format: "1 hour %s", DivBy: 1},
	{D: humanize.Day, Format: "%d hours %s", DivBy: time.Hour},
	{D: 2 * humanize.Day, Format: "1 day %s", DivBy: 1},
	{D: 100 * humanize.Day, Format: "%d days %s", DivBy: humanize.Day},
	{D: 2 * humanize.Year, Format: "%d months %s", DivBy: humanize.Month},
	{D: humanize.LongTime, Format: "%d years %s", DivBy: humanize.Year},
}

// relative shows a time as people say it: "3 hours ago".
func relative(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	now := time.Now()
	if t.After(now) {
		now = now.Truncate(time.Minute) // what was set to 90 days a moment ago is no 89 days
	}
	return humanize.CustomRelTime(*t, now, "ago", "from now", spans)
}

// moment shows a time whole, and as people say it.
func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC") + " (" + relative(t) + ")"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// permissions shows grants in a line.
func permissions(grants []authz.Grant) string {
	var parts []string
	for _, g := range grants {
		parts = append(parts, g.Entity.Type+":"+g.Entity.Name+"="+strings.Join(g.Permissions, ","))
	}
	return strings.Join(parts, " ")
}
