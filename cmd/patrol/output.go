package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

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

func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u202e' {
			return ' '
		}
		return r
	}, s)
}

func day(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
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
