package admin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// Whoami is who asks, in the shape of the hub's own whoami-v2.
type Whoami struct {
	Type string               `json:"type" doc:"user, service_account, or socket"`
	ID   string               `json:"id,omitempty"`
	Name string               `json:"name"`
	Orgs []WhoamiOrganization `json:"orgs"`
	Auth WhoamiAuth           `json:"auth"`
}

// WhoamiOrganization is an organization that the caller is a member of.
type WhoamiOrganization struct {
	Type      string `json:"type"`
	ID        string `json:"id"`
	Name      string `json:"name"`
	RoleInOrg string `json:"roleInOrg"`
	// SecurityRestrictions say why the token does not reach the organization.
	SecurityRestrictions []string `json:"securityRestrictions,omitempty" doc:"token-policy, token-revoked"`
	// Reason is patrol's own code of the restriction.
	Reason string `json:"reason,omitempty" doc:"The reason's code, for example approval_pending"`
}

// WhoamiAuth is how the caller is known.
type WhoamiAuth struct {
	Type        string       `json:"type" doc:"access_token or socket"`
	AccessToken *WhoamiToken `json:"accessToken,omitempty"`
}

// WhoamiToken is the calling token.
type WhoamiToken struct {
	ID          string             `json:"_id"`
	DisplayName string             `json:"displayName"`
	Role        string             `json:"role" doc:"read, write or fineGrained"`
	CreatedAt   time.Time          `json:"createdAt"`
	ExpiresAt   *time.Time         `json:"expiresAt,omitempty"`
	FineGrained *WhoamiFineGrained `json:"fineGrained,omitempty"`
}

// WhoamiFineGrained are a fine-grained token's permissions.
type WhoamiFineGrained struct {
	CanReadGatedRepos bool          `json:"canReadGatedRepos"`
	Global            []string      `json:"global"`
	Scoped            []WhoamiScope `json:"scoped"`
}

// WhoamiScope is a grant.
type WhoamiScope struct {
	Entity      WhoamiEntity `json:"entity"`
	Permissions []string     `json:"permissions"`
}

// WhoamiEntity is what a grant is about.
type WhoamiEntity struct {
	ID   string `json:"_id"`
	Type string `json:"type"`
	Name string `json:"name"`
}

// hubRole is a token's kind as the hub spells it.
func hubRole(kind string) string {
	if kind == authz.KindFineGrained {
		return "fineGrained"
	}
	return kind
}

func (s *service) whoami(ctx context.Context, _ *struct{}) (*body[Whoami], error) {
	c := callerOf(ctx)
	if c == nil {
		return nil, errNoActor
	}
	if c.token == nil {
		return &body[Whoami]{Whoami{Type: c.actor.Kind, Name: c.actor.Name, Orgs: []WhoamiOrganization{}, Auth: WhoamiAuth{Type: c.actor.Kind}}}, nil
	}
	t := c.token
	out := Whoami{Type: t.Owner.Type, ID: t.Owner.ID, Name: t.Owner.Name, Orgs: []WhoamiOrganization{}}
	out.Auth = WhoamiAuth{Type: "access_token", AccessToken: &WhoamiToken{
		ID: t.ID, DisplayName: t.DisplayName, Role: hubRole(t.Kind), CreatedAt: t.CreatedAt, FineGrained: fineGrained(t),
	}}
	if !t.ExpiresAt.IsZero() {
		out.Auth.AccessToken.ExpiresAt = &t.ExpiresAt
	}
	for _, m := range s.Decider.Memberships(t.Owner.ID) {
		o := WhoamiOrganization{Type: "org", ID: m.Organization.ID, Name: m.Organization.Name, RoleInOrg: m.Role}
		o.SecurityRestrictions, o.Reason = s.restrictions(ctx, c, o.Name)
		out.Orgs = append(out.Orgs, o)
	}
	slices.SortFunc(out.Orgs, func(a, b WhoamiOrganization) int { return strings.Compare(a.Name, b.Name) })
	return &body[Whoami]{out}, nil
}

func fineGrained(t *authz.Token) *WhoamiFineGrained {
	if t.Kind != authz.KindFineGrained {
		return nil
	}
	out := &WhoamiFineGrained{Global: append([]string{}, t.Global...), Scoped: []WhoamiScope{}}
	for _, g := range t.Grants.All() {
		e := WhoamiEntity{ID: g.Entity.ID, Type: g.Entity.Type, Name: g.Entity.Name}
		if e.Type == "organization" {
			e.Type = "org"
		}
		out.Scoped = append(out.Scoped, WhoamiScope{e, g.Permissions})
	}
	return out
}

// restrictions say why an organization's policy keeps the token out. What the
// token may do there, or lacks, is no restriction.
func (s *service) restrictions(ctx context.Context, c *caller, organization string) (restrictions []string, reason string) {
	out := s.Decider.ExplainOn(ctx, c.request, organizationRoute("whoami", organization, orgRead))
	if out.Decision.Allowed {
		return nil, ""
	}
	switch out.Decision.Reason {
	case authz.ReasonInsufficientPermission, "no_grant":
		return nil, ""
	case authz.ReasonTokenRevoked:
		return []string{"token-revoked"}, out.Decision.Reason
	}
	return []string{"token-policy"}, out.Decision.Reason
}
