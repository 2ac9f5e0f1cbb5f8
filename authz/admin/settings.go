package admin

import (
	"context"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// SettingsChange is the body that changes an organization's settings.
type SettingsChange struct {
	Settings map[string]any `json:"settings" doc:"The settings to change; null takes one back"`
}

// NewName is the body that renames an organization.
type NewName struct {
	Name string `json:"name" minLength:"1" maxLength:"96"`
}

// ExistingTokens says what becomes of the tokens that an approval policy meets.
type ExistingTokens struct {
	Mode  string     `json:"mode" enum:"ask,approve_used_within" doc:"ask: a request is opened for each, now; approve_used_within: those used within days are approved until then"`
	Days  int        `json:"days,omitempty" minimum:"1" maximum:"365"`
	Until *time.Time `json:"until,omitempty"`
}

func (e *ExistingTokens) command() *inventory.ExistingTokens {
	if e == nil {
		return nil
	}
	return &inventory.ExistingTokens{Mode: e.Mode, Days: e.Days, Until: when(e.Until)}
}

func (s *service) settings() {
	register(s, "change-settings", "PATCH", "/api/organizations/{organization}/settings", "Change settings: four_eyes, request_cooldown_hours, review_act, max_token_age_days, max_token_lifetime_days, public_read, and an operator's own", func(ctx context.Context, in *struct {
		OrganizationPath
		IfMatch
		Body SettingsChange
	},
	) (*versioned[inventory.OrganizationRow], error) {
		return s.organizationChange(ctx, in.Organization, in.IfMatch.IfMatch, inventory.ChangeSettings{Organization: in.Organization, Settings: in.Body.Settings})
	})
	register(s, "rename-organization", "POST", "/api/organizations/{organization}/rename", "Give an organization another name; the old one leads to it still", func(ctx context.Context, in *struct {
		OrganizationPath
		IfMatch
		Body NewName
	},
	) (*versioned[inventory.OrganizationRow], error) {
		return s.organizationChange(ctx, in.Organization, in.IfMatch.IfMatch, inventory.RenameOrganization{Organization: in.Organization, Name: in.Body.Name})
	})
}

func (s *service) organizationChange(ctx context.Context, name, match string, c inventory.Command) (*versioned[inventory.OrganizationRow], error) {
	r, err := s.organizationChanged(ctx, name, match, c)
	if err != nil {
		return nil, err
	}
	return s.organizationAnswer(r.Organization), nil
}
