package admin

import (
	"context"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Approval is the body that approves a token.
type Approval struct {
	Version int64         `json:"version" minimum:"1" doc:"The token's version as it was reviewed"`
	Grants  []authz.Grant `json:"grants,omitempty" doc:"A part of what is asked; by default all of it"`
	Until   *time.Time    `json:"until,omitempty"`
	Request string        `json:"request,omitempty" maxLength:"64" doc:"The id of the request that was reviewed; 409 where it is open no more"`
	Comment string        `json:"comment,omitempty" maxLength:"2000"`
}

// Denial is the body that denies a token.
type Denial struct {
	Version int64  `json:"version" minimum:"1" doc:"The token's version as it was reviewed"`
	Request string `json:"request,omitempty" maxLength:"64" doc:"The id of the request that was reviewed; 409 where it is open no more"`
	Reason  string `json:"reason" minLength:"1" maxLength:"2000" doc:"What the owner is told"`
}

func (s *service) approvals() {
	register(s, "list-approvals", "GET", "/api/organizations/{organization}/settings/approvals", "List approval requests, the oldest first unless sorted", func(ctx context.Context, in *struct {
		OrganizationPath
		Paging
		Status         string `query:"status" enum:"open,decided,withdrawn,all" default:"open"`
		Owner          string `query:"owner" maxLength:"96"`
		Assignee       string `query:"assignee" maxLength:"96" doc:"Who is to decide; - for nobody"`
		Group          string `query:"group" maxLength:"64" doc:"Requests that ask for the same"`
		Recommendation string `query:"recommendation" enum:"approve,deny,escalate"`
		Sort           string `query:"sort" enum:"oldest,risk" default:"oldest" doc:"risk: what the review rules would deny first, what they would approve last"`
	},
	) (*page[inventory.ApprovalRow], error) {
		rows, next, err := s.Queries.FindApprovals(ctx, in.Organization, inventory.ApprovalFilter{
			Status: in.Status, Owner: in.Owner, Assignee: in.Assignee, Group: in.Group, Recommendation: in.Recommendation, Sort: in.Sort,
		}, in.page())
		return listing(ctx, rows, next), err
	})
	register(s, "approve-token", "POST", "/api/organizations/{organization}/settings/tokens/{id}/approve", "Approve a token; 409 where it changed since it was reviewed", func(ctx context.Context, in *struct {
		OrganizationTokenPath
		Body Approval
	},
	) (*body[inventory.TokenRow], error) {
		return s.acted(ctx, inventory.Approve{
			Organization: in.Organization, Token: in.ID, Version: in.Body.Version, Grants: in.Body.Grants, Until: when(in.Body.Until), Request: in.Body.Request, Comment: in.Body.Comment,
		})
	})
	register(s, "deny-token", "POST", "/api/organizations/{organization}/settings/tokens/{id}/deny", "Deny a token, or take an approval back", func(ctx context.Context, in *struct {
		OrganizationTokenPath
		Body Denial
	},
	) (*body[inventory.TokenRow], error) {
		return s.acted(ctx, inventory.Deny{Organization: in.Organization, Token: in.ID, Version: in.Body.Version, Request: in.Body.Request, Reason: in.Body.Reason})
	})
}
