package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// looking is how long a look at the change log may take: a database that does
// not answer must not keep a later look from finding it well again.
const looking = 15 * time.Second

// Changes reads what changed after a change number, as it stands now, and the
// number of the last change. gap is true when the log no longer reaches back
// that far, or when so much changed that loading is better: load again.
func (s *Store) Changes(ctx context.Context, after int64) (r *inventory.Records, last int64, gap bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, looking)
	defer cancel()
	if err := s.present(); err != nil {
		return nil, 0, false, err
	}
	counter, err := db.New(s.readDB).Counter(ctx)
	if err != nil {
		return nil, 0, false, fmt.Errorf("read the change counter: %w", err)
	}
	if counter.Change == after {
		return nil, after, false, nil
	}
	err = s.reading(ctx, func(st *state) error {
		counter, err := st.Counter(ctx)
		if err != nil {
			return err
		}
		last = counter.Change
		found, err := st.ChangesAfter(ctx, after)
		if err != nil {
			return err
		}
		if last < after || last > after && found.First != after+1 || found.Whole != 0 || found.Listed > mostFollowed {
			gap = true
			return nil
		}
		r = &inventory.Records{}
		return changed(st, r, after)
	})
	if err != nil {
		return nil, 0, false, fmt.Errorf("read the change log: %w", err)
	}
	return r, last, gap, nil
}

func changed(st *state, r *inventory.Records, after int64) error {
	organizations, err := st.ChangedOrganizations(st.ctx, after)
	if r.Organizations, err = all(organizations, err, organizationOf); err != nil {
		return err
	}
	users, err := st.ChangedUsers(st.ctx, after)
	if r.Users, err = all(users, err, userOf); err != nil {
		return err
	}
	periods, err := st.ChangedPeriods(st.ctx, after)
	if r.Periods, err = all(periods, err, periodOf); err != nil {
		return err
	}
	tokens, err := st.ChangedTokens(st.ctx, after)
	if err == nil {
		var more []db.Token
		more, err = st.NewTokens(st.ctx, after)
		tokens = append(tokens, more...)
	}
	tokens = newest(tokens, func(t db.Token) string { return t.ID })
	if r.Tokens, err = all(tokens, err, tokenOf); err != nil {
		return err
	}
	authorizations, err := st.ChangedAuthorizations(st.ctx, after)
	if r.Authorizations, err = all(authorizations, err, authorizationOf); err != nil {
		return err
	}
	requests, err := st.ChangedRequests(st.ctx, after)
	r.Requests, err = all(requests, err, requestOf)
	return err
}
