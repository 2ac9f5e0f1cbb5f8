package main

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

//go:embed completion.bash
var completionBash string

// CompletionCmd prints a completion script, made from the command line itself.
type CompletionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help gives an example for each shell.
func (*CompletionCmd) Help() string {
	return example(
		"source <(patrol completion bash)",
		"source <(patrol completion zsh)",
		"patrol completion fish > ~/.config/fish/completions/patrol.fish",
	)
}

// Run prints it.
func (c *CompletionCmd) Run(app *kong.Application) error {
	switch c.Shell {
	case "fish":
		fmt.Print(fish(app))
	case "zsh":
		fmt.Print("autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n" + bash(app))
	default:
		fmt.Print(bash(app))
	}
	return nil
}

// eachCommand calls f for each command with its path, "token issue".
func eachCommand(n *kong.Node, path string, f func(path string, n *kong.Node)) {
	f(path, n)
	for _, child := range n.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			eachCommand(child, strings.TrimSpace(path+" "+child.Name), f)
		}
	}
}

// words are what may follow a command: subcommands, flags, the values of its
// arguments where they are known.
func words(app *kong.Application, n *kong.Node) []string {
	var out []string
	for _, child := range n.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			out = append(out, child.Name)
		}
	}
	for _, p := range n.Positional {
		if p.Enum != "" {
			out = append(out, p.EnumSlice()...)
		}
	}
	for _, f := range n.Flags {
		out = append(out, "--"+f.Name)
	}
	if n != app.Node {
		for _, f := range app.Flags {
			out = append(out, "--"+f.Name)
		}
	}
	return out
}

// names are a flag's names on the command line.
func names(f *kong.Flag) []string {
	out := []string{"--" + f.Name}
	if f.Short != 0 {
		out = append(out, "-"+string(f.Short))
	}
	return out
}

// enumerated are a flag's values, where they are known.
func enumerated(f *kong.Flag) []string {
	if f.Enum == "" {
		return nil
	}
	return slices.DeleteFunc(f.EnumSlice(), func(v string) bool { return v == "" })
}

func bash(app *kong.Application) string {
	var commands, values strings.Builder
	with := map[string]bool{}
	eachCommand(app.Node, "", func(path string, n *kong.Node) {
		fmt.Fprintf(&commands, "    %q) words=%q ;;\n", path, strings.Join(words(app, n), " "))
		for _, f := range n.Flags {
			if f.IsBool() {
				continue
			}
			for _, name := range names(f) {
				with[name] = true
				key := strconv.Quote(path + " " + name)
				if n == app.Node {
					key = "*" + strconv.Quote(" "+name) // every command has it
				}
				if list := enumerated(f); list != nil {
					fmt.Fprintf(&values, "    %s) COMPREPLY=($(compgen -W %q -- \"$current\")) ;;\n", key, strings.Join(list, " "))
				}
			}
		}
	})
	return strings.NewReplacer(
		"@COMMANDS@", commands.String(), "@VALUES@", values.String(), "@WITH_VALUE@", strings.Join(slices.Sorted(maps.Keys(with)), "|"),
	).Replace(completionBash)
}

func fish(app *kong.Application) string {
	var out strings.Builder
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
	}
	eachCommand(app.Node, "", func(path string, n *kong.Node) {
		when := "__fish_use_subcommand"
		if path != "" {
			when = "__fish_seen_subcommand_from " + strings.Join(strings.Fields(path), "; and __fish_seen_subcommand_from ")
		}
		for _, child := range n.Children {
			if child.Type == kong.CommandNode && !child.Hidden {
				fmt.Fprintf(&out, "complete -c patrol -f -n %s -a %s -d %s\n", quote(when), child.Name, quote(child.Help))
			}
		}
		for _, f := range n.Flags {
			line := "complete -c patrol -l " + f.Name + " -d " + quote(f.Help)
			if n != app.Node {
				line += " -n " + quote(when)
			}
			if f.Short != 0 {
				line += " -s " + string(f.Short)
			}
			if !f.IsBool() {
				line += " -r"
			}
			if list := enumerated(f); list != nil {
				line += " -f -a " + quote(strings.Join(list, " "))
			}
			fmt.Fprintln(&out, line)
		}
	})
	return out.String()
}
