package inventory

import (
	"fmt"
	"strings"
	"time"
)

// LinkFor is how long a link that confirms an address is good.
const LinkFor = 7 * 24 * time.Hour

// linkEvery is the least time between two such links to one user.
const linkEvery = time.Hour

// KindConfirmation is the event that mails such a link.
const KindConfirmation = "address_confirmation"

// Mailer is what Policies may also be: it says whether a link can be mailed. Where
// none can, nobody is asked.
type Mailer interface {
	MailsLinks() bool
}

// mailsLinks says whether a link can be mailed, which is so unless it is known not to be.
func (r *rules) mailsLinks() bool {
	m, says := r.policies.(Mailer)
	return !says || m.MailsLinks()
}

func checkAddress(email string) error {
	if !strings.Contains(email, "@") || strings.ContainsAny(email, " \r\n\t,;<>") {
		return &Invalid{"email", "is no address"}
	}
	return checkText("email", email, 254)
}

// giveAddress gives a user an address. Another one than before is the user's
// where by says how that is known; else the user is asked.
func (r *rules) giveAddress(o *Organization, u *User, email, by string, details map[string]any) error {
	if email == "" {
		if by != "" {
			return &Invalid{"email", "is missing: there is nothing to confirm"}
		}
		return nil
	}
	if err := checkAddress(email); err != nil {
		return err
	}
	// Letters of another case reach the same mailbox wherever mail is read today.
	if !strings.EqualFold(u.Email, email) {
		u.Address = Address{}
		if by == "" && r.mailsLinks() {
			r.askFor(o, u)
		}
	}
	if u.Email != email {
		u.Email = email
		details["email"] = "changed"
	}
	if by != "" && u.ConfirmedAt.IsZero() {
		u.Address = Address{ConfirmedAt: r.now, ConfirmedBy: by}
		details["email_confirmed_by"] = by
	}
	return nil
}

// askFor has a link mailed that confirms a user's address.
func (r *rules) askFor(o *Organization, u *User) {
	u.AskedAt = r.now
	r.event(KindConfirmation, o.ID, "", "")
	e := &r.change.Events[len(r.change.Events)-1]
	e.Owner, e.Key = u.Name, e.Key+"/"+u.ID
}

func (r *rules) confirmAddress(c ConfirmAddress) error {
	organization := ""
	if c.Organization != "" {
		o, err := r.organization(c.Organization)
		if err != nil {
			return err
		}
		organization = o.ID
	}
	known, err := r.memberOf(organization, c.User)
	if err != nil {
		return err
	}
	u := *known
	r.change.Subject = Subject{OrganizationID: organization, UserID: u.ID}
	details := map[string]any{"user": u.Name, "email_confirmed_by": c.By}
	switch c.By {
	case ConfirmedByAdministrator:
		if u.Email == "" {
			return &Invalid{"user", u.Name + " has no address"}
		}
	case ConfirmedByLink:
		if u.AskedAt.IsZero() || !u.AskedAt.Equal(c.AskedAt) || !strings.EqualFold(u.Email, c.Email) || !r.now.Before(u.AskedAt.Add(LinkFor)) {
			return &Conflict{Problem: "the link is used up, too old, or for another address"}
		}
	case ConfirmedByProvider:
		if err := checkAddress(c.Email); err != nil {
			return err
		}
		if !strings.EqualFold(u.Email, c.Email) {
			if !u.ConfirmedAt.IsZero() {
				return nil // what was confirmed goes before
			}
			u.Email = c.Email
			details["email"] = "changed"
		}
	default:
		return &Invalid{"by", "an address is confirmed by an administrator, a link, or the login provider"}
	}
	if !u.ConfirmedAt.IsZero() {
		return nil
	}
	u.Address = Address{ConfirmedAt: r.now, ConfirmedBy: c.By}
	r.putUser(&u)
	r.audit(organization, "", details)
	return nil
}

func (r *rules) askConfirmation(c AskConfirmation) error {
	o, err := r.organization(c.Organization)
	if err != nil {
		return err
	}
	known, err := r.memberOf(o.ID, c.User)
	if err != nil {
		return err
	}
	u := *known
	r.change.Subject = Subject{OrganizationID: o.ID, UserID: u.ID}
	switch {
	case u.Email == "":
		return &Invalid{"user", u.Name + " has no address"}
	case !u.ConfirmedAt.IsZero():
		return nil
	case !r.mailsLinks():
		return &Conflict{Problem: fmt.Sprintf("no link can be mailed: set answer.public_url (and mail), or confirm the address yourself: patrol member confirm %s %s", o.Name, u.Name)}
	}
	if next := u.AskedAt.Add(linkEvery); r.now.Before(next) {
		return &Conflict{Problem: "a link was sent at " + u.AskedAt.UTC().Format(time.RFC3339) + ": the next one may go out an hour later"}
	}
	r.askFor(o, &u)
	r.putUser(&u)
	r.audit(o.ID, "", map[string]any{"user": u.Name})
	return nil
}

// memberOf finds a user who is a member of an organization; of any, "".
func (r *rules) memberOf(organizationID, name string) (*User, error) {
	u, err := r.UserByName(Fold(name))
	if err != nil {
		return nil, err
	}
	if u != nil && organizationID != "" {
		periods, err := r.Periods(organizationID, u.ID)
		if err != nil {
			return nil, err
		}
		if present(periods) == nil {
			u = nil
		}
	}
	if u == nil {
		return nil, &NotFound{"member", name}
	}
	return u, nil
}
