package admin

import (
	"context"
	"net/url"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
)

// Previews says whom a change of an organization's policy would break, and how
// tokens stand at present.
type Previews interface {
	Preview(context.Context, preview.Change, preview.Query) (*preview.Preview, error)
	Stand(ctx context.Context, organization string, tokens []string, most int) (map[string]*preview.Standing, error)
}

// PolicyPreview is the body that asks whom a change would break. Without a
// change it is about the dated one that is set.
type PolicyPreview struct {
	PolicyChange
	Settings map[string]any `json:"settings,omitempty" doc:"Settings that would be changed too, such as max_token_age_days; null takes one back"`
	Days     int            `json:"days,omitempty" minimum:"1" maximum:"90" doc:"How far back usage is looked at; default 30"`
}

// previewed is a report; Link leads to the next page of its tokens.
type previewed struct {
	Link string `header:"Link"`
	Body *preview.Preview
}

func (s *service) previews() {
	register(s, "preview-token-policy", "POST", "/api/organizations/{organization}/settings/token-policy/preview", "Say whom a change of the token policy would break; changes nothing", func(ctx context.Context, in *struct {
		OrganizationPath
		Paging
		Outcome string `query:"outcome" enum:"breaks,starts,approved,waived,refused" default:"breaks" doc:"Which tokens are listed"`
		Owner   string `query:"owner" maxLength:"96" doc:"List only this owner's tokens"`
		Reason  string `query:"reason" maxLength:"100" doc:"List only tokens with this reason"`
		Body    PolicyPreview
	},
	) (*previewed, error) {
		b := &in.Body
		r, err := s.Previews.Preview(ctx, preview.Change{
			Policy: inventory.SetPolicy{
				Organization: in.Organization, TokenPolicy: b.TokenPolicy, EnforceAt: when(b.EnforceAt), ClearNext: b.ClearNext,
				Enforcement: b.Enforcement, Existing: b.ExistingTokens.command(),
			},
			Settings: b.Settings, Days: b.Days,
		}, preview.Query{Outcome: in.Outcome, Owner: in.Owner, Reason: in.Reason, Page: in.page()})
		if err != nil {
			return nil, err
		}
		out := &previewed{Body: r}
		if u := requestOf(ctx).url; u != nil && r.Next != "" {
			out.Link = linkTo(u, r.Next)
		}
		return out, nil
	})
}

// linkTo leads to the page after a cursor (RFC 8288).
func linkTo(u *url.URL, cursor string) string {
	query := u.Query()
	query.Set("cursor", cursor)
	return "<" + u.EscapedPath() + "?" + query.Encode() + `>; rel="next"`
}
