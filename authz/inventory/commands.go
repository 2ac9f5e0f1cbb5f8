package inventory

import (
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// Actor is who commands a change, as the audit shows it.
type Actor struct {
	Kind string `json:"kind"` // socket, token, console, policy, system
	Name string `json:"name"` // a user's name, or "uid:1000" for a socket's peer
}

// Command is a change that somebody asks for. Each is a struct of this file;
// the rules of what it does are pure functions (see Apply).
type Command interface {
	// Action names the command in the audit, for example "token.revoke".
	Action() string
}

// IfVersion carries a command out only while the organization or token that it
// changes stands at a version, as an earlier answer showed it; otherwise it is
// [Stale] and changes nothing. Approve and Deny have a version of their own.
type IfVersion struct {
	Command
	Version int64
}

// Organizations.
type (
	// CreateOrganization makes an organization.
	CreateOrganization struct {
		Name        string
		TokenPolicy string // default allow_user_access_tokens
		Enforcement string // default enforce
		ManagedBy   string
		Settings    map[string]any
	}

	// SetPolicy changes an organization's token policy, at once or, with
	// EnforceAt, at a date at most 90 days ahead. Empty members stay as they
	// are; ClearNext takes a dated change back.
	SetPolicy struct {
		Organization string
		TokenPolicy  string
		EnforceAt    time.Time
		ClearNext    bool
		Enforcement  string
	}

	// DeleteOrganization removes an organization that has no members left but
	// its administrators; its tokens' authorizations end with it.
	DeleteOrganization struct{ Organization string }
)

// Members and users.
type (
	// AddMember adds a user (made if unknown) or changes the role of one.
	AddMember struct {
		Organization string
		User         string
		Type         string // user (default) or service_account
		Role         string // admin, write, contributor, read, no_access
		Email        string
	}

	// RemoveMember ends a membership.
	RemoveMember struct{ Organization, User string }
)

// Tokens.
type (
	// IssueToken makes a token; its secret is returned once.
	IssueToken struct {
		Owner       string
		DisplayName string
		Kind        string
		Grants      []authz.Grant // entities by type and name; ids are filled in
		Global      []string
		ExpiresAt   time.Time
		Purpose     string
		Contact     string
		// Digest and Last4 are those of the secret, which the caller generated
		// (package credential): the store never sees it.
		Digest authz.Digest
		Last4  string
	}

	// ImportTokens brings existing tokens in, all or none.
	ImportTokens struct{ Tokens []ImportToken }

	// ImportToken is one token to import, known by its keyed digest.
	ImportToken struct {
		Digest      authz.Digest
		Owner       string
		DisplayName string
		Kind        string
		Grants      []authz.Grant
		Global      []string
		Last4       string
		CreatedAt   time.Time
		ExpiresAt   time.Time
		Purpose     string
		Contact     string
	}

	// RevokeToken ends a token's access to an organization for ever.
	RevokeToken struct{ Organization, Token, Comment string }
	// SuspendToken stops a token's access to an organization until resumed.
	SuspendToken struct{ Organization, Token, Comment string }
	// ResumeToken ends a suspension.
	ResumeToken struct{ Organization, Token, Comment string }
	// DisableToken stops a token everywhere: it is answered as unknown.
	DisableToken struct{ Token, Comment string }
	// EnableToken takes DisableToken back.
	EnableToken struct{ Token, Comment string }
	// DeleteToken hides a token and leaves a tombstone by digest: importing it
	// again never clears a revocation.
	DeleteToken struct{ Token, Comment string }
)

// Approval.
type (
	// OpenRequest opens an approval request; the decision path's one command.
	// It does nothing where one is open or the policy asks for none.
	OpenRequest struct {
		Organization string // id
		Token        string // id
		// Round is the number of the token's requests before this one: with
		// token and organization it gives the request's id (see RequestID).
		Round int
	}

	// Approve answers an open request, or a denial, with yes.
	Approve struct {
		Organization, Token string
		// Grants narrow what is approved; empty: all that the token has on the
		// organization.
		Grants []authz.Grant
		Until  time.Time // zero: no end
		// Version is that of the token as reviewed (TokenRow.Version); the
		// answer is a [Conflict] when it changed since. 0: not checked, only
		// for an operator's explicit wish.
		Version int64
		Comment string
	}

	// Deny answers with no; also takes an approval back.
	Deny struct {
		Organization, Token string
		Version             int64
		Reason              string
	}
)

func (CreateOrganization) Action() string { return "organization.create" }
func (SetPolicy) Action() string          { return "organization.policy" }
func (DeleteOrganization) Action() string { return "organization.delete" }
func (AddMember) Action() string          { return "member.add" }
func (RemoveMember) Action() string       { return "member.remove" }
func (IssueToken) Action() string         { return "token.issue" }
func (ImportTokens) Action() string       { return "token.import" }
func (RevokeToken) Action() string        { return "token.revoke" }
func (SuspendToken) Action() string       { return "token.suspend" }
func (ResumeToken) Action() string        { return "token.resume" }
func (DisableToken) Action() string       { return "token.disable" }
func (EnableToken) Action() string        { return "token.enable" }
func (DeleteToken) Action() string        { return "token.delete" }
func (OpenRequest) Action() string        { return "approval.request" }
func (Approve) Action() string            { return "approval.approve" }
func (Deny) Action() string               { return "approval.deny" }

// Result is what a command made or changed; the members that do not apply are
// nil. Rows are as they stand after the change.
type Result struct {
	Organization *OrganizationRow
	Member       *MemberRow
	Token        *TokenRow
	Approval     *ApprovalRow
	Imported     int
	// Changed is false when the state was so already: nothing was written.
	Changed bool
}
