package inventory

import (
	"fmt"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// MaxDated is how far ahead a change of policy may be dated.
const MaxDated = 90 * 24 * time.Hour

// Apply says what a command does to a state: the rows to write, one audit
// entry, and events. It changes nothing itself. Errors are [*Invalid],
// [*NotFound], [*Conflict], [*Forbidden] and [*Stale], or the state's own.
func Apply(s State, p Policies, actor Actor, c Command, now time.Time) (*Change, error) {
	r := &rules{
		State: s, policies: p, actor: actor, now: now.UTC().Truncate(time.Millisecond), change: &Change{}, openOf: map[[2]string]int{},
		checked: map[givenList][]authz.Grant{}, requests: map[[2]string]*Request{}, authorizations: map[[2]string]*Authorization{}, history: map[[2]string][]*Period{},
	}
	if on, ok := c.(IfVersion); ok {
		if err := r.atVersion(on); err != nil {
			return nil, err
		}
		c = on.Command
	}
	known := false
	var err error
	for _, carryOut := range []func(Command) (bool, error){r.onOrganization, r.onToken, r.onRequest} {
		if known, err = carryOut(c); known {
			break
		}
	}
	if !known {
		err = fmt.Errorf("there is no rule for the command %T", c)
	}
	if err != nil {
		return nil, err
	}
	if r.change.Audit != nil {
		r.change.Audit.Actor, r.change.Audit.Action = actor, c.Action()
	}
	return r.change, nil
}

func (r *rules) onOrganization(c Command) (known bool, err error) {
	switch c := c.(type) {
	case CreateOrganization:
		err = r.createOrganization(c)
	case SetPolicy:
		err = r.setPolicy(c)
	case ChangeSettings:
		err = r.changeSettings(c)
	case RenameOrganization:
		err = r.renameOrganization(c)
	case DeleteOrganization:
		err = r.deleteOrganization(c)
	case AddMember:
		err = r.addMember(c)
	case RemoveMember:
		err = r.removeMember(c)
	case ConfirmAddress:
		err = r.confirmAddress(c)
	case AskConfirmation:
		err = r.askConfirmation(c)
	case ActOnBundle:
		r.audit("", "", c.Details)
	default:
		return false, nil
	}
	return true, err
}

func (r *rules) onToken(c Command) (known bool, err error) {
	switch c := c.(type) {
	case IssueToken:
		err = r.issueToken(c)
	case ImportTokens:
		err = r.importTokens(c)
	case SeeToken:
		err = r.seeToken(c)
	case UpdateToken:
		err = r.updateToken(c)
	case RotateToken:
		err = r.rotateToken(c)
	case ReportReuse:
		err = r.reportReuse(c)
	case RevokeToken:
		err = r.revoke(c)
	case SuspendToken:
		err = r.suspend(c.Organization, c.Token, c.Comment, true)
	case ResumeToken:
		err = r.suspend(c.Organization, c.Token, c.Comment, false)
	case DisableToken:
		err = r.disable(c.Token, c.Comment, true)
	case EnableToken:
		err = r.disable(c.Token, c.Comment, false)
	case DeleteToken:
		err = r.deleteToken(c)
	default:
		return false, nil
	}
	return true, err
}

func (r *rules) onRequest(c Command) (known bool, err error) {
	switch c := c.(type) {
	case OpenRequest:
		err = r.openOnHit(c)
	case Approve:
		err = r.approve(c)
	case Deny:
		err = r.deny(c)
	case AskAgain:
		err = r.askAgain(c)
	case WithdrawRequest:
		err = r.withdraw(c)
	case CommentRequest:
		err = r.comment(c)
	case AskOwner:
		err = r.askOwner(c)
	case AssignRequest:
		err = r.assign(c)
	case RemindRequest:
		err = r.remind(c)
	case EscalateRequest:
		err = r.escalate(c)
	default:
		return false, nil
	}
	return true, err
}

// rules is one application of a command.
type rules struct {
	State
	policies Policies
	actor    Actor
	now      time.Time
	change   *Change
	// checked are the grants that were checked, with the ids of what they reach.
	checked map[givenList][]authz.Grant
	// What the command has written, and counted, so far.
	requests       map[[2]string]*Request       // by token and organization
	authorizations map[[2]string]*Authorization // by token and organization
	history        map[[2]string][]*Period      // by organization and user
	openOf         map[[2]string]int            // open requests by organization and owner
}

// audit marks the change as one that is written.
func (r *rules) audit(organizationID, tokenID string, details map[string]any) {
	r.change.Audit = &AuditEntry{OrganizationID: organizationID, TokenID: tokenID, Details: details}
}

func (r *rules) event(kind, organizationID, tokenID, requestID string) {
	key := fmt.Sprintf("%s/%s/%s/%s/%d", kind, organizationID, tokenID, requestID, r.now.UnixMilli())
	if kind == "approval_requested" {
		key = kind + "/" + requestID
	}
	r.change.Events = append(r.change.Events, Event{Kind: kind, Organization: organizationID, Token: tokenID, Request: requestID, Key: key})
}

// organization finds an organization that has a policy.
func (r *rules) organization(name string) (*Organization, error) {
	o, err := r.OrganizationByName(Fold(name))
	if err != nil {
		return nil, err
	}
	if o == nil || o.Deleted {
		return nil, &NotFound{"organization", name}
	}
	return o, nil
}

func (r *rules) token(id string) (*Token, error) {
	t, err := r.TokenByID(id)
	if err != nil {
		return nil, err
	}
	if t == nil || t.Deleted {
		return nil, &NotFound{"token", id}
	}
	return t, nil
}

// pair finds a token and an organization that it concerns: one that it has
// grants on, was judged by, or whose member its owner is or was.
func (r *rules) pair(organization, token string) (*Organization, *Token, *Authorization, error) {
	o, err := r.organization(organization)
	if err != nil {
		return nil, nil, nil, err
	}
	if o.Type == authz.TypeUser {
		return nil, nil, nil, &Invalid{"organization", o.Name + " is a user namespace, which has no token policy"}
	}
	t, err := r.token(token)
	if err != nil {
		return nil, nil, nil, err
	}
	a, err := r.State.Authorization(t.ID, o.ID)
	if err != nil {
		return nil, nil, nil, err
	}
	if a == nil {
		periods, err := r.Periods(o.ID, t.OwnerID)
		if err != nil {
			return nil, nil, nil, err
		}
		if len(periods) == 0 && len(t.On(o.ID)) == 0 {
			return nil, nil, nil, &NotFound{"token", token}
		}
		a = &Authorization{TokenID: t.ID, OrganizationID: o.ID, State: authz.StateNone}
	}
	copied := *a
	return o, t, &copied, nil
}

// present returns the open period of a membership, or nil.
func present(periods []*Period) *Period {
	if n := len(periods); n > 0 && periods[n-1].Until.IsZero() {
		return periods[n-1]
	}
	return nil
}

// AdminCreated says whether a token was made by somebody who was an
// administrator of the organization then, and still is, by the history of the
// membership. Imported tokens and those of other sources never are: their time
// of making is hearsay.
func AdminCreated(t *Token, periods []*Period) bool {
	now := present(periods)
	if t.Source != authz.SourceIssued || now == nil || now.Role != "admin" {
		return false
	}
	for _, p := range periods {
		if p.Role == "admin" && !t.CreatedAt.Before(p.Since) && (p.Until.IsZero() || t.CreatedAt.Before(p.Until)) {
			return true
		}
	}
	return false
}
