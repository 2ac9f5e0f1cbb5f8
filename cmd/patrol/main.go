// Command patrol is a policy-as-code authorization sidecar for organization
// access tokens: see its README.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/alecthomas/kong"

	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/credential"
)

// CLI is patrol's command line.
type CLI struct {
	Server    string `help:"The running server: unix:PATH or an http URL. Default: admin.sock in the data directory." env:"PATROL_SERVER" placeholder:"ADDR"`
	TokenFile string `help:"Ask as the holder of the token in this file, not as the socket's peer." env:"PATROL_TOKEN_FILE" type:"path" placeholder:"FILE"`
	DataDir   string `help:"Where patrol keeps its state. Default: patrol in XDG's state home." env:"PATROL_DATA_DIR" type:"path" placeholder:"DIR"`
	Output    string `short:"o" help:"table for people, json for programs." enum:"table,json" default:"table"`

	Serve      ServeCmd      `cmd:"" help:"Answer Envoy, and serve the admin API."`
	Org        OrgCmd        `cmd:"" help:"Organizations and their token policies."`
	Member     MemberCmd     `cmd:"" help:"Members of an organization."`
	Token      TokenCmd      `cmd:"" help:"Tokens: issue, list, revoke."`
	Approval   ApprovalCmd   `cmd:"" help:"Approval requests: list, approve, deny."`
	Finding    FindingCmd    `cmd:"" help:"What the hygiene rules found: list."`
	Check      CheckCmd      `cmd:"" help:"Say how a request would be decided, and why."`
	Notify     NotifyCmd     `cmd:"" help:"Messages to people: test, queue, retry."`
	Login      LoginCmd      `cmd:"" help:"Print a link that logs in to the console."`
	Why        WhyCmd        `cmd:"" help:"Say why a request was refused."`
	Whoami     WhoamiCmd     `cmd:"" help:"Say as whom the server knows you."`
	Apply      ApplyCmd      `cmd:"" help:"Make organizations, policies and members what a file says."`
	Export     ExportCmd     `cmd:"" help:"Write organizations, policies and members as a file for apply."`
	Policy     PolicyCmd     `cmd:"" help:"Token policies: list, test, check, eval, fmt, new, record, simulate."`
	Route      RouteCmd      `cmd:"" help:"The route table: list, test, coverage, suggest."`
	Replica    ReplicaCmd    `cmd:"" help:"The patrols that serve from the same inventory: list."`
	Bundle     BundleCmd     `cmd:"" help:"Policy bundles: status, history, rollback, shadow, promote, build, inspect, diff, verify."`
	Audit      AuditCmd      `cmd:"" help:"The audit log."`
	Backup     BackupCmd     `cmd:"" help:"Copy the inventory while the server runs (SQLite)."`
	Restore    RestoreCmd    `cmd:"" help:"Put a backup in its place, with the server stopped (SQLite)."`
	Migrate    MigrateCmd    `cmd:"" help:"The database's schema: status, up. A configuration of OPA: check."`
	Version    VersionCmd    `cmd:"" help:"Print the version."`
	Completion CompletionCmd `cmd:"" help:"Print a completion script for your shell."`
}

// usage is an error of how a command was called: exit 2.
type usage struct{ error }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	cli := &CLI{}
	parser, err := kong.New(cli, kong.Name("patrol"), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Description("Policy-as-code authorization for organization access tokens, beside Envoy.\n\nExample: patrol token issue --owner bob --name ci --kind fine-grained --grant organization:acme=repo.write --expires-in 90d"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "patrol:", err)
		return 1
	}
	if name := emptied(args); name != "" {
		fmt.Fprintf(os.Stderr, "patrol: --%s is given and empty, as by a variable of the shell that is not set: write a value, or leave it out\n", name)
		return 2
	}
	exited := -1
	parser.Exit = func(code int) { exited = code }
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "patrol: %v (try %s --help)\n", err, misused(err))
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(cli, parser.Model)
	if err := parsed.Run(); err != nil {
		var quiet refused
		if !errors.As(err, &quiet) {
			fmt.Fprintln(os.Stderr, "patrol:", err)
		}
		var u usage
		if errors.As(err, &u) {
			return 2
		}
		return 1
	}
	return 0
}

// places are flags that say which server, whose token, which files: without one another
// is taken, as who holds the socket, or the base bundle alone.
var places = []string{"server", "token-file", "data-dir", "config", "bundle", "ext-authz", "admin", "diagnostics"}

// emptied names a flag of places that is given, and empty.
func emptied(args []string) string {
	for i, arg := range args {
		if arg == "--" {
			return ""
		}
		flag, ok := strings.CutPrefix(arg, "--")
		name, value, own := strings.Cut(flag, "=")
		if ok && slices.Contains(places, name) && (own && value == "" || !own && i+1 < len(args) && args[i+1] == "") {
			return name
		}
	}
	return ""
}

// misused is the command that a wrong line was meant for, as far as it was named.
func misused(err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context != nil {
		if command := wrong.Context.Selected(); command != nil {
			return strings.Join(strings.Fields(wrong.Context.Model.Name+" "+path(command)), " ")
		}
	}
	return "patrol"
}

// path is the name of a command below the program.
func path(n *kong.Node) string {
	if n.Parent == nil {
		return ""
	}
	return path(n.Parent) + " " + n.Name
}

// refused ends a command with exit 1 that has said all there is to say.
type refused struct{ error }

// dataDir is --data-dir, PATROL_DATA_DIR, or patrol below XDG's state home.
func (c *CLI) dataDir() (string, error) {
	if c.DataDir != "" {
		return c.DataDir, nil
	}
	if state := os.Getenv("XDG_STATE_HOME"); state != "" {
		return filepath.Join(state, "patrol"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a data directory: %w; name one with --data-dir", err)
	}
	return filepath.Join(home, ".local", "state", "patrol"), nil
}

// client connects to the running server.
func (c *CLI) client() (*client.Client, error) {
	cl, err := c.unsigned()
	if err != nil || c.TokenFile == "" {
		return cl, err
	}
	text, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return nil, usage{fmt.Errorf("read the token: %w", err)}
	}
	return c.signed(cl, c.TokenFile, string(text))
}

// signed makes calls as a token's holder.
func (c *CLI) signed(cl *client.Client, source, text string) (*client.Client, error) {
	token := strings.TrimSpace(text)
	if token == "" || strings.ContainsFunc(token, unicode.IsSpace) {
		return nil, usagef("%s holds no token: it should be one line, the token alone", source)
	}
	signed, err := cl.WithToken(credential.NewSecret(token))
	if err != nil {
		return nil, usage{err}
	}
	return signed, nil
}

// unsigned connects without a token.
func (c *CLI) unsigned() (*client.Client, error) {
	if c.Server != "" {
		cl, err := client.New(c.Server)
		if err != nil {
			return nil, usage{err}
		}
		return cl, nil
	}
	dir, err := c.dataDir()
	if err != nil {
		return nil, err
	}
	return client.New("unix:" + filepath.Join(dir, "admin.sock"))
}
