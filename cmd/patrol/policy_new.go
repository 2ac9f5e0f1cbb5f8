package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/bundles"
)

// PolicyNewCmd begins a token policy.
type PolicyNewCmd struct {
	Name     string `arg:"" help:"The policy's name, as organizations choose it: small letters, digits and _."`
	Dir      string `help:"The bundle's folder; made if it is not there." type:"path" default:"policy" placeholder:"DIR"`
	Approval bool   `help:"Its fine-grained tokens wait for an approval."`
}

// Help gives examples.
func (*PolicyNewCmd) Help() string {
	return "Writes local/policies/NAME/policy.rego, which refuses read and write tokens, with its METADATA, and its test beside it: to be changed. Nothing that is there is overwritten.\n\n" +
		example("patrol policy new office_hours", "patrol policy new second_look --approval --dir ./policy", "patrol policy test ./policy")
}

//go:embed scaffold
var scaffold embed.FS

// policyName is what a token policy may be called: a name of a Rego package that
// is no test's.
var policyName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// begun is what was written.
type begun struct {
	Policy string   `json:"policy"`
	Files  []string `json:"files"`
}

// Run writes it, once the gate takes it.
func (c *PolicyNewCmd) Run(ctx context.Context, cli *CLI) error {
	if !policyName.MatchString(c.Name) || strings.HasSuffix(c.Name, "_test") {
		return usagef("NAME: %q must begin with a small letter, hold small letters, digits and _, at most 64, and not end in _test", c.Name)
	}
	if ast.IsKeyword(c.Name) || ast.RootDocumentNames.Contains(ast.VarTerm(c.Name)) {
		return usagef("NAME: %s is a word of Rego's own", c.Name)
	}
	files, err := c.files()
	if err != nil {
		return err
	}
	if err := passes(ctx, files); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	folder := filepath.Join(c.Dir, "local", "policies", c.Name)
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already; nothing was written", folder)
		}
		return err
	}
	out := begun{Policy: c.Name}
	for _, name := range []string{"policy.rego", "policy_test.rego"} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, files[name], 0o644); err != nil { //nolint:gosec // a bundle's file
			return errors.Join(err, os.RemoveAll(folder))
		}
		out.Files = append(out.Files, path)
	}
	return cli.print(out, func(t *table) {
		for _, path := range out.Files {
			t.row("written", path)
		}
		t.row("next", "patrol policy test "+c.Dir)
	})
}

// files are the policy and its test, by their names.
func (c *PolicyNewCmd) files() (map[string][]byte, error) {
	kind := "policy"
	if c.Approval {
		kind = "approval"
	}
	title := strings.ReplaceAll(c.Name, "_", " ")
	out := map[string][]byte{}
	for from, name := range map[string]string{kind + ".rego.tmpl": "policy.rego", kind + "_test.rego.tmpl": "policy_test.rego"} {
		t, err := template.ParseFS(scaffold, "scaffold/"+from)
		if err != nil {
			return nil, err
		}
		var text bytes.Buffer
		if err := t.Execute(&text, map[string]string{"Name": c.Name, "Title": strings.ToUpper(title[:1]) + title[1:]}); err != nil {
			return nil, err
		}
		out[name] = text.Bytes()
	}
	return out, nil
}

// passes says what the gate has against a policy by itself: a name that the base
// has, or that Rego keeps for itself.
func passes(ctx context.Context, files map[string][]byte) error {
	dir, err := os.MkdirTemp("", "patrol")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	_, err = bundles.Check(ctx, gateOptions(PolicyConfig{}, nil), dir)
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
	}
	return err
}
