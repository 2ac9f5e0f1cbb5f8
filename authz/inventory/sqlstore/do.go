package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Do carries out a command: when it returns without an error, the change is on
// the disk. Errors are those of [inventory.Apply], or the database's.
func (s *Store) Do(ctx context.Context, actor inventory.Actor, c inventory.Command) (inventory.Result, error) {
	// Commands are carried out one after the other, whoever asks. A number that
	// was taken meanwhile means that somebody writes without asking for the
	// turn; then the command is carried out on what is there now.
	list, ok := c.(inventory.ImportTokens)
	many := ok && len(list.Tokens) >= manyTokens
	if many && s.dialect.widen != nil {
		s.dialect.widen(ctx, s)
	}
	var ready *foreseen
	if many {
		ready = s.foresee(ctx, actor, list)
		if s.foresaw != nil {
			s.foresaw(ready != nil)
		}
	}
	if many && s.dialect.renew != nil {
		s.dialect.renew(ctx, s)
	}
	for range 3 {
		r, err := s.try(ctx, actor, c, ready)
		if err != nil && ready != nil && ctx.Err() == nil {
			ready = nil
			r, err = s.try(ctx, actor, c, nil)
		}
		if err == nil && many && s.dialect.writeBack != nil {
			s.dialect.writeBack(s)
		}
		if !errors.Is(err, errOvertaken) {
			return r, s.room(err)
		}
	}
	return inventory.Result{}, fmt.Errorf("write %s: %w", c.Action(), errOvertaken)
}

func (s *Store) try(ctx context.Context, actor inventory.Actor, c inventory.Command, ready *foreseen) (inventory.Result, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return inventory.Result{}, fmt.Errorf("begin %s: %w", c.Action(), err)
	}
	defer tx.Rollback()
	st := s.newState(ctx, tx)
	defer st.close()
	now := s.Clock()
	change, err := s.apply(st, actor, c, ready, now)
	if err != nil {
		return inventory.Result{}, s.explain(st, c, err)
	}
	written := change.Audit != nil
	if written {
		if err := s.write(st, change, now); err != nil {
			return inventory.Result{}, fmt.Errorf("write %s: %w", c.Action(), err)
		}
	}
	result, err := s.result(st, change.Subject)
	if err != nil {
		return inventory.Result{}, fmt.Errorf("read the result of %s: %w", c.Action(), err)
	}
	result.Changed = written
	if !written {
		return result, nil
	}
	if err := s.take(st); err != nil {
		return inventory.Result{}, fmt.Errorf("write %s: %w", c.Action(), err)
	}
	st.close()
	if err := tx.Commit(); err != nil {
		return inventory.Result{}, fmt.Errorf("commit %s: %w", c.Action(), err)
	}
	if err := s.present(); err != nil { // or it would be acknowledged, and lost
		return inventory.Result{}, fmt.Errorf("commit %s: %w", c.Action(), err)
	}
	if _, many := c.(inventory.ImportTokens); many && s.Imported != nil {
		s.Imported(st.taken.Change+1, &change.Records)
	}
	return result, nil
}

// readAhead reads at once what an import asks for token by token.
func readAhead(st *state, c inventory.Command) error {
	list, ok := c.(inventory.ImportTokens)
	if !ok || len(list.Tokens) < 2 {
		return nil
	}
	digests, owners := make([]authz.Digest, len(list.Tokens)), map[string]bool{}
	for i := range list.Tokens {
		t := &list.Tokens[i]
		digests[i], owners[inventory.Fold(t.Owner)] = t.Digest, true
	}
	if err := st.readUsers(slices.Sorted(maps.Keys(owners))); err != nil {
		return err
	}
	return st.readDigests(digests)
}

// explain adds the present state to a conflict.
func (s *Store) explain(st *state, c inventory.Command, err error) error {
	conflict, ok := err.(*inventory.Conflict) //nolint:errorlint // made by the rules, never wrapped
	if !ok {
		return err
	}
	org, token := inventory.Pair(c)
	if token == "" {
		return err
	}
	o, _ := st.OrganizationByName(inventory.Fold(org))
	if o != nil {
		conflict.Token, _ = s.tokenRow(st, o, token)
	}
	return conflict
}

// Check says whether a command would be carried out now, and whether it would
// change anything. It writes nothing and waits for no other writer.
func (s *Store) Check(ctx context.Context, actor inventory.Actor, c inventory.Command) (changes bool, err error) {
	err = s.Checking(ctx, actor, func(check func(inventory.Command) (bool, error)) error {
		changes, err = check(c)
		return err
	})
	return changes, err
}

// Checking hands f a way to check many commands against one state, such as the
// parts of a long import before the first is carried out: see Check.
func (s *Store) Checking(ctx context.Context, actor inventory.Actor, f func(check func(inventory.Command) (bool, error)) error) error {
	return s.reading(ctx, func(st *state) error {
		return f(func(c inventory.Command) (bool, error) {
			if err := readAhead(st, c); err != nil {
				return false, fmt.Errorf("read for %s: %w", c.Action(), err)
			}
			change, err := inventory.Apply(st, s.Policies, actor, c, s.Clock())
			if err != nil {
				return false, s.explain(st, c, err)
			}
			return change.Audit != nil, nil
		})
	})
}
