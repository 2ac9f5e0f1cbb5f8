package inventory

import (
	"fmt"
	"slices"

	"github.com/patrol-authz/patrol/authz"
)

// maxResponsible bounds how many people answer for a service account.
const maxResponsible = 10

// nameResponsible makes people answer for a service account in an organization;
// false where they do already.
func (r *rules) nameResponsible(o *Organization, u *User, names *[]string, details map[string]any) (bool, error) {
	if names == nil {
		return false, nil
	}
	if len(*names) > 0 && u.Type != TypeServiceAccount {
		return false, &Invalid{"responsible", u.Name + " is a user, who answers for itself: only a service account has responsible people"}
	}
	if len(*names) > maxResponsible {
		return false, &Invalid{"responsible", fmt.Sprintf("are more than %d people", maxResponsible)}
	}
	ids := []string{}
	shown := []string{}
	for i, name := range *names {
		field := fmt.Sprintf("responsible[%d]", i)
		person, err := r.person(o, field, name)
		if err != nil {
			return false, err
		}
		if !slices.Contains(ids, person.ID) {
			ids, shown = append(ids, person.ID), append(shown, person.Name)
		}
	}
	slices.Sort(ids)
	have, err := r.Responsible(o.ID, u.ID)
	if err != nil || slices.Equal(have, ids) {
		return false, err
	}
	slices.Sort(shown)
	details["responsible"] = shown
	r.change.Records.Responsible = append(r.change.Records.Responsible, &Responsible{OrganizationID: o.ID, UserID: u.ID, People: ids, At: r.now})
	return true, nil
}

// person finds a member of an organization who is a person.
func (r *rules) person(o *Organization, field, name string) (*User, error) {
	u, err := r.UserByName(Fold(name))
	if err != nil {
		return nil, err
	}
	if u == nil {
		return nil, &Invalid{field, fmt.Sprintf("%q is no member of %s", name, o.Name)}
	}
	periods, err := r.periods(o.ID, u.ID)
	switch {
	case err != nil:
		return nil, err
	case present(periods) == nil:
		return nil, &Invalid{field, fmt.Sprintf("%q is no member of %s", name, o.Name)}
	case u.Type != TypePerson:
		return nil, &Invalid{field, u.Name + " is a service account, which answers for none"}
	}
	return u, nil
}

// answersFor says whether a user is the owner of a token, or answers for it in
// an organization: as one who was named, and is a member still.
func (r *rules) answersFor(o *Organization, t *Token, u *User) (bool, error) {
	if u == nil || u.ID == t.OwnerID {
		return u != nil, nil
	}
	if o.Type == authz.TypeUser || u.Type != TypePerson {
		return false, nil
	}
	named, err := r.Responsible(o.ID, t.OwnerID)
	if err != nil || !slices.Contains(named, u.ID) {
		return false, err
	}
	account, err := r.UserByID(t.OwnerID)
	if err != nil || account == nil || account.Type != TypeServiceAccount {
		return false, err
	}
	periods, err := r.periods(o.ID, u.ID)
	return err == nil && present(periods) != nil, err
}
