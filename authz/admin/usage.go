package admin

import (
	"context"

	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/usage"
)

// Usage reads how tokens are used and what was found of them: at an
// organization, or everywhere where that is empty.
type Usage interface {
	TokenUsage(ctx context.Context, organization, id string, days int) (*usage.Report, error)
	OrganizationUsage(ctx context.Context, organization string, days int) (*usage.Overview, error)
	Timeline(ctx context.Context, organization, id string, days int) ([]usage.Event, error)
	Findings(ctx context.Context, organization string, f hygiene.Filter, p inventory.Page) (rows []hygiene.Row, next string, err error)
	Discovered(ctx context.Context, organization string, p inventory.Page) (rows []usage.Discovered, next string, err error)
}

// Days is how far back a report reaches.
type Days struct {
	Days int `query:"days" minimum:"1" maximum:"90" default:"30" doc:"So many days, today included"`
}

func (s *service) usage() {
	register(s, "get-organization-token-usage", "GET", "/api/organizations/{organization}/settings/tokens/{id}/usage", "How a token was used at an organization", func(ctx context.Context, in *struct {
		OrganizationTokenPath
		Days
	},
	) (*body[usage.Report], error) {
		return s.report(ctx, in.Organization, in.ID, in.Days.Days)
	})
	register(s, "get-token-usage", "GET", "/api/tokens/{id}/usage", "How a token was used, everywhere", func(ctx context.Context, in *struct {
		TokenPath
		Days
	},
	) (*body[usage.Report], error) {
		return s.report(ctx, "", in.ID, in.Days.Days)
	})
	register(s, "get-organization-token-timeline", "GET", "/api/organizations/{organization}/settings/tokens/{id}/timeline", "What happened to a token at an organization, the latest first", func(ctx context.Context, in *struct {
		OrganizationTokenPath
		Days
	},
	) (*body[[]usage.Event], error) {
		return s.timeline(ctx, in.Organization, in.ID, in.Days.Days)
	})
	register(s, "get-token-timeline", "GET", "/api/tokens/{id}/timeline", "What happened to a token, the latest first", func(ctx context.Context, in *struct {
		TokenPath
		Days
	},
	) (*body[[]usage.Event], error) {
		out, err := s.timeline(ctx, "", in.ID, in.Days.Days)
		if c := callerOf(ctx); err == nil && c != nil && !c.trusted {
			row, err := s.Queries.Token(ctx, "", in.ID)
			if err != nil {
				return nil, err
			}
			if owns(ctx, row.Owner) {
				out.Body = usage.ForOwner(out.Body, row.Owner)
			}
		}
		return out, err
	})
	s.overviews()
}

// overviews are about an organization's tokens all together.
func (s *service) overviews() {
	register(s, "get-organization-usage", "GET", "/api/organizations/{organization}/settings/usage", "How the tokens of an organization were used, all together, by day and reason", func(ctx context.Context, in *struct {
		OrganizationPath
		Days
	},
	) (*body[usage.Overview], error) {
		r, err := s.Usage.OrganizationUsage(ctx, in.Organization, in.Days.Days)
		if err != nil {
			return nil, err
		}
		return &body[usage.Overview]{*r}, nil
	})
	register(s, "list-findings", "GET", "/api/organizations/{organization}/settings/findings", "List what the hygiene rules found; what is about the organization comes first", func(ctx context.Context, in *struct {
		OrganizationPath
		Paging
		Finding  string `query:"finding" maxLength:"64" doc:"Only this finding"`
		Severity string `query:"severity" enum:"low,medium,high" doc:"This severity, or graver"`
	},
	) (*page[hygiene.Row], error) {
		rows, next, err := s.Usage.Findings(ctx, in.Organization, hygiene.Filter{Finding: in.Finding, Severity: in.Severity}, in.page())
		return listing(ctx, rows, next), err
	})
	register(s, "list-discovered-tokens", "GET", "/api/organizations/{organization}/settings/discovered", "List unknown tokens that were seen while the organization observed, the latest first; an import takes their digests", func(ctx context.Context, in *struct {
		OrganizationPath
		Paging
	},
	) (*page[usage.Discovered], error) {
		rows, next, err := s.Usage.Discovered(ctx, in.Organization, in.page())
		return listing(ctx, rows, next), err
	})
}

func (s *service) report(ctx context.Context, organization, id string, days int) (*body[usage.Report], error) {
	r, err := s.Usage.TokenUsage(ctx, organization, id, days)
	if err != nil {
		return nil, err
	}
	return &body[usage.Report]{*r}, nil
}

func (s *service) timeline(ctx context.Context, organization, id string, days int) (*body[[]usage.Event], error) {
	events, err := s.Usage.Timeline(ctx, organization, id, days)
	if err != nil {
		return nil, err
	}
	if events == nil {
		events = []usage.Event{}
	}
	return &body[[]usage.Event]{events}, nil
}
