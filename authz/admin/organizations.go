package admin

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// OrganizationPath names the organization in a path.
type OrganizationPath struct {
	Organization string `path:"organization" maxLength:"96"`
}

// NewOrganization is the body that creates an organization.
type NewOrganization struct {
	Name        string         `json:"name" minLength:"1" maxLength:"96"`
	TokenPolicy string         `json:"token_policy,omitempty" maxLength:"100" doc:"A token policy of the active bundle; default allow_user_access_tokens"`
	Enforcement string         `json:"enforcement,omitempty" enum:"enforce,observe"`
	ManagedBy   string         `json:"managed_by,omitempty" maxLength:"100"`
	Settings    map[string]any `json:"settings,omitempty"`
}

// PolicyChange is the body that changes an organization's token policy.
type PolicyChange struct {
	TokenPolicy string     `json:"token_policy,omitempty" maxLength:"100"`
	EnforceAt   *time.Time `json:"enforce_at,omitempty" doc:"When the policy comes into force, at most 90 days ahead; by default now"`
	ClearNext   bool       `json:"clear_next,omitempty" doc:"Take a dated change back"`
	Enforcement string     `json:"enforcement,omitempty" enum:"enforce,observe"`
	// ExistingTokens goes with a policy that asks for an approval.
	ExistingTokens *ExistingTokens `json:"existing_tokens,omitempty" doc:"What becomes of the tokens that are there when the policy comes to ask for approvals; by default each asks at its next use"`
}

// PolicyState is an organization's token policy.
type PolicyState struct {
	TokenPolicy     string     `json:"token_policy"`
	NextTokenPolicy string     `json:"next_token_policy,omitempty" doc:"Comes into force at enforce_at"`
	EnforceAt       *time.Time `json:"enforce_at,omitempty"`
	Enforcement     string     `json:"enforcement"`
	Version         int64      `json:"version"`
}

func (s *service) organizations() {
	register(s, "list-organizations", "GET", "/api/organizations", "List organizations", func(ctx context.Context, in *struct{ Paging }) (*page[inventory.OrganizationRow], error) {
		rows, next, err := s.Queries.Organizations(ctx, in.page())
		return listing(ctx, rows, next), err
	})
	register(s, "create-organization", "POST", "/api/organizations", "Create an organization", func(ctx context.Context, in *struct{ Body NewOrganization }) (*versioned[inventory.OrganizationRow], error) {
		r, err := s.do(ctx, inventory.CreateOrganization(in.Body))
		if err != nil {
			return nil, err
		}
		return s.organizationAnswer(r.Organization), nil
	})
	register(s, "get-organization", "GET", "/api/organizations/{organization}", "Show an organization", func(ctx context.Context, in *OrganizationPath) (*versioned[inventory.OrganizationRow], error) {
		row, err := s.Queries.Organization(ctx, in.Organization)
		if err != nil {
			return nil, err
		}
		return s.organizationAnswer(row), nil
	})
	register(s, "delete-organization", "DELETE", "/api/organizations/{organization}", "Delete an organization without members", func(ctx context.Context, in *struct {
		OrganizationPath
		IfMatch
	},
	) (*struct{}, error) {
		_, err := s.organizationChanged(ctx, in.Organization, in.IfMatch.IfMatch, inventory.DeleteOrganization{Organization: in.Organization})
		return nil, err
	})
	register(s, "set-token-policy", "PUT", "/api/organizations/{organization}/settings/token-policy", "Change the token policy, now or at a date", s.setPolicy)
	register(s, "get-token-policy", "GET", "/api/organizations/{organization}/settings/token-policy", "Show the token policy", func(ctx context.Context, in *OrganizationPath) (*versioned[PolicyState], error) {
		row, err := s.Queries.Organization(ctx, in.Organization)
		if err != nil {
			return nil, err
		}
		return &versioned[PolicyState]{etag(row.Version), PolicyState{row.TokenPolicy, row.NextTokenPolicy, row.EnforceAt, row.Enforcement, row.Version}}, nil
	})
}

func (s *service) setPolicy(ctx context.Context, in *struct {
	OrganizationPath
	IfMatch
	Body PolicyChange
},
) (*versioned[inventory.OrganizationRow], error) {
	if in.Body == (PolicyChange{}) {
		return nil, &inventory.Invalid{Field: "body", Problem: "changes nothing: give token_policy, enforcement or clear_next"}
	}
	r, err := s.organizationChanged(ctx, in.Organization, in.IfMatch.IfMatch, inventory.SetPolicy{
		Organization: in.Organization, TokenPolicy: in.Body.TokenPolicy, EnforceAt: when(in.Body.EnforceAt),
		ClearNext: in.Body.ClearNext, Enforcement: in.Body.Enforcement, Existing: in.Body.ExistingTokens.command(),
	})
	if err != nil {
		return nil, err
	}
	return s.organizationAnswer(r.Organization), nil
}

func (s *service) organizationChanged(ctx context.Context, name, match string, c inventory.Command) (inventory.Result, error) {
	return changed(ctx, s, match, c, func() (*inventory.OrganizationRow, error) { return s.Queries.Organization(ctx, name) })
}

// AuditFilter narrows a listing of the audit log.
type AuditFilter struct {
	Actor  string    `query:"actor" maxLength:"200" doc:"Who did it, by name: alice, or uid:1000 for the socket's peer"`
	Action string    `query:"action" maxLength:"64" doc:"What was done: token.revoke, or all of a kind: token"`
	Token  string    `query:"token" maxLength:"64" doc:"The id of the token that it is about"`
	User   string    `query:"user" maxLength:"96" doc:"The member whom it is about"`
	Since  time.Time `query:"since" doc:"Only what was done at this time or later"`
	Until  time.Time `query:"until" doc:"Only what was done before this time"`
}

// Resolve refuses a time that is there and empty: it would narrow nothing.
func (*AuditFilter) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	given := u.Query()
	for _, name := range []string{"since", "until"} {
		if given.Has(name) && given.Get(name) == "" {
			return []error{problem(&inventory.Invalid{Field: name, Problem: "is empty: leave it out, or give a time such as 2026-12-31T12:00:00Z"})}
		}
	}
	return nil
}

func (f AuditFilter) audit() inventory.AuditFilter { return inventory.AuditFilter(f) }

func (s *service) audit() {
	register(s, "list-audit", "GET", "/api/audit", "List the audit log, newest first", func(ctx context.Context, in *struct {
		Paging
		AuditFilter
	},
	) (*page[inventory.AuditRow], error) {
		rows, next, err := s.Queries.FindAudit(ctx, "", in.audit(), in.page())
		return listing(ctx, rows, next), err
	})
	register(s, "list-organization-audit", "GET", "/api/organizations/{organization}/audit", "List an organization's part of the audit log, newest first", func(ctx context.Context, in *struct {
		OrganizationPath
		Paging
		AuditFilter
	},
	) (*page[inventory.AuditRow], error) {
		rows, next, err := s.Queries.FindAudit(ctx, in.Organization, in.audit(), in.page())
		return listing(ctx, rows, next), err
	})
}
