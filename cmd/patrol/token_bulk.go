package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/term"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// chosenTokens are the arguments of an action on tokens of an organization:
// tokens by their ids, or those that a filter chooses.
type chosenTokens struct {
	Organization string   `arg:"" help:"The organization."`
	IDs          []string `arg:"" optional:"" name:"id" help:"The tokens' ids; or choose them by the flags below."`
	Comment      string   `help:"A word to the owner, and for the audit log." placeholder:"TEXT"`
	Owner        string   `help:"Choose this user's tokens." placeholder:"USER"`
	Kind         string   `help:"Choose tokens of a kind: read, write or fine-grained." enum:",read,write,fine-grained" default:"" placeholder:"KIND"`
	Status       string   `help:"Choose tokens of a status, as patrol token list has it." enum:",all,none,pending,pending_frozen,approved,approval_ended,denied,suspended,revoked" default:"" placeholder:"STATUS"`
	Search       string   `help:"Choose tokens by a part of the name." placeholder:"TEXT"`
	Finding      string   `help:"Choose tokens of which this was found, as patrol finding list has it." placeholder:"NAME"`
	UnusedFor    string   `help:"Choose tokens that were made or imported, and last used in the organization, longer ago than this span (90d, 12h). Refused where usage is known for a shorter time." placeholder:"SPAN"`
	DryRun       bool     `help:"Only show which tokens it would be."`
	Yes          bool     `help:"Do not ask whether these are the right ones."`
}

// bulkPart is how many tokens the server takes at once.
const bulkPart = 100

// onTokens acts on the tokens that are named or chosen. One that is named is
// shown as it is then; of several each result is.
func (c *CLI) onTokens(ctx context.Context, t *chosenTokens, action, done string, one func(ctx context.Context, organization, id, comment string) (*inventory.TokenRow, error)) error {
	f := inventory.TokenFilter{Status: t.Status, Kind: t.Kind, Owner: t.Owner, Query: t.Search, Finding: t.Finding}
	chosen := f != (inventory.TokenFilter{}) || t.UnusedFor != ""
	switch {
	case chosen && len(t.IDs) > 0:
		return usagef("name tokens by their ids, or choose them by --owner, --kind, --status, --search, --finding and --unused-for, not both")
	case !chosen && len(t.IDs) == 0:
		return usagef("name tokens by their ids, or choose them by --owner, --kind, --status, --search, --finding or --unused-for")
	case len(t.IDs) == 1 && !t.DryRun:
		return c.onToken(ctx, t.Organization, t.IDs[0], t.Comment, one)
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	ids := t.IDs
	if chosen || t.DryRun {
		rows, err := t.choose(ctx, cl, f)
		if err != nil {
			return err
		}
		all := choice[admin.Listed]{rows, organizationTokens, func(r admin.Listed) [3]string { return [3]string{r.ID, r.DisplayName, r.Owner} }}
		if t.DryRun || len(rows) == 0 {
			return all.show(c, done)
		}
		if ids, err = all.settle(t.Yes, action, "in "+t.Organization); err != nil {
			return err
		}
	}
	return c.bulk(ids, done, func(part []string) (*admin.BulkResults, error) {
		return cl.ActOnTokens(ctx, t.Organization, action, part, t.Comment)
	})
}

func (t *chosenTokens) choose(ctx context.Context, cl *client.Client, f inventory.TokenFilter) ([]admin.Listed, error) {
	if len(t.IDs) > 0 {
		f.Status = "all"
	}
	idle, err := spanOf("--unused-for", t.UnusedFor)
	if err == nil && idle == 0 && t.UnusedFor != "" {
		err = usagef("--unused-for %q: that is every token", t.UnusedFor)
	}
	if err != nil {
		return nil, err
	}
	before := time.Now().Add(-idle)
	if idle > 0 {
		if err := t.knownBefore(ctx, cl, before); err != nil {
			return nil, err
		}
	}
	rows, err := cl.OrganizationTokens(ctx, t.Organization, f)
	if err != nil {
		return nil, err
	}
	if idle > 0 {
		rows = unusedSince(rows, before)
	}
	if len(t.IDs) == 0 {
		return rows, nil
	}
	return slices.DeleteFunc(rows, func(r admin.Listed) bool { return !slices.Contains(t.IDs, r.ID) }), nil
}

// knownBefore refuses to choose by usage of a time from which none is known: all
// tokens would seem unused.
func (t *chosenTokens) knownBefore(ctx context.Context, cl *client.Client, before time.Time) error {
	u, err := cl.OrganizationUsage(ctx, t.Organization, 1)
	if err != nil {
		return err
	}
	if u.KnownSince == nil {
		return fmt.Errorf("--unused-for %s: no usage is known yet, so every token would seem unused: wait until requests have been answered for that long", t.UnusedFor)
	}
	if u.KnownSince.After(before) {
		return fmt.Errorf("--unused-for %s: usage is known since %s only, so tokens that were used before would seem unused: ask for a shorter span, or wait", t.UnusedFor, u.KnownSince.UTC().Format(time.RFC3339))
	}
	return nil
}

// unusedSince are those of tokens that are idle since before a time.
func unusedSince(rows []admin.Listed, before time.Time) []admin.Listed {
	return slices.DeleteFunc(rows, func(r admin.Listed) bool { return !idleSince(&r).Before(before) })
}

// idleSince is the latest of when a token was made, when it was last used, and
// since when its usage is known: an imported token may be years old, and what it
// did before it came is not known. When it came is the time in its id, a UUIDv7
// (RFC 9562, section 5.7).
func idleSince(r *admin.Listed) time.Time {
	since := r.CreatedAt
	if r.LastUsedAt != nil && r.LastUsedAt.After(since) {
		since = *r.LastUsedAt
	}
	if id, err := uuid.Parse(r.ID); err == nil && id.Version() == 7 {
		if came := time.Unix(id.Time().UnixTime()); came.After(since) {
			since = came
		}
	}
	return since
}

// choice are tokens that were chosen, however they are listed.
type choice[T any] struct {
	rows  []T
	table func(*table, []T)
	// named is a token's id, its name and its owner's.
	named func(T) [3]string
}

// show shows what would be done, which is nothing where none is chosen.
func (a choice[T]) show(c *CLI, done string) error {
	return list(c, a.rows, nil, "No token is chosen.", func(tb *table, rows []T) {
		a.table(tb, rows)
		tb.row(fmt.Sprintf("%d would be %s.", len(rows), done))
	})
}

// settle gives their ids, once somebody has agreed, or with yes did before.
func (a choice[T]) settle(yes bool, action, where string) ([]string, error) {
	ids, lines := make([]string, len(a.rows)), make([]string, len(a.rows))
	for i, r := range a.rows {
		one := a.named(r)
		ids[i], lines[i] = one[0], strings.Join(one[:], "  ")
	}
	if yes {
		return ids, nil
	}
	return ids, agree(lines, action, where)
}

// agree asks whether these are the right tokens, each a line.
func agree(tokens []string, action, where string) error {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return usagef("%d tokens are chosen: see which by --dry-run, then give --yes", len(tokens))
	}
	for _, line := range tokens {
		fmt.Fprintln(os.Stderr, plain(line))
	}
	if !agrees(fmt.Sprintf("%s these %d tokens %s?", strings.ToUpper(action[:1])+action[1:], len(tokens), where)) {
		return errors.New("nothing was changed")
	}
	return nil
}

// bulk acts on tokens by parts, and shows what came of each.
func (c *CLI) bulk(ids []string, done string, act func(part []string) (*admin.BulkResults, error)) error {
	var out admin.BulkResults
	for part := range slices.Chunk(ids, bulkPart) {
		r, err := act(part)
		if err != nil {
			return fmt.Errorf("%w (%d tokens were %s before)", err, out.Succeeded, done)
		}
		out.Succeeded, out.Failed, out.Results = out.Succeeded+r.Succeeded, out.Failed+r.Failed, append(out.Results, r.Results...)
	}
	err := c.print(out, func(tb *table) {
		tb.row("TOKEN", "RESULT")
		for _, r := range out.Results {
			result := done
			if r.Problem != nil {
				result = r.Problem.Detail
			}
			tb.row(r.ID, result)
		}
		tb.row(fmt.Sprintf("%d %s, %d not.", out.Succeeded, done, out.Failed))
	})
	if err == nil && out.Failed > 0 {
		err = refused{fmt.Errorf("%d tokens were not %s", out.Failed, done)}
	}
	return err
}
