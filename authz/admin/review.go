package admin

import (
	"context"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// ApprovalPages are the queries on approval requests beyond a plain listing.
type ApprovalPages interface {
	FindApprovals(ctx context.Context, organization string, f inventory.ApprovalFilter, p inventory.Page) (rows []inventory.ApprovalRow, next string, err error)
	ApprovalGroups(ctx context.Context, organization string) ([]inventory.ApprovalGroup, error)
}

// Text is the body of what is said about a request.
type Text struct {
	Text string `json:"text" minLength:"1" maxLength:"2000"`
}

// Assignment is the body that says who is to decide.
type Assignment struct {
	Assignee string `json:"assignee" maxLength:"96" doc:"An administrator or reviewer; empty takes it back"`
}

// Purpose is the body with which an owner asks.
type Purpose struct {
	Purpose string `json:"purpose" minLength:"1" maxLength:"2000" doc:"What the token is for; administrators read it"`
}

func (s *service) review() {
	register(s, "list-approval-groups", "GET", "/api/organizations/{organization}/settings/approvals/groups", "Group the open requests by what they ask for, the largest group first", func(ctx context.Context, in *OrganizationPath) (*body[[]inventory.ApprovalGroup], error) {
		groups, err := s.Queries.ApprovalGroups(ctx, in.Organization)
		if groups == nil {
			groups = []inventory.ApprovalGroup{}
		}
		return &body[[]inventory.ApprovalGroup]{groups}, err
	})
	onRequest(s, "comment", "Comment on a token's open request", func(p OrganizationTokenPath, in *Text) inventory.Command {
		return inventory.CommentRequest{Organization: p.Organization, Token: p.ID, Comment: in.Text}
	})
	onRequest(s, "question", "Ask the owner something about a token's open request", func(p OrganizationTokenPath, in *Text) inventory.Command {
		return inventory.AskOwner{Organization: p.Organization, Token: p.ID, Question: in.Text}
	})
	onRequest(s, "assign", "Say who is to decide a token's open request", func(p OrganizationTokenPath, in *Assignment) inventory.Command {
		return inventory.AssignRequest{Organization: p.Organization, Token: p.ID, Assignee: in.Assignee}
	})
	onRequest(s, "ask", "Ask for an approval with a purpose: for the owner; after a denial not before the organization's cooldown", func(p OrganizationTokenPath, in *Purpose) inventory.Command {
		return inventory.AskAgain{Organization: p.Organization, Token: p.ID, Purpose: in.Purpose}
	})
	onRequest(s, "answer", "Answer a question about a token's open request: for the owner", func(p OrganizationTokenPath, in *Text) inventory.Command {
		return inventory.CommentRequest{Organization: p.Organization, Token: p.ID, Comment: in.Text}
	})
	s.requestAction("remind", "Remind whoever is to decide a token's open request, at most once an hour", func(org, id, _ string) inventory.Command {
		return inventory.RemindRequest{Organization: org, Token: id}
	})
	s.requestAction("escalate", "Leave a token's open request to administrators", func(org, id, comment string) inventory.Command {
		return inventory.EscalateRequest{Organization: org, Token: id, Comment: comment}
	})
	s.requestAction("withdraw", "Take a token's open request back: for the owner", func(org, id, comment string) inventory.Command {
		return inventory.WithdrawRequest{Organization: org, Token: id, Comment: comment}
	})
}

// onRequest registers an operation on the open request of a token.
func onRequest[B any](s *service, name, summary string, command func(OrganizationTokenPath, *B) inventory.Command) {
	register(s, name+"-request", "POST", "/api/organizations/{organization}/settings/tokens/{id}/"+name, summary, func(ctx context.Context, in *struct {
		OrganizationTokenPath
		Body B
	},
	) (*body[inventory.ApprovalRow], error) {
		return s.asked(ctx, command(in.OrganizationTokenPath, &in.Body))
	})
}

// requestAction registers an operation on a request that needs no body.
func (s *service) requestAction(name, summary string, command func(org, id, comment string) inventory.Command) {
	register(s, name+"-request", "POST", "/api/organizations/{organization}/settings/tokens/{id}/"+name, summary, func(ctx context.Context, in *struct {
		OrganizationTokenPath
		Body *Comment `required:"false"`
	},
	) (*body[inventory.ApprovalRow], error) {
		return s.asked(ctx, command(in.Organization, in.ID, comment(in.Body)))
	})
}

func (s *service) asked(ctx context.Context, c inventory.Command) (*body[inventory.ApprovalRow], error) {
	r, err := s.do(ctx, c)
	if err != nil {
		return nil, ownersConflict(ctx, err)
	}
	if owns(ctx, r.Approval.Owner) {
		r.Approval = ownersRequest(r.Approval)
	}
	return &body[inventory.ApprovalRow]{*r.Approval}, nil
}
