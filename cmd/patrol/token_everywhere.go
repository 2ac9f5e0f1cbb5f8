package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// anyTokens are the arguments of an action on tokens as a whole: tokens by their
// ids, or those that a filter chooses.
type anyTokens struct {
	IDs          []string `arg:"" optional:"" name:"id" help:"The tokens' ids; or choose them by the flags below."`
	Comment      string   `help:"A word for the audit log." placeholder:"TEXT"`
	Organization string   `help:"Choose tokens that reach this organization; for --status and --finding." placeholder:"NAME"`
	Owner        string   `help:"Choose this user's tokens." placeholder:"USER"`
	Kind         string   `help:"Choose tokens of a kind: read, write or fine-grained." enum:",read,write,fine-grained" default:"" placeholder:"KIND"`
	Status       string   `help:"Choose tokens of a status in the organization, as patrol token list has it." enum:",all,none,pending,pending_frozen,approved,approval_ended,denied,suspended,revoked" default:"" placeholder:"STATUS"`
	Search       string   `help:"Choose tokens by a part of the name." placeholder:"TEXT"`
	Finding      string   `help:"Choose tokens of which this was found in the organization, as patrol finding list has it." placeholder:"NAME"`
	UnusedFor    string   `help:"Choose tokens that were made or imported, and last used anywhere, longer ago than this span (90d, 12h). Refused where usage is known for a shorter time." placeholder:"SPAN"`
	DryRun       bool     `help:"Only show which tokens it would be."`
	Yes          bool     `help:"Do not ask whether these are the right ones."`
}

// everywhere acts on the tokens that are named or chosen, as a whole. One that is
// named is shown as it is then; of several each result is.
func (c *CLI) everywhere(ctx context.Context, t *anyTokens, action, done string, one func(ctx context.Context, id, comment string) (*inventory.TokenRow, error)) error {
	chosen := t.Organization+t.Owner+t.Kind+t.Status+t.Search+t.Finding+t.UnusedFor != ""
	switch {
	case chosen && len(t.IDs) > 0:
		return usagef("name tokens by their ids, or choose them by --organization, --owner, --kind, --status, --search, --finding and --unused-for, not both")
	case !chosen && len(t.IDs) == 0:
		return usagef("name tokens by their ids, or choose them by --organization, --owner, --kind, --status, --search, --finding or --unused-for")
	case t.Organization == "" && t.Status != "":
		return usagef("--status is what holds between a token and an organization: name one by --organization")
	case t.Organization == "" && t.Finding != "":
		return usagef("--finding is what was found at an organization: name one by --organization")
	case len(t.IDs) == 1 && !t.DryRun:
		return c.onToken(ctx, "", t.IDs[0], t.Comment, func(ctx context.Context, _, id, comment string) (*inventory.TokenRow, error) {
			return one(ctx, id, comment)
		})
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	ids := t.IDs
	if chosen || t.DryRun {
		rows, err := t.choose(ctx, cl)
		if err != nil {
			return err
		}
		all := choice[inventory.TokenRow]{rows, allTokens, func(r inventory.TokenRow) [3]string { return [3]string{r.ID, r.DisplayName, r.Owner} }}
		if t.DryRun || len(rows) == 0 {
			return all.show(c, done+" everywhere")
		}
		if ids, err = all.settle(t.Yes, action, "everywhere"); err != nil {
			return err
		}
	}
	return c.bulk(ids, done, func(part []string) (*admin.BulkResults, error) {
		return cl.ActEverywhere(ctx, action, part, t.Comment)
	})
}

func (t *anyTokens) choose(ctx context.Context, cl *client.Client) ([]inventory.TokenRow, error) {
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
	rows, err := cl.Tokens(ctx, inventory.TokenFilter{Kind: t.Kind, Owner: t.Owner, Query: t.Search})
	if err != nil {
		return nil, err
	}
	if len(t.IDs) > 0 {
		return slices.DeleteFunc(rows, func(r inventory.TokenRow) bool { return !slices.Contains(t.IDs, r.ID) }), nil
	}
	if t.Organization != "" {
		there, err := cl.OrganizationTokens(ctx, t.Organization, inventory.TokenFilter{Status: t.Status, Kind: t.Kind, Owner: t.Owner, Query: t.Search, Finding: t.Finding})
		if err != nil {
			return nil, err
		}
		reach := make(map[string]bool, len(there))
		for _, r := range there {
			reach[r.ID] = true
		}
		rows = slices.DeleteFunc(rows, func(r inventory.TokenRow) bool { return !reach[r.ID] })
	}
	if idle > 0 {
		rows = slices.DeleteFunc(rows, func(r inventory.TokenRow) bool {
			return !idleSince(&admin.Listed{ID: r.ID, CreatedAt: r.CreatedAt, LastUsedAt: r.LastUsedAt}).Before(before)
		})
	}
	return rows, nil
}

// knownBefore refuses to choose by usage of a time from which none is known. Since
// when it is known is the same for all organizations.
func (t *anyTokens) knownBefore(ctx context.Context, cl *client.Client, before time.Time) error {
	organization := t.Organization
	if organization == "" {
		all, err := client.List[inventory.OrganizationRow](ctx, cl, "/api/organizations", nil, 1)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return errors.New("--unused-for: there is no organization, so no usage is known")
		}
		organization = all[0].Name
	}
	return (&chosenTokens{Organization: organization, UnusedFor: t.UnusedFor}).knownBefore(ctx, cl, before)
}

// TokenDisableCmd disables tokens.
type TokenDisableCmd struct{ anyTokens }

// Help gives examples.
func (*TokenDisableCmd) Help() string {
	return "It is answered as an unknown token in every organization until it is enabled.\n\n" +
		example(
			"patrol token disable 01a20daf-8d3a-7c75-94a4-182374a6e5b3 --comment leaked",
			"patrol token disable --owner bob --dry-run",
			"patrol token disable --organization acme --finding not_rotated --unused-for 90d --dry-run",
		)
}

// Run disables them.
func (c *TokenDisableCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	return cli.everywhere(ctx, &c.anyTokens, "disable", "disabled", cl.DisableToken)
}

// TokenEnableCmd enables tokens.
type TokenEnableCmd struct{ anyTokens }

// Help gives examples.
func (*TokenEnableCmd) Help() string {
	return example("patrol token enable 01a20daf-8d3a-7c75-94a4-182374a6e5b3", "patrol token enable --owner bob --dry-run")
}

// Run enables them.
func (c *TokenEnableCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	return cli.everywhere(ctx, &c.anyTokens, "enable", "enabled", cl.EnableToken)
}
