package sqlstore

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// ahead is what was read at once for many tokens: a page of a listing, or a
// part of an import. What it was asked for and did not find is not there.
type ahead struct {
	digests map[authz.Digest]*inventory.Token // nil: read one by one
	sorted  []authz.Digest                    // those
	former  map[authz.Digest]bool             // of these, those that were rotated away
	// minted says that a token that no question gave was made by the command
	// itself, and has nothing yet: rules know ids from questions only, where
	// the command names none.
	minted         bool
	known          map[string]bool // the tokens for which all was read
	organization   string          // if not empty, only what concerns it was
	authorizations map[[2]string]*inventory.Authorization
	requests       map[[2]string]*inventory.Request
}

func (a *ahead) token(d authz.Digest) (*inventory.Token, bool) {
	if a == nil || a.digests == nil {
		return nil, false
	}
	t, ok := a.digests[d]
	return t, ok
}

// neverFormer says whether it is known that no token had a secret before.
func (a *ahead) neverFormer(d authz.Digest) bool {
	_, asked := a.token(d)
	return asked && !a.former[d]
}

func (a *ahead) has(s *state, tokenID, organizationID string) bool {
	return a != nil && (a.known[tokenID] || a.minted && s.numbers[tokenID] == 0) && (a.organization == "" || a.organization == organizationID)
}

func (a *ahead) authorization(s *state, tokenID, organizationID string) (*inventory.Authorization, bool) {
	if !a.has(s, tokenID, organizationID) {
		return nil, false
	}
	return a.authorizations[[2]string{tokenID, organizationID}], true
}

func (a *ahead) request(s *state, tokenID, organizationID string) (*inventory.Request, bool) {
	if !a.has(s, tokenID, organizationID) {
		return nil, false
	}
	return a.requests[[2]string{tokenID, organizationID}], true
}

// most is how many values one question names.
const most = 256

// digestRow is a row of which only the digest is asked for.
type digestRow struct{ Digest []byte }

// readFormers reads which digests are those of secrets that were rotated away.
func (s *state) readFormers(a *ahead, digests []authz.Digest) error {
	some, err := s.AnyFormer(s.ctx)
	if err != nil || !some {
		return err
	}
	for part := range slices.Chunk(digests, most) {
		where, args := in("f.digest", bytesOf(part), nil)
		err := db.Each(s.ctx, s.session, "SELECT f.digest FROM former_digests f WHERE "+where, args, func(f *digestRow) error {
			a.former[authz.Digest(f.Digest)] = true
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func bytesOf(digests []authz.Digest) [][]byte {
	values := make([][]byte, len(digests))
	for i := range digests {
		values[i] = digests[i][:]
	}
	return values
}

// readUsers reads the users of some names.
func (s *state) readUsers(names []string) error {
	for part := range slices.Chunk(slices.DeleteFunc(names, func(name string) bool { return !storable(name) }), most) {
		where, args := in("u.name", part, nil)
		found, err := selectRows(s, "u", "FROM users u WHERE "+where, args, s.userRead)
		if err != nil {
			return err
		}
		for _, name := range part {
			s.users[name] = nil
		}
		for _, u := range found {
			s.users[u.Name], s.owners[u.ID] = u, u
		}
	}
	return nil
}

// readDigests reads the tokens of some digests, and what was decided on them.
// It asks in the order of the index: neighbours lie on one page.
func (s *state) readDigests(digests []authz.Digest) error {
	slices.SortFunc(digests, func(a, b authz.Digest) int { return bytes.Compare(a[:], b[:]) })
	a := &ahead{sorted: digests, digests: make(map[authz.Digest]*inventory.Token, len(digests)), former: map[authz.Digest]bool{}, minted: true}
	var tokens []*inventory.Token
	for part := range slices.Chunk(digests, most) {
		for i := range part {
			a.digests[part[i]] = nil
		}
		found, err := s.tokensOfDigests(part)
		if err != nil {
			return err
		}
		for _, t := range found {
			if _, asked := a.digests[t.Digest]; asked {
				a.digests[t.Digest] = t
				tokens = append(tokens, t)
			}
		}
	}
	if err := s.readFormers(a, digests); err != nil {
		return err
	}
	return s.readDecisions(a, tokens)
}

// tokensOfDigests reads the tokens of some digests, and maybe others whose digests
// begin alike.
func (s *state) tokensOfDigests(digests []authz.Digest) ([]*inventory.Token, error) {
	where, args := "", []any(nil)
	if s.starts {
		starts := make([]int64, len(digests))
		for i, d := range digests {
			starts[i] = startOf(d)
		}
		where, args = in("t.digest_start", starts, nil)
	} else {
		where, args = in("t.digest", bytesOf(digests), nil)
	}
	return selectRows(s, "t", "FROM tokens t WHERE "+where, args, s.tokenRead)
}

// startOf is how a digest begins, as a number.
func startOf(d authz.Digest) int64 {
	return int64(binary.BigEndian.Uint64(d[:8]) >> 16) //nolint:gosec // 48 bits
}

// readTokens reads what concerns an organization about some tokens, and their
// owners.
func (s *state) readTokens(o *inventory.Organization, tokens []*inventory.Token) error {
	owners := map[string]bool{}
	for _, t := range tokens {
		owners[t.OwnerID] = true
	}
	ids := make([]string, 0, len(owners))
	for id := range owners {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for part := range slices.Chunk(ids, most) {
		where, args := in("u.id", part, nil)
		users, err := selectRows(s, "u", "FROM users u WHERE "+where, args, s.userRead)
		if err != nil {
			return err
		}
		for _, u := range users {
			s.owners[u.ID] = u
		}
		if o == nil {
			continue
		}
		where, args = in("p.user_id", part, []any{o.ID})
		periods, err := selectRows(s, "p", "FROM periods p WHERE p.organization_id = $1 AND "+where+" ORDER BY p.since", args, periodOf)
		if err != nil {
			return err
		}
		for _, id := range part {
			s.periods[[2]string{o.ID, id}] = nil
		}
		for _, p := range periods {
			k := [2]string{o.ID, p.UserID}
			s.periods[k] = append(s.periods[k], p)
		}
	}
	if o == nil {
		return nil
	}
	return s.readDecisions(&ahead{organization: o.ID}, tokens)
}

func (s *state) readDecisions(a *ahead, tokens []*inventory.Token) error {
	a.known = make(map[string]bool, len(tokens))
	a.authorizations, a.requests = map[[2]string]*inventory.Authorization{}, map[[2]string]*inventory.Request{}
	for part := range slices.Chunk(tokens, most) {
		ids := make([]string, len(part))
		for i, t := range part {
			ids[i], a.known[t.ID] = t.ID, true
		}
		var first []any
		var only string
		if a.organization != "" {
			first, only = []any{a.organization}, "x.organization_id = $1 AND "
		}
		where, args := in("x.token_id", ids, first)
		authorizations, err := selectRows(s, "x", "FROM authorizations x WHERE "+only+where, args, authorizationOf)
		if err != nil {
			return err
		}
		for _, v := range authorizations {
			a.authorizations[[2]string{v.TokenID, v.OrganizationID}] = v
		}
		requests, err := selectRows(s, "x", "FROM requests x WHERE "+only+where+" ORDER BY x.round", args, requestOf)
		if err != nil {
			return err
		}
		for _, q := range requests { // the last one stays
			a.requests[[2]string{q.TokenID, q.OrganizationID}] = q
		}
	}
	s.ahead = a
	return nil
}

var _ db.DBTX = (*session)(nil)
