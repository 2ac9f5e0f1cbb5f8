package admin

import (
	"context"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// NewMember is the body that adds a member or changes a role.
type NewMember struct {
	Role  string `json:"role,omitempty" enum:"admin,reviewer,write,contributor,read,no_access" doc:"By default as it is; of a new member read"`
	Type  string `json:"type,omitempty" enum:"user,service_account" doc:"By default as it is; of a new one user"`
	Email string `json:"email,omitempty" maxLength:"254" doc:"A link to confirm it is mailed there, unless confirmed is true; mails that tell of tokens go to confirmed addresses only"`
	// Confirmed and Responsible go beside what is there.
	Confirmed   bool      `json:"confirmed,omitempty" doc:"The address is known to be the member's"`
	Responsible *[]string `json:"responsible,omitempty" maxItems:"10" doc:"The members who answer for a service account; by default as they are"`
}

// confirmed is how an address that is said to be confirmed is known to be so.
func (m *NewMember) confirmed() string {
	if m.Confirmed {
		return inventory.ConfirmedByAdministrator
	}
	return ""
}

// MemberPath names a member in a path.
type MemberPath struct {
	OrganizationPath
	User string `path:"user" maxLength:"96"`
}

// Force is the query parameter that does what would leave nobody to administer.
type Force struct {
	Force bool `query:"force" doc:"Also where the organization would have no administrator left"`
}

func (s *service) members() {
	register(s, "list-members", "GET", "/api/organizations/{organization}/members", "List members", func(ctx context.Context, in *struct {
		OrganizationPath
		Paging
		Role    string `query:"role" enum:"admin,reviewer,write,contributor,read,no_access"`
		Type    string `query:"type" enum:"user,service_account"`
		Address string `query:"address" enum:"confirmed,unconfirmed,none" doc:"Whether mails that tell of tokens reach the member"`
		Query   string `query:"q" maxLength:"200" doc:"Part of the name or the address"`
	},
	) (*page[inventory.MemberRow], error) {
		rows, next, err := s.Queries.FindMembers(ctx, in.Organization, inventory.MemberFilter{Role: in.Role, Type: in.Type, Address: in.Address, Query: in.Query}, in.page())
		return listing(ctx, rows, next), err
	})
	register(s, "set-member", "PUT", memberPath, "Add a member or change a role", func(ctx context.Context, in *struct {
		MemberPath
		IfMatch
		IfNoneMatch
		Force
		Body NewMember
	},
	) (*versioned[inventory.MemberRow], error) {
		person := func(asked bool) error {
			return s.judge(ctx, func(q *question) { q.Asked = map[string]any{"person": asked} })
		}
		if err := person(in.Body.Email != "" || in.Body.Confirmed); err != nil {
			return nil, err
		}
		return s.memberChanged(ctx, &in.MemberPath, in.IfMatch, in.IfNoneMatch, inventory.AddMember{
			Organization: in.Organization, User: in.User, Type: in.Body.Type, Role: in.Body.Role, Email: in.Body.Email, Confirmed: in.Body.confirmed(),
			Responsible: in.Body.Responsible, Whole: person(true) == nil, KeepsAdmin: !in.Force.Force,
		})
	})
	register(s, "get-member", "GET", memberPath, "Show a member", func(ctx context.Context, in *MemberPath) (*versioned[inventory.MemberRow], error) {
		row, err := s.Queries.Member(ctx, in.Organization, in.User)
		if err != nil {
			return nil, err
		}
		return memberAnswer(row), nil
	})
	s.onMember("confirm-member", "/confirm", "Confirm a member's address on the caller's word", func(organization, user string) inventory.Command {
		return inventory.ConfirmAddress{Organization: organization, User: user, By: inventory.ConfirmedByAdministrator}
	})
	s.onMember("ask-confirmation", "/ask-confirmation", "Mail a member a link to confirm the address, at most once an hour", func(organization, user string) inventory.Command {
		return inventory.AskConfirmation{Organization: organization, User: user}
	})
	register(s, "remove-member", "DELETE", memberPath, "Remove a member; the approvals of the member's tokens end", func(ctx context.Context, in *struct {
		MemberPath
		IfMatch
		Force
	},
	) (*struct{}, error) {
		_, err := s.memberChanged(ctx, &in.MemberPath, in.IfMatch, IfNoneMatch{}, inventory.RemoveMember{Organization: in.Organization, User: in.User, KeepsAdmin: !in.Force.Force})
		return nil, err
	})
}

const memberPath = "/api/organizations/{organization}/members/{user}"

// memberChange is a change of a member without a body.
type memberChange struct {
	MemberPath
	IfMatch
}

// onMember registers a change of a member that needs no body.
func (s *service) onMember(id, under, summary string, command func(organization, user string) inventory.Command) {
	register(s, id, "POST", memberPath+under, summary, func(ctx context.Context, in *memberChange) (*versioned[inventory.MemberRow], error) {
		return s.memberChanged(ctx, &in.MemberPath, in.IfMatch, IfNoneMatch{}, command(in.Organization, in.User))
	})
}

// memberChanged carries out a change of a member, of one who is there as it was
// read, or of none.
func (s *service) memberChanged(ctx context.Context, of *MemberPath, is IfMatch, none IfNoneMatch, c inventory.Command) (*versioned[inventory.MemberRow], error) {
	match := is.IfMatch
	switch {
	case match != "" && none.IfNoneMatch != "":
		return nil, &inventory.Invalid{Field: "If-None-Match", Problem: "contradicts If-Match: give one of them"}
	case none.IfNoneMatch != "":
		c = inventory.IfVersion{Command: c}
	case match == "*":
		c = inventory.IfVersion{Command: c, Version: inventory.AnyVersion}
	}
	r, err := changed(ctx, s, match, c, func() (*inventory.MemberRow, error) { return s.Queries.Member(ctx, of.Organization, of.User) })
	if err != nil {
		return nil, err
	}
	return memberAnswer(r.Member), nil
}
