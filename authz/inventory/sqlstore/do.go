package sqlstore

import (
	"context"
	"database/sql"
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
	for range 3 {
		r, err := s.inTurn(ctx, actor, c, ready)
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

// inTurn carries out a command in its turn to write; what was foreseen, together
// with others that wait.

func (s *Store) inTurn(ctx context.Context, actor inventory.Actor, c inventory.Command, ready *foreseen) (inventory.Result, error) {
	if ready == nil || !s.dialect.together {
		if list, ok := c.(inventory.ImportTokens); ok && len(list.Tokens) >= manyTokens && s.dialect.renew != nil {
			s.dialect.renew(ctx, s)
		}
		return s.try(ctx, actor, c, ready)
	}
	return s.queue.wait(s, &queued{ctx: ctx, actor: actor, command: c, ready: ready})
}

func (s *Store) try(ctx context.Context, actor inventory.Actor, c inventory.Command, ready *foreseen) (inventory.Result, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return inventory.Result{}, fmt.Errorf("begin %s: %w", c.Action(), err)
	}
	defer tx.Rollback()
	made, err := s.carryOut(ctx, tx, actor, c, ready)
	if err != nil || !made.result.Changed {
		return made.result, err
	}
	if err := s.commit(tx, c.Action()); err != nil {
		return inventory.Result{}, err
	}
	if _, many := c.(inventory.ImportTokens); many && s.Imported != nil {
		s.Imported(made.number, made.number, &made.change.Records)
	}
	return made.result, nil
}

// carriedOut is what a transaction made of a command.
type carriedOut struct {
	change *inventory.Change
	number int64 // the change's
	result inventory.Result
}

// carryOut carries a command out in a transaction.
func (s *Store) carryOut(ctx context.Context, tx *sql.Tx, actor inventory.Actor, c inventory.Command, ready *foreseen) (made carriedOut, err error) {
	st := s.newState(ctx, tx)
	defer st.close()
	now := s.Clock()
	change, err := s.apply(st, actor, c, ready, now)
	if err != nil {
		return made, s.explain(st, c, err)
	}
	written := change.Audit != nil
	if written {
		if err := s.write(st, change, now); err != nil {
			return made, fmt.Errorf("write %s: %w", c.Action(), err)
		}
	}
	result, err := s.result(st, change.Subject)
	if err != nil {
		return made, fmt.Errorf("read the result of %s: %w", c.Action(), err)
	}
	result.Changed = written
	if written {
		if err := s.take(st); err != nil {
			return made, fmt.Errorf("write %s: %w", c.Action(), err)
		}
	}
	return carriedOut{change, st.taken.Change + 1, result}, nil
}

func (s *Store) commit(tx *sql.Tx, action string) error {
	err := tx.Commit()
	if err == nil {
		err = s.present() // or it would be acknowledged, and lost
	}
	if err != nil {
		return fmt.Errorf("commit %s: %w", action, err)
	}
	return nil
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
