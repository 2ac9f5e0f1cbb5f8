package inventory

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// IfVersion carries a command out only while the organization, member or token
// that it changes stands at a version, as an earlier answer showed it; otherwise
// it is [Stale] and changes nothing. Version 0 of an AddMember is that of who is
// no member. Approve and Deny have a version of their own.
type IfVersion struct {
	Command
	Version int64
}

// AnyVersion is that of a member who is there, whatever it is.
const AnyVersion = -1

// atVersion checks that what a command changes is at the version it was based on.
func (r *rules) atVersion(c IfVersion) error {
	version := c.Version
	var organization, token string
	switch c := c.Command.(type) {
	case AddMember:
		return r.memberAtVersion(c.Organization, c.User, version, true)
	case RemoveMember:
		return r.memberAtVersion(c.Organization, c.User, version, false)
	case ConfirmAddress:
		return r.memberAtVersion(c.Organization, c.User, version, false)
	case AskConfirmation:
		return r.memberAtVersion(c.Organization, c.User, version, false)
	case SetPolicy:
		organization = c.Organization
	case ChangeSettings:
		organization = c.Organization
	case RenameOrganization:
		organization = c.Organization
	case DeleteOrganization:
		organization = c.Organization
	case UpdateToken:
		token = c.Token
	case RotateToken:
		token = c.Token
	case DisableToken:
		token = c.Token
	case EnableToken:
		token = c.Token
	case DeleteToken:
		token = c.Token
	case RevokeToken:
		token = c.Token
	case SuspendToken:
		token = c.Token
	case ResumeToken:
		token = c.Token
	default:
		return fmt.Errorf("the command %T takes no version", c)
	}
	if token != "" {
		t, err := r.token(token)
		if err == nil && t.Version != version {
			err = &Stale{"token", version, t.Version}
		}
		return err
	}
	o, err := r.organization(organization)
	if err == nil && o.Version != version {
		err = &Stale{"organization", version, o.Version}
	}
	return err
}

// memberAtVersion is atVersion of a member, by name; absent says that who is no
// member is at version 0, and not unknown.
func (r *rules) memberAtVersion(organization, name string, version int64, absent bool) error {
	o, err := r.organization(organization)
	if err != nil {
		return err
	}
	u, err := r.UserByName(Fold(name))
	if err != nil {
		return err
	}
	now := int64(0)
	if u != nil {
		if now, err = r.memberVersion(o, u); err != nil {
			return err
		}
	}
	switch {
	case now == version && (now != 0 || absent), now != 0 && version == AnyVersion:
		return nil
	case now == 0 && !absent:
		return &NotFound{"member", name}
	}
	return &Stale{"member", version, now}
}

func (r *rules) memberVersion(o *Organization, u *User) (int64, error) {
	periods, err := r.Periods(o.ID, u.ID)
	if err != nil || present(periods) == nil {
		return 0, err
	}
	named, err := r.Responsible(o.ID, u.ID)
	if err != nil {
		return 0, err
	}
	return MemberVersion(u, present(periods), named), nil
}

// MemberVersion is the version of a member, by the present period and the ids of
// those who were named to answer for a service account. It follows from what
// there is, and is no counter: it is another one while anything of it is
// otherwise. It is never 0, and a program may take it as a number of JSON.
func MemberVersion(u *User, now *Period, responsible []string) int64 {
	if len(responsible) == 0 || u.Type != TypeServiceAccount {
		responsible = nil
	}
	// Only texts and numbers: it cannot fail.
	text, _ := json.Marshal([]any{u.ID, u.Type, u.Email, milliseconds(u.ConfirmedAt), now.Role, milliseconds(now.Since), responsible}) //nolint:errchkjson // see above
	sum := sha256.Sum256(text)
	return int64(binary.BigEndian.Uint64(sum[:8])>>11) | 1 //nolint:gosec // 53 bits
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
