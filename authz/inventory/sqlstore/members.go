package sqlstore

import (
	"context"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// people are those who answer for a service account in an organization (by id;
// "" in any), each once.
func (s *state) people(organizationID, userID string) ([]db.ResponsiblePeopleRow, error) {
	rows, err := s.ResponsiblePeople(s.ctx, db.ResponsiblePeopleParams{OrganizationID: organizationID, UserID: userID})
	once := rows[:0]
	for _, r := range rows {
		if n := len(once); n == 0 || once[n-1].Name != r.Name {
			once = append(once, r)
		}
	}
	return once, err
}

// responsible are their names; nobody answers for a person.
func (s *state) responsible(o *inventory.Organization, userID, kind string) (names []string, err error) {
	if kind != inventory.TypeServiceAccount {
		return nil, nil
	}
	rows, err := s.people(o.ID, userID)
	for _, r := range rows {
		names = append(names, r.Name)
	}
	return names, err
}

// answering adds to a token who answers for it at an organization.
func (s *state) answering(o *inventory.Organization, t *inventory.TokenRow) error {
	if o == nil {
		return nil
	}
	owner, err := s.UserByName(t.Owner)
	if err == nil && owner != nil {
		t.Responsible, err = s.responsible(o, owner.ID, owner.Type)
	}
	return err
}

// AccountsOf returns the service accounts that a person answers for, by
// organization; at most 1,000.
func (s *Store) AccountsOf(ctx context.Context, person string) (out []inventory.Account, err error) {
	err = s.reading(ctx, func(st *state) error {
		rows, err := st.Queries.AccountsOf(ctx, inventory.Fold(person))
		for _, r := range rows {
			out = append(out, inventory.Account{Organization: r.Organization, User: r.Account})
		}
		return err
	})
	return out, err
}

// User returns a user by name; nil where there is none.
func (s *Store) User(ctx context.Context, name string) (u *inventory.User, err error) {
	err = s.reading(ctx, func(st *state) error {
		u, err = st.UserByName(inventory.Fold(name))
		return err
	})
	return u, err
}

// address is where mails on tokens reach a user: empty where the address is not
// confirmed.
func address(u *inventory.User) Address {
	if u.ConfirmedAt.IsZero() {
		return Address{Name: u.Name}
	}
	return Address{u.Name, u.Email}
}

// responsibleAddresses are those who answer for a service account and can be
// reached.
func (s *state) responsibleAddresses(organizationID string, u *inventory.User) (out []Address, err error) {
	if u.Type != inventory.TypeServiceAccount {
		return nil, nil
	}
	rows, err := s.people(organizationID, u.ID)
	for _, r := range rows {
		if r.Email != "" && r.EmailConfirmedAt != 0 {
			out = append(out, Address{r.Name, r.Email})
		}
	}
	return out, err
}
