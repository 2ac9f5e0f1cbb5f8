package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

// PolicyFmtCmd formats Rego.
type PolicyFmtCmd struct {
	Paths []string `arg:"" type:"path" help:"Files, or folders of which each .rego file is formatted."`
	Check bool     `help:"Write nothing: exit 1 where a file is not formatted."`
}

// Help gives examples.
func (*PolicyFmtCmd) Help() string {
	return "Formats as OPA does, in place, and lists the files that it changed. A file that does not parse is told, and no file is written.\n\n" +
		example("patrol policy fmt ./policy", "patrol policy fmt --check ./policy")
}

// formatted is what came of formatting.
type formatted struct {
	Files   int      `json:"files"`
	Changed []string `json:"changed"`
}

// Run formats them: all are read before the first is written.
func (c *PolicyFmtCmd) Run(cli *CLI) error {
	out := formatted{Changed: []string{}}
	become := map[string][]byte{}
	for _, root := range c.Paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path != root && !strings.HasSuffix(path, ".rego") {
				return err
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text, err := format.SourceWithOpts(path, source, format.Opts{RegoVersion: ast.RegoV1})
			if err != nil {
				return err
			}
			if _, twice := become[path]; !twice {
				out.Files++
				if become[path] = text; !bytes.Equal(source, text) {
					out.Changed = append(out.Changed, path)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("format Rego: %w", err)
		}
	}
	if !c.Check {
		for _, path := range out.Changed {
			if err := replaceFile(path, become[path]); err != nil {
				return err
			}
		}
	}
	err := cli.print(out, func(t *table) {
		for _, path := range out.Changed {
			t.row(path)
		}
		if len(out.Changed) == 0 {
			t.row(fmt.Sprintf("%d files are formatted.", out.Files))
		}
	})
	if err == nil && c.Check && len(out.Changed) > 0 {
		err = fmt.Errorf("%d of %d files are not formatted: patrol policy fmt", len(out.Changed), out.Files)
	}
	return err
}
