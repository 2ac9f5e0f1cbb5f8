package admin

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
)

// NewToken is the body that issues a token.
type NewToken struct {
	Owner       string        `json:"owner" minLength:"1" maxLength:"96"`
	DisplayName string        `json:"display_name" minLength:"1" maxLength:"200"`
	Kind        string        `json:"kind" enum:"read,write,fine-grained"`
	Grants      []authz.Grant `json:"grants,omitempty"`
	Global      []string      `json:"global,omitempty" maxItems:"20" doc:"Permissions that belong to no organization; patrol.operate makes a system owner's token an operator's"`
	ExpiresAt   *time.Time    `json:"expires_at,omitempty"`
	Purpose     string        `json:"purpose,omitempty" maxLength:"2000"`
	Contact     string        `json:"contact,omitempty" maxLength:"254"`
}

// IssuedToken is a new token with its secret, which is shown this once.
type IssuedToken struct {
	inventory.TokenRow
	Secret string `json:"token" doc:"The secret; it cannot be shown again"`
}

func (t IssuedToken) withoutSecret() any { return t.TokenRow }

// Listed is a token in the shape of the hub's own listing.
type Listed struct {
	ID            string                      `json:"_id"`
	DisplayName   string                      `json:"displayName"`
	Owner         string                      `json:"owner"`
	Role          string                      `json:"role"`
	Last4         string                      `json:"last4"`
	CreatedAt     time.Time                   `json:"createdAt"`
	ExpiresAt     *time.Time                  `json:"expiresAt,omitempty"`
	Authorization *inventory.AuthorizationRow `json:"authorization,omitempty"`
	Version       int64                       `json:"version"`
	LastUsedAt    *time.Time                  `json:"lastUsedAt,omitempty"`
	Findings      []string                    `json:"findings,omitempty"`
	Source        string                      `json:"source"` // issued, imported, jwt, introspection
}

func listed(t *inventory.TokenRow) Listed {
	return Listed{t.ID, t.DisplayName, t.Owner, hubRole(t.Kind), t.Last4, t.CreatedAt, t.ExpiresAt, t.Authorization, t.Version, t.LastUsedAt, t.Findings, t.Source}
}

// OrganizationToken is a token as an organization sees it, and how it stands there.
type OrganizationToken struct {
	inventory.TokenRow
	Standing *preview.Standing `json:"standing,omitempty" doc:"How what it may do there would be decided now"`
}

// standing adds to a token how it stands. That it cannot be judged keeps nobody
// from seeing the token.
func (s *service) standing(ctx context.Context, row *inventory.TokenRow) OrganizationToken {
	out := OrganizationToken{TokenRow: s.marked(row)}
	all, err := s.Previews.Stand(ctx, row.Organization, []string{row.ID}, preview.ManyTries)
	if err != nil {
		out.Standing = &preview.Standing{Judged: preview.Judged{Reason: authz.ReasonPolicyError}, Error: err.Error()}
	} else {
		out.Standing = all[row.ID]
	}
	return out
}

// TokenPath names a token in a path.
type TokenPath struct {
	ID string `path:"id" maxLength:"64"`
}

// OrganizationTokenPath names a token of an organization in a path.
type OrganizationTokenPath struct {
	OrganizationPath
	TokenPath
}

// Comment is the body of an action on a token.
type Comment struct {
	Comment string `json:"comment,omitempty" maxLength:"2000"`
}

func (s *service) tokens() {
	register(s, "issue-token", "POST", "/api/tokens", "Issue a token; its secret is shown once", s.issue)
	s.imports()
	s.find()
	register(s, "list-tokens", "GET", "/api/tokens", "List all tokens, the newest first unless sorted", func(ctx context.Context, in *struct {
		Paging
		Filter
	},
	) (*page[inventory.TokenRow], error) {
		rows, next, err := s.Queries.Tokens(ctx, "", in.tokens(), in.page())
		return listing(ctx, rows, next), err
	})
	register(s, "list-organization-tokens", "GET", "/api/organizations/{organization}/settings/tokens", "List the tokens that reach an organization, the newest first unless sorted; revoked ones by status=all", func(ctx context.Context, in *struct {
		OrganizationPath
		Paging
		Filter
		Status   string `query:"status" enum:"all,none,pending,pending_frozen,approved,approval_ended,denied,suspended,revoked" doc:"Revoked tokens are hidden unless asked for"`
		Finding  string `query:"finding" maxLength:"64" doc:"Only tokens of which this was found, such as unused"`
		Severity string `query:"severity" enum:"low,medium,high" doc:"Only tokens of which something of this severity, or graver, was found; with finding: of that finding"`
	},
	) (*page[Listed], error) {
		filter := in.tokens()
		filter.Status, filter.Finding, filter.Severity = in.Status, in.Finding, in.Severity
		rows, next, err := s.Queries.Tokens(ctx, in.Organization, filter, in.page())
		out := make([]Listed, len(rows))
		for i := range rows {
			out[i] = listed(&rows[i])
		}
		return listing(ctx, out, next), err
	})
	register(s, "get-token", "GET", "/api/tokens/{id}", "Show a token", func(ctx context.Context, in *TokenPath) (*versioned[inventory.TokenRow], error) {
		row, err := s.Queries.Token(ctx, "", in.ID)
		if err != nil {
			return nil, err
		}
		return s.tokenAnswer(row), nil
	})
	register(s, "get-organization-token", "GET", "/api/organizations/{organization}/settings/tokens/{id}", "Show a token as an organization sees it", func(ctx context.Context, in *OrganizationTokenPath) (*versioned[OrganizationToken], error) {
		row, err := s.Queries.Token(ctx, in.Organization, in.ID)
		if err != nil {
			return nil, err
		}
		return &versioned[OrganizationToken]{etag(row.Version), s.standing(ctx, row)}, nil
	})
	register(s, "delete-token", "DELETE", "/api/tokens/{id}", "Delete a token; what was decided on it is kept", func(ctx context.Context, in *struct {
		TokenPath
		IfMatch
	},
	) (*struct{}, error) {
		_, err := s.tokenChanged(ctx, in.ID, in.IfMatch.IfMatch, inventory.DeleteToken{Token: in.ID})
		return nil, err
	})
	s.actions()
}

// actions are what stops tokens, and lets them go on.
func (s *service) actions() {
	s.everywhere("disable", "Stop a token everywhere", func(id, comment string) inventory.Command { return inventory.DisableToken{Token: id, Comment: comment} })
	s.everywhere("enable", "Let a disabled token go on", func(id, comment string) inventory.Command { return inventory.EnableToken{Token: id, Comment: comment} })
	s.action("revoke", "End a token's access to the organization for ever", func(org, id, comment string) inventory.Command {
		return inventory.RevokeToken{Organization: org, Token: id, Comment: comment}
	})
	s.action("suspend", "Stop a token's access until it is resumed", func(org, id, comment string) inventory.Command {
		return inventory.SuspendToken{Organization: org, Token: id, Comment: comment}
	})
	s.action("resume", "Let a suspended token go on", func(org, id, comment string) inventory.Command {
		return inventory.ResumeToken{Organization: org, Token: id, Comment: comment}
	})
}

// Filter narrows a listing of tokens.
type Filter struct {
	Kind  string `query:"kind" enum:"read,write,fine-grained"`
	Owner string `query:"owner" maxLength:"96"`
	Query string `query:"q" maxLength:"200" doc:"Part of the name"`
	Sort  string `query:"sort" enum:"name,-name,owner,-owner,created,-created,last_used,-last_used,severity,-severity" doc:"The order, with a - the other way round; by default the newest first by when they were made, where an owner, a status or a finding is not that of more than 1,000 (then as they came to the inventory). last_used and severity (of the gravest finding) are an organization's"`
}

func (f Filter) tokens() inventory.TokenFilter {
	return inventory.TokenFilter{Kind: f.Kind, Owner: f.Owner, Query: f.Query, Sort: f.Sort}
}

func (s *service) issue(ctx context.Context, in *struct{ Body NewToken }) (*body[IssuedToken], error) {
	if err := s.withinOwn(ctx, &in.Body); err != nil {
		return nil, err
	}
	if err := checkGlobal("global", in.Body.Global); err != nil {
		return nil, err
	}
	secret := credential.Generate()
	c := inventory.IssueToken{
		Owner: in.Body.Owner, DisplayName: in.Body.DisplayName, Kind: in.Body.Kind, Grants: in.Body.Grants, Global: in.Body.Global,
		Purpose: in.Body.Purpose, Contact: in.Body.Contact, Digest: s.Digester.Secret(secret), Last4: secret.Last4(),
		ExpiresAt: when(in.Body.ExpiresAt),
	}
	r, err := s.do(ctx, c)
	if err != nil {
		return nil, err
	}
	return &body[IssuedToken]{IssuedToken{s.marked(r.Token), secret.Reveal()}}, nil
}

var validGlobal = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,63}$`)

func checkGlobal(field string, permissions []string) error {
	for i, p := range permissions {
		if !validGlobal.MatchString(p) {
			return &inventory.Invalid{Field: fmt.Sprintf("%s[%d]", field, i), Problem: "is no permission's name"}
		}
	}
	return nil
}

func when(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// everywhere registers an action on a token as a whole.
func (s *service) everywhere(name, summary string, command func(id, comment string) inventory.Command) {
	register(s, name+"-token", "POST", "/api/tokens/{id}/"+name, summary, func(ctx context.Context, in *struct {
		TokenPath
		IfMatch
		Body *Comment `required:"false"`
	},
	) (*versioned[inventory.TokenRow], error) {
		r, err := s.tokenChanged(ctx, in.ID, in.IfMatch.IfMatch, command(in.ID, comment(in.Body)))
		if err != nil {
			return nil, err
		}
		return s.tokenAnswer(r.Token), nil
	})
}

func (s *service) tokenChanged(ctx context.Context, id, match string, c inventory.Command) (inventory.Result, error) {
	return changed(ctx, s, match, c, func() (*inventory.TokenRow, error) { return s.Queries.Token(ctx, "", id) })
}

// action registers an action of an organization on a token.
func (s *service) action(name, summary string, command func(org, id, comment string) inventory.Command) {
	register(s, name+"-organization-token", "POST", "/api/organizations/{organization}/settings/tokens/{id}/"+name, summary, func(ctx context.Context, in *struct {
		OrganizationTokenPath
		IfMatch
		Body *Comment `required:"false"`
	},
	) (*versioned[inventory.TokenRow], error) {
		r, err := changed(ctx, s, in.IfMatch.IfMatch, command(in.Organization, in.ID, comment(in.Body)), func() (*inventory.TokenRow, error) {
			return s.Queries.Token(ctx, in.Organization, in.ID)
		})
		if err != nil {
			return nil, err
		}
		return s.tokenAnswer(r.Token), nil
	})
}

func comment(c *Comment) string {
	if c == nil {
		return ""
	}
	return c.Comment
}

func (s *service) acted(ctx context.Context, c inventory.Command) (*body[inventory.TokenRow], error) {
	r, err := s.do(ctx, c)
	if err != nil {
		return nil, err
	}
	return &body[inventory.TokenRow]{*r.Token}, nil
}
