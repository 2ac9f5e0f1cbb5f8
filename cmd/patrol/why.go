package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/patrol-authz/patrol/authz/record"
)

// WhyCmd says why a request was refused.
type WhyCmd struct {
	RequestID    string `arg:"" help:"The X-Request-Id of the answer."`
	Organization string `help:"Ask as an administrator of this organization." placeholder:"NAME"`
}

// Help gives an example.
func (*WhyCmd) Help() string {
	return "Refusals are kept for 24 hours by the server that refused, up to a number of bytes; credentials, bodies and values of the query are not. -o json shows all facts. " +
		"Of several replicas each keeps its own: what one has not, another may; the answer says which was asked, and which others there are.\n\n" +
		example("patrol why 4f1c7a52-5c8e-4a9e-8d0c-3b7a7b1f9f10", "patrol why 4f1c7a52-5c8e-4a9e-8d0c-3b7a7b1f9f10 --server http://patrol-1.internal:8283")
}

// Run asks the server.
func (c *WhyCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	r, err := cl.Refusal(ctx, c.Organization, c.RequestID)
	return show(cli, r, err, showRefusal)
}

func showRefusal(t *table, r *record.Refusal) {
	t.row("when", moment(&r.Time))
	if r.Request.Method != "" {
		t.row("request", requested(r.Request.Method, r.Request.Path, r.Request.Query))
		t.row("host", dash(r.Request.Host))
	}
	if r.Request.Address != "" {
		t.row("from", r.Request.Address)
	}
	if agent := r.Request.Headers["user-agent"]; agent != "" {
		t.row("client", agent)
	}
	t.row("reason", r.Reason)
	if len(r.Reasons) > 1 {
		t.row("all reasons", strings.Join(r.Reasons, ", "))
	}
	if len(r.Next) > 0 {
		t.row("by the next policy", strings.Join(r.Next, ", "))
	}
	if r.Message != "" {
		t.row("told", fmt.Sprintf("%d %s", r.HTTPStatus, r.Message))
	}
	if r.Token != "" {
		t.row("token", fmt.Sprintf("%s (%s)", r.TokenName, r.Token))
		t.row("owner", dash(r.Owner))
	}
	if r.Organization != "" {
		t.row("organization", r.Organization)
		t.row("policy", dash(r.Policy))
	}
	showFacts(t, r.Facts)
	if r.Approval != nil {
		t.row("approval request", strings.TrimSpace(r.Approval.State+" "+r.Approval.ID))
	}
	if r.Overruled != "" {
		t.row("safety net", "refused what the policy allowed ("+r.Overruled+")")
	}
	if r.Error != "" {
		t.row("error", r.Error)
	}
	t.row("revision", dash(r.Revision))
	t.row("decision", r.DecisionID)
}

// showFacts shows the facts on which most refusals turn.
func showFacts(t *table, facts json.RawMessage) {
	var f struct {
		Token      *struct{ Kind string }
		Membership *struct{ Role string }
		Route      *struct {
			Permission string
			Resource   *struct{ Type, Name string }
		}
		Authorization *struct {
			State     string
			Suspended bool
		}
	}
	if json.Unmarshal(facts, &f) != nil {
		return
	}
	if f.Token != nil {
		t.row("kind", f.Token.Kind)
	}
	if f.Membership != nil {
		t.row("owner's role", f.Membership.Role)
	}
	if a := f.Authorization; a != nil {
		state := a.State
		if a.Suspended {
			state += ", suspended"
		}
		t.row("authorization", state)
	}
	if f.Route != nil && f.Route.Permission != "" {
		asked := f.Route.Permission
		if r := f.Route.Resource; r != nil {
			asked += " on " + r.Type + " " + r.Name
		}
		t.row("asked for", asked)
	}
}
