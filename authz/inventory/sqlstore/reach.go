package sqlstore

import (
	"context"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// reachRow is a token that an organization lists.
type reachRow struct{ TokenID, OrganizationID string }

// Reach returns some tokens, by id, as each organization that lists them sees
// them: a row for each, by the organization's name.
func (s *Store) Reach(ctx context.Context, ids []string) (rows []inventory.TokenRow, err error) {
	err = s.reading(ctx, func(st *state) error {
		on := map[string][]string{} // the tokens of each organization
		for part := range slices.Chunk(ids, most) {
			where, args := in("t.id", part, nil)
			err := db.Each(st.ctx, st.session, "SELECT t.id, o.id FROM tokens t JOIN token_namespaces n ON n.token = t.number JOIN organizations o ON o.number = n.organization"+
				" WHERE o.type = 'organization' AND NOT o.deleted AND "+where, args, func(r *reachRow) error {
				on[r.OrganizationID] = append(on[r.OrganizationID], r.TokenID)
				return nil
			})
			if err != nil {
				return err
			}
		}
		for organization, tokens := range on {
			more, err := s.rowsOn(st, organization, tokens)
			if err != nil {
				return err
			}
			rows = append(rows, more...)
		}
		slices.SortFunc(rows, func(x, y inventory.TokenRow) int {
			if n := strings.Compare(x.Organization, y.Organization); n != 0 {
				return n
			}
			return slices.Index(ids, x.ID) - slices.Index(ids, y.ID)
		})
		return nil
	})
	return rows, err
}

// rowsOn reads tokens as an organization sees them.
func (s *Store) rowsOn(st *state, organization string, ids []string) (rows []inventory.TokenRow, err error) {
	o, err := st.OrganizationByID(organization)
	if err != nil || o == nil {
		return nil, err
	}
	byID, err := st.tokensByID(ids)
	if err != nil {
		return nil, err
	}
	tokens := make([]*inventory.Token, 0, len(byID))
	for _, t := range byID {
		tokens = append(tokens, t)
	}
	if err := st.readTokens(o, tokens); err != nil {
		return nil, err
	}
	for _, t := range tokens {
		row, err := s.row(st, o, t)
		if err != nil {
			return nil, err
		}
		if row != nil {
			rows = append(rows, *row)
		}
	}
	return rows, st.decorate(o, rows)
}
