package main

import (
	"context"
	"fmt"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/preview"
)

// PreviewFlags are the flags of org policy that show and change nothing.
type PreviewFlags struct {
	Preview bool     `help:"Change nothing: show whom the change would break. Without a change: what the dated one that is set will break."`
	Set     []string `help:"With --preview: settings that would be changed too, such as max_token_age_days=90." sep:"none" placeholder:"NAME=VALUE"`
	Days    int      `help:"With --preview: look at the usage of so many days." placeholder:"N"`
	Outcome string   `help:"With --preview: list the tokens to which this happens: breaks, starts, approved, waived or refused." placeholder:"OUTCOME"`
	Limit   int      `help:"With --preview: list so many tokens; 0 for all." default:"50" placeholder:"N"`
}

func (f *PreviewFlags) given() bool { return len(f.Set) > 0 || f.Days != 0 || f.Outcome != "" }

// preview asks the server whom the change would break.
func (c *OrgPolicyCmd) preview(ctx context.Context, cli *CLI, change admin.PolicyChange) error {
	settings, err := settingsOf(c.Set)
	if err != nil {
		return err
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	p, err := cl.Preview(ctx, c.Name, admin.PolicyPreview{PolicyChange: change, Settings: settings, Days: c.Days}, c.Outcome, c.Limit)
	return show(cli, p, err, showPreview)
}

func showPreview(t *table, p *preview.Preview) {
	n := &p.Counts
	t.row("policy", p.From.TokenPolicy+" ("+p.From.Enforcement+") -> "+p.To.TokenPolicy+" ("+p.To.Enforcement+")")
	t.row("judged for", moment(&p.At)+", by the bundle "+p.Revision)
	if p.ManagedBy != "" {
		t.row("managed by", p.ManagedBy)
	}
	t.row("tokens", n.Tokens)
	t.row("would break", fmt.Sprintf("%d, of %s; %d were used in the last %d days", n.Breaks, counted(n.Owners, "owner"), n.Used, p.Coverage.Days))
	for _, r := range p.Reasons {
		t.row("", fmt.Sprintf("%s: %s of %s, %s", r.Reason, counted(r.Tokens, "token"), counted(r.Owners, "owner"), counted(int(r.Requests), "request")))
	}
	const waived = "waived"
	for _, o := range []struct {
		name string
		n    int
		what string
	}{
		{"would start", n.Starts, "refused now, and allowed then"},
		{"would be approved", n.Approved, "by --existing"},
		{waived, n.Waived, "refused if nothing were waived"},
		{"go on", n.GoesOn, ""},
		{"refused anyway", n.Refused, "as they are now"},
		{"disabled", n.Disabled, "everywhere"},
		{"not judged", n.Unjudged, p.Coverage.Error},
	} {
		t.amount(o.name, o.n, o.what)
		if o.name == waived {
			for _, r := range p.Waived {
				t.row("", fmt.Sprintf("%s: %s of %s", r.Reason, counted(r.Tokens, "token"), counted(r.Owners, "owner")))
			}
		}
	}
	showRequests(t, p)
	showCoverage(t, &p.Coverage)
	showPreviewed(t, p)
}

func showRequests(t *table, p *preview.Preview) {
	if p.Requests.Asking > 0 {
		t.row("to be asked for", fmt.Sprintf("%d; a request is open on %d of them", p.Requests.Asking, p.Requests.Open))
	}
	if e := p.Existing; e != nil {
		if e.Mode == "ask" {
			t.row("existing tokens", fmt.Sprintf("%s would be opened at once", counted(e.Asked, "request")))
		} else {
			t.row("existing tokens", fmt.Sprintf("%d would be approved, %d are left to ask", e.Approved, e.Left))
		}
	}
}

func showCoverage(t *table, c *preview.Coverage) {
	if c.Since == nil {
		t.row("coverage", "no usage was ever recorded: tokens were judged by what they may do")
	} else {
		t.row("coverage", fmt.Sprintf("usage since %s: %d used, and judged by that; %d never seen", moment(c.Since), c.Used, c.NeverSeen))
	}
	if c.Unknown > 0 {
		t.row("", fmt.Sprintf("%s with %s are in no inventory: enforced, each is refused (patrol token discovered)", counted(c.Unknown, "unknown token"), counted(int(c.UnknownRequests), "request")))
	}
}

func showPreviewed(t *table, p *preview.Preview) {
	if len(p.Tokens) == 0 {
		return
	}
	t.row()
	t.row("TOKEN", "NAME", "OWNER", "KIND", "STATUS", "OUTCOME", "REASON", "REQUESTS", "LAST USED")
	for i := range p.Tokens {
		one := &p.Tokens[i]
		t.row(one.ID, one.DisplayName, dash(one.Owner), one.Kind, one.Status, one.Outcome, dash(one.Reason), one.Requests, relative(one.LastUsedAt))
	}
	if p.Next != "" {
		t.row("there are more: --limit 0 shows all")
	}
}

// counted says how many there are of something.
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
