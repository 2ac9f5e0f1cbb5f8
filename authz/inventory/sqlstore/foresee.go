package sqlstore

import (
	"context"
	"maps"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// foreseen is what an import of new tokens comes to, found out before it has the
// turn to write: beside the import that has it.
type foreseen struct {
	change  *inventory.Change
	at      int64          // the last change of the state that it was found out on
	last    int64          // the number of its last token
	digests []authz.Digest // of the import, in order
	owners  map[string]*inventory.User
	numbers map[string]int64
}

// foresee finds out what an import comes to; nil where that is for its turn to
// say: an error, or an import that is about tokens which are there.
func (s *Store) foresee(ctx context.Context, actor inventory.Actor, c inventory.ImportTokens) (p *foreseen) {
	s.log.foreseen.RLock()
	defer s.log.foreseen.RUnlock()
	err := s.reading(ctx, func(st *state) error {
		counter, err := st.Counter(ctx)
		if err != nil {
			return err
		}
		if err := readAhead(st, c); err != nil {
			return err
		}
		if len(st.ahead.known) > 0 {
			return nil
		}
		change, err := inventory.Apply(st, s.Policies, actor, c, s.Clock())
		if err == nil && st.makesTokens(change) {
			p = &foreseen{change: change, at: counter.Change, digests: st.ahead.sorted, owners: maps.Clone(st.owners), numbers: maps.Clone(st.numbers)}
			p.last, err = st.LastToken(ctx)
		}
		return err
	})
	if err != nil {
		return nil
	}
	return p
}

// makesTokens says whether a change is about new tokens alone.
func (s *state) makesTokens(c *inventory.Change) bool {
	for _, t := range c.Records.Tokens {
		if s.numbers[t.ID] != 0 {
			return false
		}
	}
	r := &c.Records
	return len(r.Tokens) > 0 && len(r.Organizations)+len(r.Users)+len(r.Periods)+len(r.Versions)+len(r.Responsible) == 0
}

// stands says whether what was foreseen is what the import comes to now. Tokens
// that were made meanwhile, and what was decided on tokens that are there, do not
// matter to it, but that none of those tokens is one of its own: see [queue.free].
// PostgreSQL says so when it is written, and then it is found out anew.
func (s *state) stands(p *foreseen) (bool, error) {
	counter, err := s.Counter(s.ctx)
	if err != nil || counter.Change == p.at {
		return err == nil, err
	}
	since, err := s.ChangesOfImports(s.ctx, p.at)
	return err == nil && since.First == p.at+1 && since.Others == 0, err
}

// apply finds out what a command comes to, or takes what was foreseen.
func (s *Store) apply(st *state, actor inventory.Actor, c inventory.Command, p *foreseen, now time.Time) (*inventory.Change, error) {
	if p != nil {
		ok, err := st.stands(p)
		if err == nil && ok && s.dialect.together {
			ok, err = s.queue.free(st, p)
		}
		if err != nil {
			return nil, err
		}
		if ok {
			maps.Copy(st.owners, p.owners)
			maps.Copy(st.numbers, p.numbers)
			return p.change, nil
		}
	}
	if err := readAhead(st, c); err != nil {
		return nil, err
	}
	return inventory.Apply(st, s.Policies, actor, c, now)
}
