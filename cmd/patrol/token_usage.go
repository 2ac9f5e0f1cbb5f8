package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/hygiene"
	uses "github.com/patrol-authz/patrol/authz/usage"
)

// TokenUsageCmd shows how a token is used.
type TokenUsageCmd struct {
	ID           string `arg:"" help:"The token's id."`
	Organization string `help:"Only at this organization." placeholder:"NAME"`
	Days         int    `help:"So many days, today included; at most 90." default:"30" placeholder:"N"`
}

// Help gives an example.
func (*TokenUsageCmd) Help() string {
	return "Usage is written every 5 seconds. The line shows requests a day, the first row of blocks those that were allowed.\n\n" +
		example("patrol token usage 01a20daf-8d3a-7c75-94a4-182374a6e5b3 --organization acme")
}

// Run asks the server.
func (c *TokenUsageCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	r, err := cl.TokenUsage(ctx, c.Organization, c.ID, c.Days)
	return show(cli, r, err, showUsage)
}

func showUsage(t *table, r *uses.Report) {
	allowed, refused := make([]int64, len(r.Days)), make([]int64, len(r.Days))
	var sums [2]int64
	for i, d := range r.Days {
		allowed[i], refused[i] = d.Allowed, d.Refused
		sums[0], sums[1] = sums[0]+d.Allowed, sums[1]+d.Refused
	}
	t.row("known since", moment(&r.Since))
	t.row("last used", moment(r.LastUsedAt))
	t.row("last refused", moment(r.LastRefusedAt))
	t.row("allowed", fmt.Sprintf("%s %d", sparkline(allowed), sums[0]))
	t.row("refused", fmt.Sprintf("%s %d", sparkline(refused), sums[1]))
	for _, x := range r.Reasons {
		t.row("reason", fmt.Sprintf("%s: %d, last %s", x.Reason, x.Requests, relative(&x.LastAt)))
	}
	for i, x := range r.Resources {
		if i == 10 {
			t.row("", fmt.Sprintf("and %d more; -o json shows them", len(r.Resources)-i))
			break
		}
		t.row("on", fmt.Sprintf("%s %s: %d %s, last %s", resourceOf(&x), dash(x.Permission), x.Requests, outcome(x.Allowed), relative(&x.LastAt)))
	}
	for i, x := range r.Networks {
		if i == 10 {
			t.row("", fmt.Sprintf("and %d more; -o json shows them", len(r.Networks)-i))
			break
		}
		t.row("from", fmt.Sprintf("%s: %d, last %s", anyOther(x.Network), x.Requests, relative(&x.LastAt)))
	}
}

func resourceOf(r *uses.ResourceUse) string {
	return strings.TrimSpace(r.Type + " " + dash(anyOther(r.Resource)))
}

// anyOther names what was too much to keep apart.
func anyOther(name string) string {
	if name == uses.Other {
		return "(many others)"
	}
	return name
}

func outcome(allowed bool) string {
	if allowed {
		return "allowed"
	}
	return "refused"
}

// sparkline draws numbers as blocks; nothing is a dot, and something is never
// less than the lowest block.
func sparkline(values []int64) string {
	blocks := []rune("▁▂▃▄▅▆▇█")
	greatest := int64(0)
	for _, v := range values {
		greatest = max(greatest, v)
	}
	var b strings.Builder
	for _, v := range values {
		if v <= 0 {
			b.WriteRune('·')
			continue
		}
		b.WriteRune(blocks[int((v*int64(len(blocks))-1)/greatest)])
	}
	return b.String()
}

// TokenTimelineCmd tells what happened to a token.
type TokenTimelineCmd struct {
	ID           string `arg:"" help:"The token's id."`
	Organization string `help:"Only at this organization." placeholder:"NAME"`
	Days         int    `help:"So many days, today included; at most 90." default:"30" placeholder:"N"`
}

// Help gives an example.
func (*TokenTimelineCmd) Help() string {
	return "Changes, approval requests, what it was used for each day, and findings; the latest first.\n\n" +
		example("patrol token timeline 01a20daf-8d3a-7c75-94a4-182374a6e5b3")
}

// Run asks the server.
func (c *TokenTimelineCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	events, err := cl.Timeline(ctx, c.Organization, c.ID, c.Days)
	return list(cli, events, err, "Nothing happened.", func(t *table, events []uses.Event) {
		t.row("TIME", "KIND", "WHAT", "ORGANIZATION", "BY", "MORE")
		for i := range events {
			e := &events[i]
			more := e.Text
			if e.Kind == uses.EventUsage {
				more = fmt.Sprintf("%d %s, from %d networks", e.Requests, outcome(e.Allowed), e.Networks)
			}
			t.row(e.Time.UTC().Format(time.RFC3339), e.Kind, e.What, dash(e.Organization), dash(e.By), dash(more))
		}
	})
}

// TokenDiscoveredCmd lists unknown tokens.
type TokenDiscoveredCmd struct {
	Organization string `arg:"" help:"An organization that observes, or did."`
	ForImport    bool   `help:"Print a JSON object a line, to be completed by owner and kind and given to patrol token import."`
}

// Help gives an example.
func (*TokenDiscoveredCmd) Help() string {
	return "While an organization only observes, tokens that are not in the inventory are let through and gathered by their digest, so that they can be imported before the policy is enforced. " +
		"At most 10,000 of an organization are kept, those that were not imported yet; what exceeds that is counted in patrol_usage_dropped_total.\n\n" +
		example("patrol token discovered acme", "patrol token discovered acme --for-import > found.jsonl", "patrol token import found.jsonl")
}

// importable is a discovered token as an import takes it, to be completed.
type importable struct {
	Digest      string    `json:"digest"`
	Owner       string    `json:"owner"`
	DisplayName string    `json:"display_name"`
	Kind        string    `json:"kind"`
	CreatedAt   time.Time `json:"created_at"`
}

// Run asks the server.
func (c *TokenDiscoveredCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	rows, err := cl.Discovered(ctx, c.Organization)
	if err == nil && c.ForImport {
		enc := json.NewEncoder(os.Stdout)
		for _, d := range rows {
			if err := enc.Encode(importable{
				Digest: d.Digest, DisplayName: "seen at " + dash(d.Host) + " from " + dash(d.Network), Kind: "read", CreatedAt: d.FirstAt,
			}); err != nil {
				return err
			}
		}
		return nil
	}
	return list(cli, rows, err, "No unknown token was seen.", func(t *table, rows []uses.Discovered) {
		t.row("DIGEST", "HOST", "NETWORK", "ASKED FOR", "REQUESTS", "FIRST", "LAST")
		for _, d := range rows {
			t.row(d.Digest, dash(d.Host), dash(d.Network), dash(d.Permission), d.Requests, relative(&d.FirstAt), relative(&d.LastAt))
		}
	})
}

// FindingCmd holds the commands on findings.
type FindingCmd struct {
	List FindingListCmd `cmd:"" help:"List what the hygiene rules found at an organization."`
}

// FindingListCmd lists findings.
type FindingListCmd struct {
	Organization string `arg:"" help:"The organization."`
	Finding      string `help:"Only this finding, such as unused." placeholder:"NAME"`
	Severity     string `help:"low, medium or high: this severity, or graver." placeholder:"SEVERITY" enum:",low,medium,high" default:""`
}

// Help gives an example.
func (*FindingListCmd) Help() string {
	return "Findings are looked for on each change, and hourly. Their rules and thresholds are in the bundle: see data.patrol.hygiene.\n\n" +
		example("patrol finding list acme --severity medium", "patrol token list acme --finding unused")
}

// Run asks the server.
func (c *FindingListCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	rows, err := cl.Findings(ctx, c.Organization, hygiene.Filter{Finding: c.Finding, Severity: c.Severity})
	return list(cli, rows, err, "Nothing was found.", func(t *table, rows []hygiene.Row) {
		t.row("SEVERITY", "FINDING", "TOKEN", "NAME", "OWNER", "SINCE", "WHAT", "TO DO")
		for i := range rows {
			r := &rows[i]
			t.row(r.Severity, r.Name, dash(r.Token), dash(r.DisplayName), dash(r.Owner), relative(&r.FirstAt), r.Message, r.Do)
		}
	})
}
