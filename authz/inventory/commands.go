package inventory

import (
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// Actor is who commands a change, as the audit shows it.
type Actor struct {
	Kind string `json:"kind"` // socket, token, console, policy, system
	// Role by which somebody acts in the console: admin, reviewer, or "" where
	// it is not by one.
	Role string `json:"-"`
	Name string `json:"name"` // a user's name, or "uid:1000" for a socket's peer
	// Token is the id of the token that acts, where one does.
	Token string `json:"token,omitempty"`
}

// Command is a change that somebody asks for. Each is a struct of this file;
// the rules of what it does are pure functions (see Apply).
type Command interface {
	// Action names the command in the audit, for example "token.revoke".
	Action() string
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
		// Existing says what becomes of the tokens that are there when the
		// policy comes to ask for an approval; nil: each asks at its next use.
		Existing *ExistingTokens
	}

	// ExistingTokens decides on the tokens that an approval policy meets.
	ExistingTokens struct {
		// Mode is "ask" (a request is opened for each, now) or
		// "approve_used_within": those used within Days are approved until Until.
		Mode  string
		Days  int
		Until time.Time
	}

	// ChangeSettings changes an organization's settings: the given ones; a nil
	// value takes one back.
	ChangeSettings struct {
		Organization string
		Settings     map[string]any
	}

	// RenameOrganization gives an organization another name. It keeps its id;
	// the old name goes on as an alias.
	RenameOrganization struct{ Organization, Name string }

	// DeleteOrganization removes an organization that has no members left; its
	// tokens' authorizations end with it.
	DeleteOrganization struct{ Organization string }
)

// Members and users.
type (
	// AddMember adds a user (made if unknown) or changes the role of one.
	AddMember struct {
		Organization string
		User         string
		// Type is user or service_account; "" leaves it, and makes a user.
		Type string
		// Role is admin, reviewer, write, contributor, read or no_access; "" leaves
		// it, and gives a new member read.
		Role string
		// Email is the address; "" leaves it. Who is given another one is mailed a
		// link to confirm it, unless Confirmed says how it is known to be theirs.
		Email     string
		Confirmed string
		// Responsible name who answers for a service account here: members who
		// are people. nil leaves them.
		Responsible *[]string
		// Whole: the actor may change what concerns the user in every organization,
		// here the type of one who is known.
		Whole bool
		// KeepsAdmin refuses to take away an organization's last administrator.
		KeepsAdmin bool
	}

	// RemoveMember ends a membership.
	RemoveMember struct {
		Organization, User string
		// KeepsAdmin refuses to take away an organization's last administrator.
		KeepsAdmin bool
	}

	// ConfirmAddress says that a user's address is theirs.
	ConfirmAddress struct {
		// Organization in which it is said, and shown; "" for no one.
		Organization string
		User         string
		// By is how it is known, one of the constants Confirmed….
		By string
		// Email is the address that is known to be the user's. By a link: another
		// one than the present address is refused. By the provider: it becomes the
		// address of who has none that is confirmed.
		Email string
		// AskedAt is which link was followed.
		AskedAt time.Time
	}

	// AskConfirmation mails a user a link to confirm the address with, at most once
	// an hour. Links before it are good no more.
	AskConfirmation struct{ Organization, User string }
)

// ActOnBundle takes note in the audit of what an operator does with a policy bundle,
// which this server keeps and not the inventory.
type ActOnBundle struct {
	Act     string // rollback, release, shadow, unshadow, promote
	Details map[string]any
}

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

	// SeeToken takes note of a token of another source that was used: it makes
	// the record at the first use, and widens it where the token is seen with
	// more. A record that was deleted stays so ([Forbidden]).
	SeeToken struct {
		Source string // jwt, introspection
		// Digest is that of the token's identity.
		Digest      authz.Digest
		Owner       string
		DisplayName string
		Kind        string
		// Grants on what is not in the inventory are left out.
		Grants []authz.Grant
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

	// UpdateToken changes what a token is; nil members stay. More permissions
	// than were approved ask for an approval; until it is given the token may
	// what was approved and what it still has.
	UpdateToken struct {
		Token                         string
		DisplayName, Purpose, Contact *string
		Grants                        *[]authz.Grant
		Global                        *[]string
		ExpiresAt                     *time.Time // points to zero: never
	}

	// RotateToken gives a token another secret under the same id: all that was
	// decided on it stays, a revocation too.
	RotateToken struct {
		Token string
		// Digest and Last4 are those of the new secret.
		Digest authz.Digest
		Last4  string
		// Overlap is how long the old secret is accepted beside the new one;
		// default 0, at most [MaxOverlap].
		Overlap time.Duration
		Comment string
	}

	// ReportReuse says that a secret was used that had been rotated away. It
	// does nothing where that was reported within the last day.
	ReportReuse struct {
		Token  string
		Digest authz.Digest
	}
)

// Approval.
type (
	// OpenRequest opens an approval request; the decision path's one command.
	// It does nothing where one is open or the policy asks for none.
	OpenRequest struct {
		Organization string // id
		Token        string // id
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
		// Request is the id of the request that was reviewed; the answer is a
		// [Conflict] when it is open no more. "": not checked.
		Request string
		Comment string
	}

	// Deny answers with no; also takes an approval back.
	Deny struct {
		Organization, Token string
		Version             int64
		Request             string // see Approve
		Reason              string
	}

	// AskAgain is the owner's word: it gives an open request its purpose, or
	// asks once more, after a denial not before the organization's cooldown.
	AskAgain struct{ Organization, Token, Purpose string }
	// WithdrawRequest takes an open request back. Uses of the token open
	// another one not before the cooldown; the owner may ask again at any time.
	WithdrawRequest struct{ Organization, Token, Comment string }
	// CommentRequest adds to an open request's thread. An owner's comment
	// answers a question.
	CommentRequest struct{ Organization, Token, Comment string }
	// AskOwner asks the owner something about an open request.
	AskOwner struct{ Organization, Token, Question string }
	// AssignRequest says who is to decide; Assignee "" takes that back.
	AssignRequest struct{ Organization, Token, Assignee string }
	// RemindRequest reminds whoever is to decide, at most once an hour.
	RemindRequest struct{ Organization, Token string }
	// EscalateRequest leaves an open request to administrators.
	EscalateRequest struct{ Organization, Token, Comment string }
)

func (CreateOrganization) Action() string { return "organization.create" }
func (SetPolicy) Action() string          { return "organization.policy" }
func (DeleteOrganization) Action() string { return "organization.delete" }
func (AddMember) Action() string          { return "member.add" }
func (RemoveMember) Action() string       { return "member.remove" }
func (ConfirmAddress) Action() string     { return "member.confirm" }
func (AskConfirmation) Action() string    { return "member.ask_confirmation" }
func (IssueToken) Action() string         { return "token.issue" }
func (ImportTokens) Action() string       { return "token.import" }
func (SeeToken) Action() string           { return "token.see" }
func (ChangeSettings) Action() string     { return "organization.settings" }
func (RenameOrganization) Action() string { return "organization.rename" }
func (UpdateToken) Action() string        { return "token.update" }
func (RotateToken) Action() string        { return "token.rotate" }
func (ReportReuse) Action() string        { return "token.reuse" }
func (AskAgain) Action() string           { return "approval.ask" }
func (WithdrawRequest) Action() string    { return "approval.withdraw" }
func (CommentRequest) Action() string     { return "approval.comment" }
func (AskOwner) Action() string           { return "approval.question" }
func (AssignRequest) Action() string      { return "approval.assign" }
func (RemindRequest) Action() string      { return "approval.remind" }
func (EscalateRequest) Action() string    { return "approval.escalate" }
func (RevokeToken) Action() string        { return "token.revoke" }
func (SuspendToken) Action() string       { return "token.suspend" }
func (ResumeToken) Action() string        { return "token.resume" }
func (DisableToken) Action() string       { return "token.disable" }
func (EnableToken) Action() string        { return "token.enable" }
func (DeleteToken) Action() string        { return "token.delete" }
func (c ActOnBundle) Action() string      { return "bundle." + c.Act }
func (OpenRequest) Action() string        { return "approval.request" }
func (Approve) Action() string            { return "approval.approve" }
func (Deny) Action() string               { return "approval.deny" }

// Pair is the organization and the token that a command on what holds between
// them is about; empty for others.
func Pair(c Command) (organization, token string) {
	switch c := c.(type) {
	case RevokeToken:
		return c.Organization, c.Token
	case SuspendToken:
		return c.Organization, c.Token
	case ResumeToken:
		return c.Organization, c.Token
	case Approve:
		return c.Organization, c.Token
	case Deny:
		return c.Organization, c.Token
	case AskAgain:
		return c.Organization, c.Token
	case WithdrawRequest:
		return c.Organization, c.Token
	case CommentRequest:
		return c.Organization, c.Token
	case AskOwner:
		return c.Organization, c.Token
	case AssignRequest:
		return c.Organization, c.Token
	case RemindRequest:
		return c.Organization, c.Token
	case EscalateRequest:
		return c.Organization, c.Token
	}
	return "", ""
}

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
